package quorum_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/board"
	"github.com/quorumlock/quorumlock/redlock"
)

// Several names at once, with the real clients, Lua and pub/sub, in virtual time.

var background = context.Background()

func (q *quorumTest) lockAll(l *redlock.Locker, names []string, opts ...redlock.LockOption) *redlock.Lock {
	q.Helper()
	lock, err := l.LockAll(background, names, opts...)
	if err != nil {
		q.Fatal(err)
	}
	return lock
}

func TestInABubbleSeveralNamesAreTakenOrNone(t *testing.T) {
	inBubble(t, 3, func(q *quorumTest) {
		held := mustLock(q, q.rival, "b")
		_, err := q.ours.TryLockAll(background, []string{"c", "a", "b"})
		var taken *redlock.QuorumError
		if !errors.Is(err, redlock.ErrTaken) || !errors.As(err, &taken) {
			q.Fatalf("%v, want that b is taken", err)
		}
		if want := (redlock.Holder{Label: "rival", Name: "b", Nodes: taken.Holders[0].Nodes}); !slices.Equal(taken.Holders, []redlock.Holder{want}) || want.Nodes < 2 {
			q.Errorf("holders %+v", taken.Holders)
		}
		if want := `redlock: lock "a, b, c": lock is taken: "b" by rival on `; !strings.HasPrefix(err.Error(), want) {
			q.Errorf("%q does not begin with %q", err, want)
		}
		for _, name := range []string{"a", "c"} {
			within(q, time.Second, name+" is free", func() bool { return q.carriers(name) == 0 })
		}
		mustUnlock(q, held)

		lock := q.lockAll(q.ours, []string{"c", "a", "b"}, redlock.WithFencing())
		if names := lock.Names(); !slices.Equal(names, []string{"a", "b", "c"}) || lock.Name() != "a, b, c" {
			q.Errorf("names %q, name %q", names, lock.Name())
		}
		for _, name := range lock.Names() {
			if _, err := q.rival.TryLock(background, name); !errors.Is(err, redlock.ErrTaken) {
				q.Errorf("%s: %v, want that it is taken", name, err)
			}
			if _, err := q.rival.TryLockAll(background, []string{name, "z"}); !errors.Is(err, redlock.ErrTaken) {
				q.Errorf("%s with another: %v, want that it is taken", name, err)
			}
		}
		if err := lock.Extend(background); err != nil {
			q.Error(err)
		}
		mustUnlock(q, lock)
		for _, name := range lock.Names() { // one by one, and with a larger token
			next := mustLock(q, q.rival, name, redlock.WithFencing())
			if next.Token() <= lock.Token() {
				q.Errorf("token of %s: %d after %d", name, next.Token(), lock.Token())
			}
			mustUnlock(q, next)
		}
	})
}

func TestInABubbleAllNamesThatAreTakenAreNamed(t *testing.T) {
	inBubble(t, 3, func(q *quorumTest) {
		a, c := mustLock(q, q.rival, "a"), q.lockAll(q.ours, []string{"c", "d"})
		_, err := q.ours.TryLockAll(background, []string{"a", "b", "c"})
		var taken *redlock.QuorumError
		if !errors.As(err, &taken) {
			q.Fatal(err)
		}
		var got []string
		for _, h := range taken.Holders {
			got = append(got, h.Name+" "+h.Label)
		}
		slices.Sort(got)
		if want := []string{"a rival", "c ours"}; !slices.Equal(got, want) {
			q.Errorf("holders %q, want %q", got, want)
		}
		mustUnlock(q, a)
		mustUnlock(q, c)
	})
}

func TestInABubbleAReleaseOfAnyNameWakesTheWaiterForSeveral(t *testing.T) {
	for _, fair := range []bool{false, true} {
		t.Run(fmt.Sprintf("fair=%v", fair), func(t *testing.T) {
			inBubble(t, 3, func(q *quorumTest) {
				opts := []redlock.LockOption{redlock.WithRetryDelay(time.Minute, time.Minute)}
				if fair {
					opts = append(opts, redlock.WithFair())
				}
				var held []*redlock.Lock
				names := []string{"a", "b", "c"}
				for _, name := range names {
					held = append(held, mustLock(q, q.rival, name, redlock.WithKeepAlive()))
				}
				pending := q.ours.LockAllAsync(background, names, opts...)
				time.Sleep(time.Second)
				begun := time.Now()
				for _, i := range rand.Perm(len(held)) {
					mustUnlock(q, held[i])
					time.Sleep(100 * time.Millisecond)
				}
				q.wasWoken(pending, begun)
			})
		})
	}
}

