package node

import (
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorumlock/quorumlock/internal/fakenode"
	"github.com/quorumlock/quorumlock/pool"
)

// onClients runs a test in a bubble with each kind of client.
func onClients(t *testing.T, f func(t *testing.T, n *Node, fake *fakenode.Node)) {
	for name, client := range fakenode.Clients {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fake := fakenode.New("a")
				f(t, newNode(t, client(fake)), fake)
			})
		})
	}
}

const never = -1 // does what was sent take effect

func TestConnectionThatEndedCostsNoCallOfAnyVerb(t *testing.T) {
	onClients(t, func(t *testing.T, n *Node, fake *fakenode.Node) {
		for _, c := range []struct {
			verb Verb
			want Status
		}{{Acquire, Granted}, {AcquireOrFlag, Granted}, {Extend, Extended}, {Release, Deleted}, {Inspect, Absent}} {
			fake.EndIdle(1, never)
			a := ask(t, n, c.verb, "k", "v")
			wantStatus(t, a, c.want)
			if !a.SentBefore {
				t.Errorf("%v: the answer does not say that an earlier send is of unknown fate", c.verb)
			}
			if a = ask(t, n, Inspect, "k", ""); a.SentBefore {
				t.Errorf("after %v a call that was sent once has an unknown outcome", c.verb)
			}
		}
	})
}

func TestAllIdleConnectionsMayHaveEnded(t *testing.T) {
	onClients(t, func(t *testing.T, n *Node, fake *fakenode.Node) {
		for _, ended := range []int{atOnce, atOnce + 32} {
			fake.EndIdle(ended, never)
			begun := time.Now()
			wantStatus(t, ask(t, n, Acquire, "k", "v"), Granted)
			if took := time.Since(begun); took > timeout*3/4 {
				t.Errorf("with %d of them it took %v", ended, took)
			}
		}
	})
}

// Each of many callers meets some of them.
func TestManyCallersSurviveAPoolOfEndedConnections(t *testing.T) {
	onClients(t, func(t *testing.T, n *Node, fake *fakenode.Node) {
		fake.EndIdle(500, never)
		var r recorder
		for range 300 {
			if err := n.Start(call(Inspect, "k", "", &r)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(timeout)
		synctest.Wait()
		if r.count() != 300 {
			t.Fatalf("%d answers", r.count())
		}
		for _, a := range r.answers {
			wantStatus(t, a, Absent)
		}
	})
}

// hangup is a server that accepts connections and closes them at the first command.
type hangup struct {
	*fakenode.Node
	commands atomic.Int64
}

func (h *hangup) Do(context.Context, ...any) (any, error) {
	h.commands.Add(1)
	return nil, io.EOF
}

func TestServerThatHangsUpIsNotHammered(t *testing.T) {
	for _, callers := range []int64{1, 60, 1000} {
		synctest.Test(t, func(t *testing.T) {
			h := &hangup{Node: fakenode.New("a")}
			n := newNode(t, h)
			var r recorder
			begun := time.Now()
			for range callers {
				n.Start(call(Acquire, "k", "v", &r))
			}
			time.Sleep(timeout)
			synctest.Wait()
			if int64(r.count()) != callers {
				t.Fatalf("%d of %d calls ended by the deadline", r.count(), callers)
			}
			for i, a := range r.answers {
				if a.Err == nil || a.Answered() || !a.SentBefore {
					t.Fatalf("answer %+v", a)
				}
				if took := r.times[i].Sub(begun); took > timeout {
					t.Fatalf("it came after %v", took)
				}
			}
			if got, most := h.commands.Load(), callers+atOnce+perTick*int64(timeout/maxPause+8); got > most {
				t.Errorf("%d callers sent %d commands, more than %d", callers, got, most)
			}
			sent := h.commands.Load()
			time.Sleep(time.Minute)
			if got := h.commands.Load(); got != sent {
				t.Errorf("%d commands were sent after the deadline", got-sent)
			}
		})
	}
}

// picky hangs up at one command, and answers the others.
type picky struct {
	*fakenode.Node
	commands atomic.Int64
}

func (p *picky) Do(ctx context.Context, args ...any) (any, error) {
	if args[0] != "SET" {
		p.commands.Add(1)
		return nil, io.EOF
	}
	return p.Node.Do(ctx, args...)
}

func TestServerThatHangsUpAtOneCommandGetsItABoundedNumberOfTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &picky{Node: fakenode.New("a")}
		n := newNode(t, p)
		var r, others recorder
		n.Start(call(Release, "k", "v", &r))
		for range 4 * timeout / time.Millisecond {
			n.Start(call(Acquire, "k", "w", &others))
			time.Sleep(100 * time.Microsecond)
		}
		time.Sleep(timeout)
		synctest.Wait()
		if r.count() != 1 || !errors.Is(r.answers[0].Err, io.EOF) || p.commands.Load() > maxRepeats+1 {
			t.Errorf("answers %+v after %d commands", r.answers, p.commands.Load())
		}
	})
}

func TestNothingButAnEndedConnectionIsAskedAgain(t *testing.T) {
	for _, err := range []error{
		pool.Error("ERR Connection timed out"),
		pool.Error("NOPERM no"),
		errors.Join(pool.ErrNotSent, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}),
		errors.Join(pool.ErrNotSent, &net.OpError{Op: "dial", Err: syscall.ECONNRESET}),
		errors.Join(pool.ErrNotSent, pool.ErrNoConn),
		errors.Join(pool.ErrNotSent, pool.ErrClosed, io.EOF),
		errors.Join(pool.ErrClosed, io.EOF),
		errors.Join(context.DeadlineExceeded, io.EOF),
		context.Canceled,
	} {
		synctest.Test(t, func(t *testing.T) {
			s := &failing{errs: []error{err, nil}}
			n := newNode(t, s)
			if a := ask(t, n, Acquire, "k", "v"); !errors.Is(a.Err, err) || a.SentBefore || s.calls != 1 {
				t.Errorf("%v: answer %+v after %d commands", err, a, s.calls)
			}
		})
	}
}

