package waiting

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/quorumlock/quorumlock/internal/fanout"
)

func TestAQueueIsNoLargerThanAMapHoldsByItself(t *testing.T) {
	if size := unsafe.Sizeof(queue{}); size > 128 {
		t.Errorf("%d bytes, want 128 at most: a cycle would allocate once more", size)
	}
}

// A watched counts the calls of WatchEnd.
type watched int

func (w *watched) WatchEnd()     { *w++ }
func (w *watched) Label() string { return "holder" }

func TestTheEndOfALockIsWatchedOnceAnotherCallerWaitsForIt(t *testing.T) {
	q := newQueues()
	var before, after watched
	first := q.join("job", nil, false, nil)
	if first.granted(&before); before != 0 {
		t.Error("the end is watched, and no caller waits for it")
	}
	second := q.join("job", nil, false, nil)
	if before != 1 {
		t.Errorf("watched %d times when a caller joined, want 1", before)
	}
	q.join("job", nil, false, nil)
	first.Leave()
	if second.granted(&after); after != 1 {
		t.Errorf("watched %d times when it was granted before a waiter, want 1", after)
	}
}

func TestTheHolderOfTheLockStaysTheHeadUntilItLeaves(t *testing.T) {
	q := newQueues()
	first, second, third := q.join("job", nil, false, nil), q.join("job", nil, false, nil), q.join("job", nil, false, nil)
	if got := q.waiting("job"); got != 3 {
		t.Errorf("%d callers wait, want 3", got)
	}
	if q.holder("job") != nil {
		t.Error("the lock is held before it was granted")
	}
	lock := new(watched)
	first.granted(lock)
	if got := q.waiting("job"); got != 2 {
		t.Errorf("%d callers wait for the holder, want 2", got)
	}
	if q.holder("job") != lock {
		t.Errorf("the holder is %v", q.holder("job"))
	}
	if isHead(second) {
		t.Error("the second is the head before the lock has ended")
	}
	first.Leave()
	first.Leave()
	if !isHead(second) || isHead(third) {
		t.Error("the second is not the head, or the third is")
	}
	third.Leave()
	if second.Leave(); len(q.byKey) != 0 {
		t.Error("an empty queue is left")
	}
}

func isHead(e *Entry) bool {
	if e.head == nil {
		return true
	}
	select {
	case <-e.head:
		return true
	default:
		return false
	}
}

func TestCallersBehindTheHeadReportItsErrorUntilTheLockIsGranted(t *testing.T) {
	q := newQueues()
	first, second, third := q.join("job", nil, false, nil), q.join("job", nil, false, nil), q.join("job", nil, false, nil)
	want := errors.New("no answer")
	first.failed(want)
	if ahead, err := third.callersAhead(); ahead != 2 || err != want {
		t.Errorf("%d callers come first, and it met %v", ahead, err)
	}
	second.Leave()
	if ahead, _ := third.callersAhead(); ahead != 1 {
		t.Errorf("%d callers come first, want 1", ahead)
	}
	first.granted(new(watched))
	if err := third.lastFailure(); err != nil {
		t.Errorf("the lock was granted, and it met %v", err)
	}
}

func TestQueuesOfOtherWaitersThatAreGoneAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueues()
		for i := range 1000 {
			e := q.join(fmt.Sprint("job", i), nil, false, nil)
			e.Released("another.1", time.Millisecond)
			e.Leave()
			time.Sleep(time.Second)
		}
		if n := len(q.byKey); n == 0 || n > 128 {
			t.Errorf("%d queues without a caller", n)
		}
	})
}

func TestLocksInARowAreCountedForOneOtherWaiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueues()
		released := func(other string, want int) {
			t.Helper()
			e := q.join("job", nil, false, nil)
			e.Released(other, time.Millisecond)
			e.Leave()
			next := q.join("job", nil, false, nil)
			defer next.Leave()
			if inRow, took := next.otherWaits(); inRow != want || inRow > 0 && took != time.Millisecond {
				t.Errorf("%d in a row, a round trip of %v; want %d", inRow, took, want)
			}
		}
		released("one", 1)
		released("one", 2)
		released("two", 1)
		released("", 0)
		released("two", 1)
		time.Sleep(MaxFlagTTL + 1)
		if e := q.join("job", nil, false, nil); e != nil {
			if inRow, _ := e.otherWaits(); inRow != 0 {
				t.Error("a waiter that is gone still counts")
			}
		}
	})
}

// A writer that is the only one in a process finds readers of it waiting at every release.
func TestWritersBackOffForTheReadersOfTheirProcessUntilTheyAreLetIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueues()
		for round := range 3 {
			readers := []*Entry{q.join("job", []string{"job"}, true, nil), q.join("job", []string{"job"}, true, nil)}
			readers[0].failed(errors.New("taken"))
			for i := range 2 {
				writer := q.join("job", nil, false, nil)
				if inRow, _ := writer.otherWaits(); inRow != i {
					t.Errorf("round %d, writer %d: backs off for %d locks in a row", round, i, inRow)
				}
				writer.Released("", time.Millisecond)
				writer.Leave()
			}
			readers[0].admitted()
			readers[1].admitted()
		}
		if len(q.byKey) != 0 {
			t.Errorf("%d queues are left", len(q.byKey))
		}
	})
}

// Tens of thousands of callers may wait, and the mutex is for all keys.
func TestWhatACallerDoesInAQueueCostsTheSameHoweverManyOthersAreThere(t *testing.T) {
	type costs map[string]time.Duration
	measure := func(others int) costs {
		q := newQueues()
		q.left = func(*Entry, fanout.Position) {}
		join := func() *Entry { return q.join("job", nil, false, pauses()) }
		first := join()
		var entries []*Entry
		for range others {
			entries = append(entries, join())
		}
		first.announce(time.Second)
		first.draw(0, 0) // tickets for all
		for range others {
			entries = append(entries, join()) // without
		}
		took := make(map[string][]time.Duration)
		timed := func(what string, do func()) {
			begun := time.Now()
			do()
			took[what] = append(took[what], time.Since(begun))
		}
		for range 501 {
			timed("announce", func() { first.announce(time.Second) })
		}
		for i := range 501 {
			e := entries[len(entries)-1-i]
			timed("position", func() { e.Position() })
			timed("callersAhead", func() { e.callersAhead() })
			timed("leave", e.Leave)
			timed("join", func() { join() })
			timed("draw", func() { first.draw(0, 0) })
		}
		medians := make(costs)
		for what, all := range took {
			slices.Sort(all)
			medians[what] = all[len(all)/2] // the machine may be busy with something else meanwhile
		}
		return medians
	}
	few, many := measure(1000), measure(30_000)
	for what := range few {
		if many[what] > 10*few[what]+2*time.Microsecond {
			t.Errorf("%s: %v among 1000, %v among 30,000", what, few[what], many[what])
		}
	}
}
