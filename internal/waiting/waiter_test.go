package waiting

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorumlock/quorumlock/internal/fakenode"
	"github.com/quorumlock/quorumlock/internal/fanout"
	"github.com/quorumlock/quorumlock/internal/node"
	"github.com/quorumlock/quorumlock/internal/random"
)

// A bubble has the hub of a Locker on three fake nodes, in virtual time.
type bubble struct {
	*Hub
	t       *testing.T
	nodes   []*fakenode.Node
	closing chan struct{}
	givenUp []int64 // tickets that the nodes are to forget
}

func inBubble(t *testing.T, f func(b *bubble)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		nodes, pools := fakenode.Pools(3)
		b := &bubble{t: t, nodes: nodes, closing: make(chan struct{})}
		b.Hub = NewHub(Config{Pools: pools, Label: "me", WaiterID: "locker", Closing: b.closing, Left: func(_ string, _ []string, known fanout.Position) {
			b.givenUp = append(b.givenUp, known.Ticket)
		}})
		f(b)
		if used, _, channels := b.Sizes(); used != 0 || channels != 0 {
			t.Errorf("%d wait queues and %d channels are left", used, channels)
		}
		b.Leave()
		b.Close(context.Background())
	})
}

// join returns a waiter that has joined the queue for "job".
func (b *bubble) join(p *Pauses, fair bool, maxTries int) *Waiter {
	w := b.Waiter(p, fair, false, false, maxTries)
	w.Join("job", nil)
	return &w
}

// publish has all nodes publish a release of "job".
func (b *bubble) publish(suffix, named string) {
	for _, n := range b.nodes {
		n.Publish("{job}:wake"+suffix, named)
	}
	synctest.Wait()
}

// An attempt is what a test knows of one.
type attempt struct{ answered, failed, next int }

func (a *attempt) NextAttemptBegins()              { a.next++ }
func (a *attempt) Reached() (answered, failed int) { return a.answered, a.failed }

var errTaken = errors.New("taken")

// fails has an attempt of w fail, and waits for the next one. It returns how long that took.
func (b *bubble) fails(ctx context.Context, w *Waiter, f Failure) (took time.Duration, ok bool) {
	w.BeforeAttempt(new(attempt))
	w.Failed(errTaken, f.Took)
	w.CountTry()
	begun := time.Now()
	ok = w.Await(ctx, f)
	return time.Since(begun), ok
}

func never() { panic("called behind the head") }

func TestWaitersBecomeTheHeadInOrderOfArrival(t *testing.T) {
	for _, fair := range []bool{false, true} {
		inBubble(t, func(b *bubble) {
			var served, want []int
			done := make(chan struct{})
			for i := range 10 {
				want = append(want, i)
				w := b.join(pauses(), fair, 0)
				go func() {
					defer func() { done <- struct{}{} }()
					defer w.Leave()
					if !w.Ready(b.t.Context(), never) {
						b.t.Error("it is not the head")
					}
					served = append(served, i)
					time.Sleep(time.Millisecond)
				}()
			}
			for range 10 {
				<-done
			}
			if !slices.Equal(served, want) {
				b.t.Errorf("served in the order %v", served)
			}
		})
	}
}

func TestAWaiterBehindTheHeadSpendsItsTries(t *testing.T) {
	inBubble(t, func(b *bubble) {
		p := pauses()
		p.RetryMin, p.RetryMax = 100*time.Millisecond, 100*time.Millisecond
		head, w := b.join(p, false, 0), b.join(p, false, 3)
		defer head.Leave()
		defer w.Leave()
		head.Failed(errTaken, 0)
		begun, met := time.Now(), 0
		if w.Ready(b.t.Context(), func() {
			if ahead, err := w.CallersAhead(); ahead != 1 || err != errTaken {
				b.t.Errorf("%d callers come first, and it met %v", ahead, err)
			}
			met++
		}) {
			b.t.Error("it became the head")
		}
		if took := time.Since(begun); took != 300*time.Millisecond || met != 3 || !w.Spent() || w.Tries() != 3 {
			b.t.Errorf("after %v, %d tries of %d", took, w.Tries(), met)
		}
	})
}