// wasWoken waits for a lock that is to be granted soon after what began, and unlocks it.
func (q *quorumTest) wasWoken(pending *redlock.Pending, begun time.Time) {
	q.Helper()
	lock, err := pending.Wait(background)
	if err != nil {
		q.Fatal(err)
	}
	if took := time.Since(begun); took > time.Second {
		q.Errorf("it was woken after %v", took)
	}
	mustUnlock(q, lock)
}

func TestInABubbleTheReleaseOfASetWakesTheWaiterForOneOfItsNames(t *testing.T) {
	inBubble(t, 3, func(q *quorumTest) {
		set := q.lockAll(q.rival, []string{"a", "b", "c"}, redlock.WithKeepAlive())
		pending := q.ours.LockAsync(background, "b", redlock.WithRetryDelay(time.Minute, time.Minute))
		time.Sleep(time.Second)
		begun := time.Now()
		mustUnlock(q, set)
		q.wasWoken(pending, begun)
	})
}

// Sets that overlap, in whatever order, make progress.
func TestInABubbleOverlappingSetsDoNotBlockEachOther(t *testing.T) {
	sets := [][]string{{"a", "b"}, {"b", "a"}, {"a", "b", "c"}, {"c", "a"}, {"b"}}
	for _, fair := range []bool{false, true} {
		t.Run(fmt.Sprintf("fair=%v", fair), func(t *testing.T) {
			inBubble(t, 3, func(q *quorumTest) {
				var opts []redlock.LockOption
				if fair {
					opts = append(opts, redlock.WithFair())
				}
				const rounds = 40
				var mu sync.Mutex
				holds := make(map[string]int)
				var all sync.WaitGroup
				begun := time.Now()
				for i, names := range sets {
					l := []*redlock.Locker{q.ours, q.rival}[i%2]
					all.Go(func() {
						for range rounds {
							lock, err := l.LockAll(background, names, opts...)
							if err != nil {
								q.Error(err)
								return
							}
							mu.Lock()
							for _, name := range names {
								if holds[name]++; holds[name] > 1 {
									q.Errorf("two hold %s", name)
								}
							}
							mu.Unlock()
							time.Sleep(time.Millisecond)
							mu.Lock()
							for _, name := range names {
								holds[name]--
							}
							mu.Unlock()
							mustUnlock(q, lock)
						}
					})
				}
				all.Wait()
				q.Logf("%d locks took %v", rounds*len(sets), time.Since(begun))
				if took := time.Since(begun); took > time.Minute {
					q.Errorf("%d locks of a millisecond took %v", rounds*len(sets), took)
				}
			})
		})
	}
}

// With WithFair a set gets its turn among callers that never leave one of its names free.
func TestInABubbleWithFairASetGetsItsTurnAmongSingleNames(t *testing.T) {
	inBubble(t, 3, func(q *quorumTest) {
		stop := make(chan struct{})
		var busy sync.WaitGroup
		for _, name := range []string{"a", "b", "a", "b", "c"} {
			busy.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					lock, err := q.rival.Lock(background, name, redlock.WithFair())
					if err != nil {
						q.Error(err)
						return
					}
					time.Sleep(20 * time.Millisecond)
					mustUnlock(q, lock)
				}
			})
		}
		time.Sleep(time.Second)
		for range 5 {
			begun := time.Now()
			lock := q.lockAll(q.ours, []string{"a", "b", "c"}, redlock.WithFair(), redlock.WithMaxWait(10*time.Second))
			if took := time.Since(begun); took > 500*time.Millisecond {
				q.Errorf("it waited for %v", took)
			}
			time.Sleep(20 * time.Millisecond)
			mustUnlock(q, lock)
		}
		close(stop)
		busy.Wait()
	})
}

// b is free, and a caller that waits for it comes first.
func TestInABubbleWithFairASetDoesNotOvertakeAWaiterForOneOfItsNames(t *testing.T) {
	inBubble(t, 3, func(q *quorumTest) {
		for _, node := range q.Nodes() {
			node.Hold("b", "crashed", time.Second)
		}
		// It asks again some time in the six seconds after b has expired.
		pending := q.ours.LockAsync(background, "b", redlock.WithFair(), redlock.WithRetryDelay(time.Minute, time.Minute), redlock.WithPlaceLease(time.Minute))
		time.Sleep(time.Second + time.Millisecond)
		if _, err := q.rival.TryLockAll(background, []string{"a", "b"}, redlock.WithFair()); !errors.Is(err, redlock.ErrTaken) {
			q.Errorf("%v, want that the waiter comes first", err)
		}
		lock, err := pending.Wait(background)
		if err != nil {
			q.Fatal(err)
		}
		mustUnlock(q, lock)
		mustUnlock(q, q.lockAll(q.rival, []string{"a", "b"}, redlock.WithFair()))
	})
}

