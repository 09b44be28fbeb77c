package node

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorumlock/quorumlock/internal/fakenode"
	"github.com/quorumlock/quorumlock/pool"
)

func TestCallIsGivenUpAtItsDeadlineThoughTheClientHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := fakenode.New("a")
		fake.Set(fakenode.Faults{Uninterrupted: true})
		fake.Freeze()
		n := newNode(t, fake)
		var r recorder
		start := time.Now()
		if err := n.Start(call(Acquire, "k", "v", &r)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(r.answers) != 1 || r.times[0].Sub(start) != timeout {
			t.Fatalf("answers %v at %v", r.answers, r.times)
		}
		a := r.answers[0]
		if !errors.Is(a.Err, context.DeadlineExceeded) || !a.InClient || errors.Is(a.Err, pool.ErrNotSent) {
			t.Errorf("answer %+v", a)
		}
		if len(r.late) != 0 {
			t.Errorf("late %v before the client returned", r.late)
		}
		fake.Thaw()
		synctest.Wait()
		if len(r.late) != 1 || r.late[0].Status != Granted {
			t.Errorf("late %v, want the reply that came after all", r.late)
		}
	})
}

// flood makes calls, some per node timeout, for the given time, and returns how
// many were refused.
func flood(n *Node, r *recorder, perTimeout, rounds int) (refused int) {
	for range rounds {
		for range perTimeout {
			if n.Start(call(Acquire, "k", "v", r)) != nil {
				refused++
			}
		}
		time.Sleep(timeout + time.Millisecond)
		synctest.Wait()
	}
	return refused
}

func TestHangingNodeHoldsABoundedNumberOfCalls(t *testing.T) {
	for name, faults := range map[string]fakenode.Faults{
		"client that gives up": {},
		"client that hangs":    {Uninterrupted: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fake := fakenode.New("a")
				fake.Set(faults)
				fake.Freeze()
				n := newNode(t, fake)
				var changes []error
				n.Changed = func(failure error) { changes = append(changes, failure) }
				var r recorder
				flood(n, &r, 50, 2)
				sent := len(r.answers)
				if sent != 100 {
					t.Fatalf("%d calls sent before the breaker opened, want 100", sent)
				}
				refused := flood(n, &r, 50, 100)
				if refused != 5000 {
					t.Errorf("%d calls refused, want all 5000", refused)
				}
				if got := fake.Calls(); got > 101 {
					t.Errorf("%d calls are with the client", got)
				}
				if len(changes) != 1 || !errors.Is(changes[0], context.DeadlineExceeded) {
					t.Errorf("changes %v, want one report of the failure", changes)
				}

				fake.Thaw()
				time.Sleep(time.Second)
				n.Start(call(Acquire, "k", "v", &r)) // sets off the probe that finds out, or is it
				time.Sleep(time.Second)
				synctest.Wait()
				wantStatus(t, ask(t, n, Acquire, "k", "v"), Granted)
				if len(changes) != 2 || changes[1] != nil {
					t.Errorf("changes %v, want failure and recovery", changes)
				}
			})
		})
	}
}

// A queue that is worked off against a node that hangs would send it every call
// shortly before its deadline.
func TestQueuedCallsAreRejectedWhenTheBreakerOpens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := fakenode.New("a")
		fake.Freeze()
		n := newNode(t, fake)
		var r recorder
		const calls = 1000
		for range calls {
			n.Start(call(Acquire, "k", "v", &r))
			time.Sleep(timeout / (2 * calls)) // they all wait by the time of the first deadline
		}
		time.Sleep(timeout)
		synctest.Wait()
		busy, answers := 0, r.count()
		for _, a := range r.answers {
			if errors.Is(a.Err, ErrBusy) {
				busy++
			}
		}
		fake.Thaw()
		synctest.Wait()
		if got := fake.Count("acquire"); answers != calls || got > maxWorkers+breakerLimit+1 || busy == 0 {
			t.Errorf("%d answers, %d of them busy; %d acquires took effect", answers, busy, got)
		}
	})
}