func TestTheLabelOfTheHolderIsThatOfTheLockElseThatOfTheLocker(t *testing.T) {
	inBubble(t, func(b *bubble) {
		head, w := b.join(pauses(), false, 0), b.join(pauses(), false, 0)
		defer w.Leave()
		if got := w.HolderLabel(); got != "me" {
			b.t.Errorf("the lock is not held here, and the holder is %q", got)
		}
		if head.Granted(new(watched)); w.HolderLabel() != "holder" {
			b.t.Errorf("the holder is %q", w.HolderLabel())
		}
		if head.Leave(); w.HolderLabel() != "holder" {
			b.t.Error("the holder of the lock is not in the queue until the lock ends")
		}
		head.Entry().Leave()
	})
}

func TestAWaiterBehindTheHeadEndsWithItsContextAndItsLocker(t *testing.T) {
	inBubble(t, func(b *bubble) {
		head := b.join(pauses(), false, 0)
		defer head.Leave()
		ctx, cancel := context.WithTimeout(b.t.Context(), time.Second)
		defer cancel()
		time.AfterFunc(2*time.Second, func() { close(b.closing) })
		begun := time.Now()
		for i, ctx := range []context.Context{ctx, b.t.Context()} {
			w, met := b.join(pauses(), false, 0), 0
			if w.Ready(ctx, func() { met++ }) || met != 1 {
				b.t.Errorf("called %d times behind the head, want once", met)
			}
			if took := time.Since(begun); took != time.Duration(i+1)*time.Second {
				b.t.Errorf("ended after %v", took)
			}
			w.Leave()
		}
	})
}

func TestACallThatNeverJoinsIsDueAtOnceAndLeavesNoFlag(t *testing.T) {
	inBubble(t, func(b *bubble) {
		w := b.Waiter(pauses(), false, false, false, 1)
		if !w.Ready(b.t.Context(), never) || w.Waits() || w.Entry() != nil {
			b.t.Error("it waits")
		}
		w.Failed(errTaken, 0)
		w.CountTry()
		if _, leaves := w.BeforeAttempt(new(attempt)); leaves || !w.Spent() {
			b.t.Errorf("it leaves a flag: %v; spent: %v", leaves, w.Spent())
		}
		w.Granted(new(watched))
	})
}

func TestAWaiterThatIsNotNotifiedAsksAfterTheRetryDelay(t *testing.T) {
	inBubble(t, func(b *bubble) {
		w := b.join(pauses(), false, 0)
		defer w.Leave()
		b.fails(b.t.Context(), w, Failure{Missing: 2}) // the nodes join
		for i := range 10 {
			took, ok := b.fails(b.t.Context(), w, Failure{Missing: 2})
			if !ok || took > 250*time.Millisecond {
				b.t.Errorf("attempt %d came after %v", i, took)
			}
		}
	})
}

func TestSlowNodesAreAskedForHalfOfTheTimeAtMost(t *testing.T) {
	inBubble(t, func(b *bubble) {
		w := b.join(pauses(), false, 0)
		defer w.Leave()
		for _, n := range b.nodes {
			n.Set(fakenode.Faults{DropMessages: true})
		}
		for range 10 {
			if took, _ := b.fails(b.t.Context(), w, Failure{Missing: 2, Took: time.Second}); took < time.Second || took > 2*time.Second {
				b.t.Errorf("a node that took 1s was asked again after %v", took)
			}
		}
	})
}

func TestAReleaseThatIsPublishedWakesTheWaiterItNames(t *testing.T) {
	inBubble(t, func(b *bubble) {
		p := pauses()
		p.RetryMin, p.RetryMax = time.Hour, time.Hour
		w := b.join(p, false, 0)
		defer w.Leave()
		b.fails(b.t.Context(), w, Failure{Missing: 2}) // the nodes join
		flag, leaves := w.BeforeAttempt(new(attempt))
		if !leaves || flag.TTL != MaxFlagTTL {
			b.t.Errorf("the flag: %+v, %v", flag, leaves)
		}
		time.AfterFunc(time.Second, func() { b.publish("", flag.ID.(string)) })
		if took, ok := b.fails(b.t.Context(), w, Failure{Missing: 2}); !ok || took != time.Second {
			b.t.Errorf("woken after %v", took)
		}
		if tries := w.Tries(); tries != 1 {
			b.t.Errorf("%d tries: an attempt that came early is extra", tries)
		}
	})
}