func TestInABubbleALostNameEndsTheLockAndReleasesTheOthers(t *testing.T) {
	inBubble(t, 3, func(q *quorumTest) {
		lock := q.lockAll(q.ours, []string{"a", "b"}, redlock.WithKeepAlive())
		if _, err := q.rival.ForceRelease(background, "b"); err != nil {
			q.Fatal(err)
		}
		select {
		case <-lock.Context().Done():
		case <-time.After(time.Minute):
		}
		if cause := context.Cause(lock.Context()); !errors.Is(cause, redlock.ErrLost) {
			q.Errorf("cause %v", cause)
		}
		within(q, time.Second, "a is free", func() bool { return q.carriers("a") == 0 })
	})
}

func TestInABubbleCancelledRequestsForSeveralNamesLeaveNothing(t *testing.T) {
	for _, fair := range []bool{false, true} {
		t.Run(fmt.Sprintf("fair=%v", fair), func(t *testing.T) {
			inBubble(t, 3, func(q *quorumTest) {
				var opts []redlock.LockOption
				if fair {
					opts = append(opts, redlock.WithFair())
				}
				names := []string{"a", "b", "c"}
				held := mustLock(q, q.rival, "b", redlock.WithKeepAlive())
				for i := range 200 {
					p := q.ours.LockAllAsync(background, names, opts...)
					time.Sleep(rand.N(20 * time.Millisecond))
					p.Cancel()
					if i%20 == 0 {
						mustUnlock(q, held)
						held = mustLock(q, q.rival, names[i/20%3], redlock.WithKeepAlive())
					}
				}
				mustUnlock(q, held)
				time.Sleep(3 * positionLease)
				for i, node := range q.Nodes() {
					for _, key := range node.Keys() {
						if !strings.HasSuffix(key, ":wait") {
							q.Errorf("key %q is left on node %d", key, i)
						}
					}
				}
			})
		})
	}
}

// Its positions are given up at once, in the wait queue of every name, and not when they expire.
func TestInABubbleACancelledRequestLeavesTheWaitQueueOfEveryName(t *testing.T) {
	inBubble(t, 3, func(q *quorumTest) {
		held := mustLock(q, q.rival, "b", redlock.WithKeepAlive())
		waiting := func() (n int) {
			for _, node := range q.Nodes() {
				for _, key := range node.Keys() {
					if strings.HasSuffix(key, "}:queue") {
						n++
					}
				}
			}
			return n
		}
		pending := q.ours.LockAllAsync(background, []string{"a", "b", "c"}, redlock.WithFair())
		within(q, time.Second, "it waits for each name on each node", func() bool { return waiting() == 9 })
		pending.Cancel()
		within(q, positionLease/4, "it waits for none", func() bool { return waiting() == 0 })
		mustUnlock(q, held)
	})
}

func TestNamesThatCannotBeLockedTogetherAreRefused(t *testing.T) {
	inBubble(t, 1, func(q *quorumTest) {
		many := make([]string, 129)
		for i := range many {
			many[i] = fmt.Sprint("name", i)
		}
		for _, c := range []struct {
			names []string
			want  string
		}{
			{nil, "redlock: no names of locks were given: give at least one"},
			{many, "redlock: 129 locks at once are too many: take 128 at most, or one lock that stands for all"},
			{[]string{"a", "b", "a"}, `redlock: the name "a" was given twice: a lock is not reentrant; give each name once`},
			{[]string{"a", ""}, "redlock: the name of a lock must not be empty"},
			{[]string{"a", "{b}:fence"}, `redlock: "{b}:fence" cannot be the key of a lock: keys of this form belong to other locks; choose another name or prefix`},
		} {
			_, err := q.ours.LockAll(background, c.names)
			_, tryErr := q.ours.TryLockAll(background, c.names)
			_, asyncErr := q.ours.LockAllAsync(background, c.names).Wait(background)
			doErr := q.ours.DoAll(background, c.names, func(context.Context) error { return nil })
			for _, err := range []error{err, tryErr, asyncErr, doErr} {
				if err == nil || err.Error() != c.want {
					q.Errorf("%.3q...: %v, want %q", c.names, err, c.want)
				}
			}
		}
		if n := q.Node(0).Stats().Commands; n != 0 {
			q.Errorf("%d commands were sent", n)
		}
		lock := q.lockAll(q.ours, many[:128])
		if _, err := lock.Handle(); err == nil || errors.Is(err, redlock.ErrNotHeld) {
			q.Errorf("Handle: %v", err)
		}
		mustUnlock(q, lock)
	})
}