func TestProbesComeOneAtATimeAndLeaveNoKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := fakenode.New("a")
		fake.Freeze()
		n := newNode(t, fake)
		var r recorder
		flood(n, &r, 100, 1)
		before := fake.Calls() // of the model's servers, none: all clients gave up
		for range 100 {
			n.Start(call(Acquire, "other", "v", &r))
			if got := fake.Calls() - before; got > 1 {
				t.Fatalf("%d probes at once", got)
			}
			time.Sleep(50 * time.Millisecond)
			synctest.Wait()
		}
		fake.Thaw()
		synctest.Wait()
		if fake.Get("other") != "" {
			t.Error("a refused acquire took effect")
		}
	})
}

func TestOneLostConnectionAmongAnswersIsNotASilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := fakenode.New("a")
		n := newNode(t, fake)
		var r recorder
		fake.Set(fakenode.Faults{LoseRequests: true})
		n.Start(call(Acquire, "k", "v", &r))
		synctest.Wait()
		fake.Set(fakenode.Faults{})
		time.Sleep(timeout / 2)
		wantStatus(t, ask(t, n, Acquire, "j", "v"), Granted)
		time.Sleep(timeout)
		synctest.Wait()
		if p := n.Liveness(); !p.Answers || p.LastSilence != 0 {
			t.Errorf("a node that answers others counts as silent: %+v", p)
		}
	})
}

func TestLivenessCountsFromTheEndOfASilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := fakenode.New("a")
		n := newNode(t, fake)
		time.Sleep(10 * timeout)
		ask(t, n, Acquire, "k", "v")
		time.Sleep(5 * timeout) // whether it would have answered is unknown
		fake.Freeze()
		ask(t, n, Acquire, "k", "v")
		if p := n.Liveness(); p.Answers || p.AnsweredTime != 10*timeout {
			t.Errorf("a frozen node: %+v", p)
		}
		fake.Thaw()
		ask(t, n, Acquire, "k", "v")
		if p := n.Liveness(); !p.Answers || !p.AnsweringSince.Equal(time.Now()) || p.LastSilence != timeout+Sampling || p.AnsweredTime != 10*timeout {
			t.Errorf("a node that goes on: %+v", p)
		}
		time.Sleep(timeout)
		if a := ask(t, n, Acquire, "k", "v"); a.AnsweredTime != 11*timeout || n.Liveness().AnsweredTime != a.AnsweredTime {
			t.Errorf("at work for %v, want 11 times the node timeout", a.AnsweredTime)
		}
		time.Sleep(timeout) // the last answer is less than a sample away, so it counts
		fake.Set(fakenode.Faults{Refuse: true})
		ask(t, n, Acquire, "k", "v")
		if p := n.Liveness(); p.Answers {
			t.Errorf("a node that refuses connections: %+v", p)
		}
		time.Sleep(4 * timeout)
		fake.Set(fakenode.Faults{})
		ask(t, n, Acquire, "k", "v")
		if p := n.Liveness(); !p.Answers || !p.AnsweringSince.Equal(time.Now()) || p.LastSilence != 5*timeout || p.AnsweredTime != 11*timeout {
			t.Errorf("after %v: %+v", 5*timeout, p)
		}
		time.Sleep(timeout)
		ask(t, n, Acquire, "k", "v") // a short silence does not cancel what the one before calls for
		time.Sleep(time.Nanosecond)
		fake.Freeze()
		ask(t, n, Acquire, "k", "v")
		fake.Thaw()
		ask(t, n, Acquire, "k", "v")
		if p := n.Liveness(); p.LastSilence != 4*timeout {
			t.Errorf("after one of %v, %v of answers and one of %v: %+v", 5*timeout, timeout, timeout, p)
		}
	})
}

func TestQueuedCallIsNotSentAfterItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := fakenode.New("a")
		fake.Set(fakenode.Faults{Uninterrupted: true})
		fake.Freeze()
		n := newNode(t, fake)
		var r recorder
		for range maxWorkers + 10 {
			if err := n.Start(call(Acquire, "k", "v", &r)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(timeout)
		synctest.Wait()
		never := 0
		for _, a := range r.answers {
			if errors.Is(a.Err, pool.ErrNotSent) {
				never++
			}
		}
		if len(r.answers) != maxWorkers+10 || never != 10 {
			t.Errorf("%d answers, %d of them never sent", len(r.answers), never)
		}
		fake.Thaw()
		synctest.Wait()
		if got := fake.Count("acquire"); got != maxWorkers {
			t.Errorf("%d acquires took effect, want %d", got, maxWorkers)
		}
	})
}

func idle(n *Node) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.idle.workers)
}

func TestNodeWithoutCallsKeepsNoWorkersAndTimers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // the bubble fails on a goroutine that stays
		n := New(fakenode.New("a"))
		for range 1000 {
			ask(t, n, Acquire, "k", "v")
		}
		if got := idle(n); got != 1 {
			t.Errorf("%d workers idle after calls one by one", got)
		}
		time.Sleep(2 * idlePeriod)
		synctest.Wait()
		if got := idle(n); n.workers != 0 || got != 0 || n.idle.armed || n.inFlight.armed || n.inFlight.next() != nil {
			t.Errorf("workers %d and %d, timers %v and %v", n.workers, got, n.idle.armed, n.inFlight.armed)
		}
		wantStatus(t, ask(t, n, Acquire, "k", "v"), Granted) // and goes on when there are
		n.Stop()
		wantStatus(t, ask(t, n, Acquire, "k", "v"), Granted) // and even when stopped
	})
}

func TestIdleWorkersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, fakenode.New("a"))
		var r recorder
		for range 100 {
			n.Start(call(Acquire, "k", "v", &r))
		}
		synctest.Wait()
		if got := idle(n); got > maxIdle || r.count() != 100 {
			t.Errorf("%d workers idle, %d answers", got, r.count())
		}
	})
}

// Until the first deadline nothing shows that a node has frozen.
func TestSilentNodeGetsABoundedNumberOfSubmittedCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := fakenode.New("a")
		n := newNode(t, fakenode.Pipelined{Node: fake})
		wantStatus(t, ask(t, n, Acquire, "k", "v"), Granted)
		fake.Freeze()
		var r recorder
		for i := range 3 * maxWithSubmitter {
			if err := n.Start(call(Acquire, fmt.Sprint("k", i), "v", &r)); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if calls := fake.Calls(); calls != maxWithSubmitter {
			t.Errorf("%d calls are with the client, want %d", calls, maxWithSubmitter)
		}
		fake.Thaw()
		time.Sleep(timeout)
		if got := r.count(); got != 3*maxWithSubmitter {
			t.Errorf("%d of %d calls were answered", got, 3*maxWithSubmitter)
		}
		for _, a := range r.answers {
			wantStatus(t, a, Granted)
		}
	})
}

func TestQueuedCallsOfASilentNodeAreNotSentAndAProbeIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := fakenode.New("a")
		n := newNode(t, fakenode.Pipelined{Node: fake})
		fake.Set(fakenode.Faults{Uninterrupted: true})
		fake.Freeze()
		var r recorder
		for i := range 2 * maxWithSubmitter {
			n.Start(call(Acquire, fmt.Sprint("k", i), "v", &r))
		}
		time.Sleep(timeout)
		synctest.Wait()
		unsent := 0
		for _, a := range r.answers {
			if errors.Is(a.Err, pool.ErrNotSent) || errors.Is(a.Err, ErrBusy) {
				unsent++
			}
		}
		if unsent != maxWithSubmitter {
			t.Errorf("%d calls were not sent, want %d", unsent, maxWithSubmitter)
		}
		time.Sleep(2 * probePause)
		if a := ask(t, n, Acquire, "busy", "v"); !errors.Is(a.Err, ErrBusy) {
			t.Errorf("the breaker is closed: %+v", a)
		}
		synctest.Wait()
		if calls := fake.Calls(); calls != maxWithSubmitter+1 {
			t.Errorf("%d calls are with the client, want one more than %d: a probe", calls, maxWithSubmitter)
		}
		fake.Thaw()
		time.Sleep(timeout)
		wantStatus(t, ask(t, n, Acquire, "again", "v"), Granted)
	})
}