func TestAWaiterBacksOffForTheOneThatAMessageNames(t *testing.T) {
	inBubble(t, func(b *bubble) {
		p := pauses()
		p.RetryMin, p.RetryMax = time.Hour, time.Hour
		w := b.join(p, false, 0)
		defer w.Leave()
		b.fails(b.t.Context(), w, Failure{Missing: 2})
		synctest.Wait() // the nodes have joined
		const roundTrip = 10 * time.Millisecond
		for times := 1; times <= 2*MaxBackOffs; times++ {
			time.AfterFunc(time.Second, func() { b.nodes[0].Publish("{job}:wake", "another") })
			took, ok := b.fails(b.t.Context(), w, Failure{Missing: 1, Took: roundTrip})
			longest := roundTrip + (2*roundTrip+time.Millisecond)<<min(times, MaxBackOffs)
			if took -= time.Second; !ok || took < roundTrip || took >= longest {
				b.t.Errorf("backed off for %v, want a round trip or more and less than %v", took, longest)
			}
		}
	})
}

func TestAFullRetryDelayPassesAfterManyLocksInARow(t *testing.T) {
	inBubble(t, func(b *bubble) {
		p := pauses()
		p.RetryMin, p.RetryMax = time.Minute, time.Minute
		defer random.Seed(1)()
		var sum time.Duration
		for inRow := range maxInRow + 1 {
			w := b.join(p, false, 0)
			begun := time.Now()
			if !w.Ready(b.t.Context(), never) {
				b.t.Error("it is not the head")
			}
			longest := time.Millisecond + 3*time.Millisecond<<max(inRow-1, 0)
			if took := time.Since(begun); inRow == 0 && took != 0 || inRow < maxInRow && took >= longest || inRow == maxInRow && took != time.Minute {
				b.t.Errorf("after %d locks in a row it waited %v", inRow, took)
			}
			sum += time.Since(begun)
			if _, leaves := w.BeforeAttempt(new(attempt)); leaves != (inRow > 0) {
				b.t.Errorf("after %d locks in a row it leaves a flag: %v", inRow, leaves)
			}
			w.Granted(new(watched))
			w.Entry().Released("another", time.Millisecond)
			w.Entry().Leave()
			w.Leave()
		}
		if sum -= time.Minute; sum < (maxInRow-1)*4*time.Millisecond {
			b.t.Errorf("it waited %v before, which does not grow with the locks in a row", sum)
		}
		time.Sleep(MaxFlagTTL + 1)
		w := b.join(p, false, 0)
		begun := time.Now()
		w.Ready(b.t.Context(), never)
		if took := time.Since(begun); took != 0 {
			b.t.Errorf("it waited %v for a waiter that is gone", took)
		}
		w.Leave()
	})
}

func TestAnAttemptIsDueWhenTheLockExpires(t *testing.T) {
	inBubble(t, func(b *bubble) {
		p := pauses()
		p.RetryMin, p.RetryMax = time.Second, time.Second
		w := b.join(p, false, 0)
		defer w.Leave()
		b.fails(b.t.Context(), w, Failure{Missing: 2}) // the nodes join
		if took, _ := b.fails(b.t.Context(), w, Failure{Missing: 2, Free: 300 * time.Millisecond}); took < 300*time.Millisecond || took > 400*time.Millisecond {
			b.t.Errorf("asked after %v, and the lock expires in 300ms", took)
		}
	})
}

func TestAwaitEndsWithItsContextAndItsLocker(t *testing.T) {
	inBubble(t, func(b *bubble) {
		p := pauses()
		p.RetryMin, p.RetryMax = time.Hour, time.Hour
		w := b.join(p, false, 0)
		defer w.Leave()
		b.fails(b.t.Context(), w, Failure{Missing: 2}) // the nodes join
		ctx, cancel := context.WithTimeout(b.t.Context(), time.Second)
		defer cancel()
		if took, ok := b.fails(ctx, w, Failure{Missing: 2}); ok || took != time.Second {
			b.t.Errorf("%v after %v", ok, took)
		}
		time.AfterFunc(time.Second, func() { close(b.closing) })
		if took, ok := b.fails(b.t.Context(), w, Failure{Missing: 2}); ok || took != time.Second {
			b.t.Errorf("%v after %v", ok, took)
		}
	})
}