func TestALockOfSeveralNamesIsNotReentrant(t *testing.T) {
	inBubble(t, 1, func(q *quorumTest) {
		inner := func(ctx context.Context) {
			if _, err := q.ours.Lock(ctx, "a", redlock.WithMaxWait(time.Second)); !errors.Is(err, redlock.ErrTaken) || !strings.Contains(err.Error(), `the context is that of lock "a"`) {
				q.Errorf("Lock: %v", err)
			}
		}
		err := q.ours.DoAll(background, []string{"a", "b"}, func(ctx context.Context) error {
			if _, err := q.ours.LockAll(ctx, []string{"b", "c"}, redlock.WithMaxWait(time.Second)); !errors.Is(err, redlock.ErrTaken) || !strings.Contains(err.Error(), `the context is that of lock "b"`) {
				q.Errorf("LockAll: %v", err)
			}
			inner(ctx)
			return q.ours.Do(ctx, "c", func(ctx context.Context) error {
				inner(ctx)
				return nil
			})
		})
		if err != nil {
			q.Error(err)
		}
	})
}

// One of the names expires, and the other one is released before that.
func TestInABubbleASetIsTakenWhenTheLastOfItsNamesIsFree(t *testing.T) {
	for _, fair := range []bool{false, true} {
		t.Run(fmt.Sprintf("fair=%v", fair), func(t *testing.T) {
			inBubble(t, 3, func(q *quorumTest) {
				opts := []redlock.LockOption{redlock.WithRetryDelay(time.Minute, time.Minute)}
				if fair {
					opts = append(opts, redlock.WithFair())
				}
				b := mustLock(q, q.rival, "b", redlock.WithTTL(30*time.Second))
				for _, node := range q.Nodes() {
					node.Hold("a", "crashed", 6*time.Second)
				}
				begun := time.Now()
				pending := q.ours.LockAllAsync(background, []string{"a", "b"}, opts...)
				time.Sleep(time.Second)
				mustUnlock(q, b)
				lock, err := pending.Wait(background)
				if err != nil {
					q.Fatal(err)
				}
				if took := time.Since(begun); took > 6500*time.Millisecond {
					q.Errorf("it was granted after %v, and all were free after 6 s", took)
				}
				mustUnlock(q, lock)
			})
		})
	}
}

// b has a holder. What is left of a, on one node, splits no vote.
func TestInABubbleATakenNameIsAnAnswerWhateverIsLeftOfAnother(t *testing.T) {
	inBubble(t, 3, func(q *quorumTest) {
		q.Node(0).Hold("a", "crashed", time.Hour)
		q.Node(0).Hold("b", "holder", time.Hour)
		q.Node(1).Hold("b", "holder", time.Hour)
		for _, left := range []string{"on one node", "of two clients"} { // then b is the first on none
			begun := time.Now()
			if _, err := q.ours.TryLockAll(background, []string{"a", "b"}); !errors.Is(err, redlock.ErrTaken) {
				q.Errorf("%s: %v", left, err)
			}
			if took := time.Since(begun); took > 100*time.Millisecond {
				q.Errorf("%s: it took %v", left, took)
			}
			q.Node(1).Hold("a", "another", time.Hour)
		}
	})
}

// A master compares one name when a value is published.
func TestNothingIsPublishedAsTheHolderOfSeveralNames(t *testing.T) {
	inBubble(t, 3, func(q *quorumTest) {
		notices, err := board.New(q.ours)
		if err != nil {
			q.Fatal(err)
		}
		lock := q.lockAll(q.ours, []string{"a", "b"}, redlock.WithFencing())
		if _, err := notices.PublishAs(background, lock, "b", "value"); err == nil || !strings.Contains(err.Error(), "several names") {
			q.Errorf("%v, want that it is refused", err)
		}
		mustUnlock(q, lock)
	})
}

// It looks as the queue of a set could be called.
func TestALockOfAnyNameHasNothingToDoWithASet(t *testing.T) {
	inBubble(t, 1, func(q *quorumTest) {
		other := q.lock("1:a;1:b;")
		lock := q.lockAll(q.ours, []string{"a", "b"}, redlock.WithMaxWait(time.Second))
		mustUnlock(q, lock)
		mustUnlock(q, other)
	})
}

func TestInABubbleServersThatMayNotBeWrittenToKeepASetUntilTheyMay(t *testing.T) {
	inBubble(t, 3, func(q *quorumTest) {
		set := q.lockAll(q.ours, []string{"a", "b"}, redlock.WithTTL(time.Hour))
		for _, node := range q.Nodes() {
			node.Demote()
		}
		wantError(q, set.Unlock(background), redlock.ErrNoQuorum) // and not that it was lost
		for _, node := range q.Nodes() {
			node.Promote()
		}
		within(q, time.Minute, "the keys are gone", func() bool { return q.carriers("a")+q.carriers("b") == 0 })
	})
}