// A client may greet a connection only when it is needed first, and it was idle before.
func TestConnectionThatEndedUnsentIsReplacedAndLeavesNoUnknownOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		unsent := errors.Join(pool.ErrNotSent, &net.OpError{Op: "write", Err: syscall.EPIPE})
		s := &failing{}
		for range maxUnsentRepeats {
			s.errs = append(s.errs, unsent)
		}
		n := newNode(t, s)
		a := ask(t, n, Acquire, "k", "v")
		wantStatus(t, a, Granted)
		if a.SentBefore {
			t.Error("the outcome is unknown, although nothing else was sent")
		}
	})
}

// A server that is full hangs up before it is asked anything.
func TestServerThatHangsUpUnaskedIsTriedAFewTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &failing{}
		for range 1000 {
			s.errs = append(s.errs, errors.Join(pool.ErrNotSent, io.EOF))
		}
		n := newNode(t, s)
		begun := time.Now()
		a := ask(t, n, Acquire, "k", "v")
		if !errors.Is(a.Err, pool.ErrNotSent) || a.SentBefore || s.calls != maxUnsentRepeats+1 || time.Since(begun) > timeout/2 {
			t.Errorf("answer %+v after %d commands in %v", a, s.calls, time.Since(begun))
		}
	})
}

// failing answers with these errors, one after the other, and then with nulls.
type failing struct {
	errs  []error
	calls int
}

func (s *failing) String() string { return "failing" }

func (s *failing) Do(context.Context, ...any) (any, error) {
	s.calls++
	if s.calls > len(s.errs) {
		return nil, nil
	}
	return nil, s.errs[s.calls-1]
}

// What the repeat met says nothing about the send before it.
func TestRefusedRepeatLeavesTheFirstSendUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := errors.Join(pool.ErrNotSent, errors.New("connection refused"))
		n := newNode(t, &failing{errs: []error{io.EOF, refused}})
		if a := ask(t, n, Acquire, "k", "v"); !errors.Is(a.Err, pool.ErrNotSent) || !a.SentBefore || a.InClient {
			t.Errorf("answer %+v", a)
		}
	})
}

// A balancer that closes idle connections would otherwise keep an outcome unknown for ever.
func TestEndedConnectionIsNoSilenceIfTheNodeAnswersOnAnother(t *testing.T) {
	onClients(t, func(t *testing.T, n *Node, fake *fakenode.Node) {
		wantStatus(t, ask(t, n, Acquire, "k", "v"), Granted)
		for range 60 {
			time.Sleep(time.Second)
			fake.EndIdle(1, never)
			wantStatus(t, ask(t, n, Acquire, "k", "v"), Granted)
		}
		if p := n.Liveness(); !p.Answers || p.LastSilence != 0 || p.AnsweredTime < time.Minute {
			t.Errorf("%+v", p)
		}
	})
}

// The server may be gone, and what was sent be on its way.
func TestEndedConnectionBeginsASilenceIfNoOtherIsAvailable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &failing{errs: []error{nil, io.EOF, errors.Join(pool.ErrNotSent, syscall.ECONNREFUSED)}}
		n := newNode(t, s)
		wantStatus(t, ask(t, n, Acquire, "k", "v"), Granted)
		time.Sleep(time.Second / 2)
		wantStatus(t, ask(t, n, Acquire, "k", "v"), Failed)
		if p := n.Liveness(); p.Answers {
			t.Errorf("%+v", p)
		}
		time.Sleep(time.Second / 2)
		wantStatus(t, ask(t, n, Acquire, "k", "v"), Granted)
		if p := n.Liveness(); !p.Answers || p.LastSilence < time.Second {
			t.Errorf("%+v", p)
		}
	})
}

func TestPausedCallIsGivenUpAtItsDeadlineForGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &hangup{Node: fakenode.New("a")}
		n := newNode(t, h)
		var r recorder
		request := NewRequest(Acquire, NewEntry("k", "v"), ttl, WaiterFlag{})
		deadline := MakeDeadline(context.Background(), 2*firstPause+firstPause/2)
		n.Start(&Call{Request: request, Deadline: &deadline, Receiver: &r})
		time.Sleep(time.Minute)
		if r.count() != 1 || r.answers[0].InClient || !r.answers[0].SentBefore || !errors.Is(r.answers[0].Err, context.DeadlineExceeded) {
			t.Fatalf("answers %+v", r.answers)
		}
		if len(r.late) != 0 {
			t.Errorf("late %+v: the client does not have it", r.late)
		}
	})
}

// Probes find out that a node is back, through a pool of connections that are not.
func TestProbeGetsThroughConnectionsThatEnded(t *testing.T) {
	onClients(t, func(t *testing.T, n *Node, fake *fakenode.Node) {
		fake.Freeze()
		var r recorder
		flood(n, &r, 100, 1)
		fake.Thaw()
		fake.EndIdle(30, never)
		time.Sleep(2 * probePause)
		n.Start(call(Acquire, "k", "v", &r)) // sets off the probe
		time.Sleep(20 * time.Millisecond)
		synctest.Wait()
		wantStatus(t, ask(t, n, Acquire, "k", "v"), Granted)
	})
}