func TestAFairWaiterAnnouncesItsTicketAtOnceAndKeepsItsPosition(t *testing.T) {
	inBubble(t, func(b *bubble) {
		p := pauses()
		p.RetryMin, p.RetryMax = time.Hour, time.Hour
		w := b.join(p, true, 0)
		if took, ok := b.fails(b.t.Context(), w, Failure{Missing: 2, Answers: 1, Largest: 6}); !ok || took > drawPause {
			b.t.Errorf("one answer is none of every majority: %v after %v", ok, took)
		}
		if took, ok := b.fails(b.t.Context(), w, Failure{Missing: 2, Answers: 3, Largest: 6, Smallest: 4}); !ok || took != 0 {
			b.t.Errorf("it tells its ticket after %v", took)
		}
		last := new(attempt)
		flag, _ := w.BeforeAttempt(last)
		if want := (node.QueuePosition{Ticket: 7, Last: 7, Count: 1, TTL: time.Second}); flag.Position != want || flag.ID != "locker" {
			b.t.Errorf("it announces %+v, want %+v", flag, want)
		}
		if ahead, known := w.Entry().Position(); ahead != 3 || !known {
			b.t.Errorf("%d come first, known: %v", ahead, known)
		}
		w.Failed(errTaken, 0)
		begun := time.Now()
		if w.Await(b.t.Context(), Failure{Missing: 2}); time.Since(begun) > p.PositionTTL/3 {
			b.t.Errorf("it keeps its position after %v", time.Since(begun))
		}
		if w.BeforeAttempt(new(attempt)); last.next != 1 {
			b.t.Errorf("the attempt before was notified %d times of the next one", last.next)
		}
		if w.Leave(); !slices.Equal(b.givenUp, []int64{7}) {
			b.t.Errorf("given up: %v", b.givenUp)
		}
	})
}

func TestAFairWaiterThatReachesNoMajorityAsksWithoutATicket(t *testing.T) {
	inBubble(t, func(b *bubble) {
		w := b.join(pauses(), true, 0)
		defer w.Leave()
		b.fails(b.t.Context(), w, Failure{Missing: 2, Answers: 3})
		for i, c := range []struct {
			last   attempt
			ticket int64
		}{{attempt{answered: 3}, 1}, {attempt{failed: 2}, 1}, {attempt{failed: 1, answered: 1}, 0}, {attempt{answered: 2}, 0}, {attempt{}, 1}} {
			if flag, _ := w.BeforeAttempt(&c.last); flag.Position.Ticket != c.ticket {
				b.t.Errorf("attempt %d says ticket %d, want %d", i, flag.Position.Ticket, c.ticket)
			}
		}
	})
}

func TestAFairWaiterThatInheritsIsWokenByTheRelease(t *testing.T) {
	inBubble(t, func(b *bubble) {
		p := pauses()
		p.RetryMin, p.RetryMax, p.PositionTTL = time.Hour, time.Hour, time.Hour
		first, next := b.join(p, true, 0), b.join(p, true, 0)
		woken := make(chan time.Duration)
		begun := time.Now()
		go func() {
			if !next.Ready(b.t.Context(), never) {
				b.t.Error("it is not the head")
			}
			woken <- time.Since(begun)
		}()
		if !first.Ready(b.t.Context(), never) {
			b.t.Error("it is not the head")
		}
		b.fails(b.t.Context(), first, Failure{Missing: 2, Answers: 3}) // draws tickets
		synctest.Wait()                                                // the nodes join
		first.BeforeAttempt(new(attempt))
		if left := first.Granted(new(watched)); left.Ticket != 0 {
			b.t.Errorf("the release gives up %d, and a waiter with a ticket is left", left.Ticket)
		}
		first.Leave()
		time.Sleep(time.Second)
		b.publish(":locker", "locker")
		if took := <-woken; took != time.Second {
			b.t.Errorf("woken after %v", took)
		}
		next.Leave()
	})
}

func TestAFlagNamesOneWaiterOfOneProcess(t *testing.T) {
	inBubble(t, func(b *bubble) {
		for i := range 3 {
			w := b.join(pauses(), false, 0)
			w.CountTry()
			if flag, leaves := w.BeforeAttempt(new(attempt)); !leaves || flag.ID != fmt.Sprint("locker.", i+1) {
				b.t.Errorf("flag %+v", flag)
			}
			w.Leave()
		}
	})
}