// A server that is frozen accepts connections and answers no handshake.
func TestCallsWithoutAConnectionUntilTheirDeadlineOpenTheBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, neverConnected{fakenode.New("a")})
		for range breakerLimit + 1 {
			if a := ask(t, n, Acquire, "k", "v"); !errors.Is(a.Err, pool.ErrNotSent) {
				t.Fatalf("%+v", a)
			}
		}
		if a := ask(t, n, Acquire, "k", "v"); !errors.Is(a.Err, ErrBusy) {
			t.Errorf("the breaker is closed: %+v", a)
		}
	})
}

type neverConnected struct{ *fakenode.Node }

func (neverConnected) Do(ctx context.Context, _ ...any) (any, error) {
	at, _ := ctx.Deadline()
	time.Sleep(time.Until(at) - time.Microsecond)
	return nil, fmt.Errorf("%w: %w", pool.ErrNotSent, context.DeadlineExceeded)
}

func TestAServerThatRefusesTheNativeFormIsProbedAllTheSame(t *testing.T) {
	for kind, client := range fakenode.Clients {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fake := fakenode.New("a")
				n := newNode(t, client(fake))
				fake.Set(fakenode.Faults{NoNative: true})
				wantStatus(t, ask(t, n, Acquire, "k", "v"), Granted)
				time.Sleep(time.Millisecond) // since it was heard
				fake.Freeze()
				var r recorder
				for i := range breakerLimit + 1 {
					n.Start(call(Acquire, fmt.Sprint("k", i), "v", &r))
				}
				time.Sleep(timeout + 2*probePause)
				if a := ask(t, n, Acquire, "busy", "v"); !errors.Is(a.Err, ErrBusy) {
					t.Fatalf("the breaker is closed: %+v", a)
				}
				synctest.Wait()
				if calls := fake.Calls(); calls != 1 {
					t.Errorf("%d calls are with the client, want the probe", calls)
				}
				fake.Thaw()
				time.Sleep(timeout)
				wantStatus(t, ask(t, n, Acquire, "again", "v"), Granted)
			})
		})
	}
}

// The memory of a call that was given up in the queue may be another call's by the time that
// the queue comes to its position.
func TestCallGivenUpInTheQueueMayBeReused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := fakenode.New("a")
		n := newNode(t, fakenode.Pipelined{Node: fake})
		wantStatus(t, ask(t, n, Acquire, "k", "v"), Granted)
		fake.Set(fakenode.Faults{Delay: 2 * timeout})
		var r recorder
		for i := range maxWithSubmitter {
			c := call(Acquire, fmt.Sprint("k", i), "v", &r)
			*c.Deadline = MakeDeadline(context.Background(), 10*timeout)
			n.Start(c)
		}
		c := call(Acquire, "waits", "v", &r)
		n.Start(c)
		time.Sleep(timeout)
		if synctest.Wait(); r.count() != 1 || !errors.Is(r.answers[0].Err, pool.ErrNotSent) {
			t.Fatalf("%+v", r.answers)
		}
		*c = *call(Acquire, "again", "v", &r)
		*c.Deadline = MakeDeadline(context.Background(), 10*timeout)
		n.Start(c)
		time.Sleep(10 * timeout)
		if r.count() != maxWithSubmitter+2 || fake.Get("again") != "v" || fake.Count("acquire") != maxWithSubmitter+2 {
			t.Errorf("%d answers, %d commands", r.count(), fake.Count("acquire"))
		}
	})
}
