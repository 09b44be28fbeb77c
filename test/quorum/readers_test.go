package quorum_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/redlock"
	"github.com/quorumlock/quorumlock/test/internal/testbed"
)

// Readers and writers, with the real clients, Lua and pub/sub, in virtual time.

func (q *quorumTest) read(l *redlock.Locker, name string, opts ...redlock.LockOption) *redlock.Lock {
	q.Helper()
	lock, err := l.RLock(background, name, opts...)
	if err != nil {
		q.Fatal(err)
	}
	return lock
}

func TestInABubbleReadersShareALockAndExcludeWriters(t *testing.T) {
	inBubble(t, 3, func(q *quorumTest) {
		one, two := q.read(q.ours, "job"), q.read(q.rival, "job")
		three, err := q.rival.TryRLock(background, "job", redlock.WithFair())
		if err != nil {
			q.Fatal(err)
		}
		for _, lock := range []*redlock.Lock{one, two, three} {
			if !lock.Shared() || lock.Context().Err() != nil {
				q.Errorf("shared %v, %v", lock.Shared(), lock.Context().Err())
			}
			if err := lock.Extend(background); err != nil {
				q.Error(err)
			}
		}
		for what, opts := range map[string][]redlock.LockOption{"plain": nil, "fair": {redlock.WithFair()}, "fenced": {redlock.WithFencing()}} {
			_, err := q.ours.TryLock(background, "job", opts...)
			var taken *redlock.QuorumError
			if !errors.Is(err, redlock.ErrTaken) || !errors.As(err, &taken) || len(taken.Holders) != 1 || taken.Holders[0].Readers != 3 {
				q.Errorf("%s: %v, want that three readers have it", what, err)
			}
		}
		mustUnlock(q, one)
		mustUnlock(q, three)
		if _, err := q.ours.TryLock(background, "job"); !errors.Is(err, redlock.ErrTaken) {
			q.Errorf("%v, want that the last reader keeps it out", err)
		}
		mustUnlock(q, two)
		writer := mustLock(q, q.ours, "job")
		if writer.Shared() {
			q.Error("a writer shares")
		}
		if _, err := q.rival.TryRLock(background, "job"); !errors.Is(err, redlock.ErrTaken) || !strings.Contains(err.Error(), "by ours on ") {
			q.Errorf("%v, want that the writer has it", err)
		}
		mustUnlock(q, writer)
		mustUnlock(q, q.read(q.rival, "job"))
		within(q, time.Second, "the key is gone", func() bool { return q.carriers("job") == 0 })
	})
}

func TestInABubbleAReaderThatDiedCostsItsOwnTTL(t *testing.T) {
	inBubble(t, 3, func(q *quorumTest) {
		q.read(q.ours, "job", redlock.WithTTL(2*time.Second)) // and never again
		other := q.read(q.rival, "job", redlock.WithTTL(time.Minute), redlock.WithKeepAlive())
		time.Sleep(90 * time.Second)
		mustUnlock(q, other)
		begun := time.Now()
		mustUnlock(q, mustLock(q, q.ours, "job"))
		if took := time.Since(begun); took > 0 {
			q.Errorf("a writer waited for %v", took)
		}

		q.read(q.ours, "job", redlock.WithTTL(8*time.Second))
		mustUnlock(q, q.read(q.rival, "job", redlock.WithTTL(time.Minute))) // the key does not outlive the last reader
		begun = time.Now()
		time.Sleep(8 * time.Second)
		for i, node := range q.Nodes() {
			if slices.Contains(node.Keys(), "job") {
				q.Errorf("node %d keeps the key, which other libraries look at", i)
			}
		}
		mustUnlock(q, mustLock(q, q.rival, "job"))
		if took := time.Since(begun); took > 9*time.Second {
			q.Errorf("a writer waited for %v", took)
		}
	})
}

// A writer gets its turn among readers that are never all gone, and they theirs among writers.
func TestInABubbleNeitherReadersNorWritersStarve(t *testing.T) {
	for _, fair := range []bool{false, true} {
		t.Run(fmt.Sprintf("fair=%v", fair), func(t *testing.T) {
			inBubble(t, 3, func(q *quorumTest) {
				var opts []redlock.LockOption
				if fair {
					opts = append(opts, redlock.WithFair())
				}
				var inside, longest [2]atomic.Int64 // of readers, and of writers
				readers, lasts := 4, 2*time.Second
				if testbed.Long() {
					readers, lasts = 16, time.Minute
				}
				end := time.Now().Add(lasts)
				var all sync.WaitGroup
				for i := range 3 + readers {
					l, kind := []*redlock.Locker{q.ours, q.rival}[i%2], 0
					take := l.RLock
					if i < 3 {
						take, kind = l.Lock, 1
					}
					all.Go(func() {
						for time.Now().Before(end) {
							begun := time.Now()
							lock, err := take(background, "job", opts...)
							if err != nil {
								q.Error(err)
								return
							}
							if waited := int64(time.Since(begun)); waited > longest[kind].Load() {
								longest[kind].Store(waited)
							}
							if n, others := inside[kind].Add(1), inside[1-kind].Load(); others > 0 || kind == 1 && n > 1 {
								q.Errorf("%d of a kind, and %d others", n, others)
							}
							time.Sleep(40 * time.Millisecond)
							inside[kind].Add(-1)
							mustUnlock(q, lock)
							if kind == 1 {
								time.Sleep(60 * time.Millisecond)
							}
						}
					})
				}
				all.Wait()
				r, w := time.Duration(longest[0].Load()), time.Duration(longest[1].Load())
				q.Logf("the longest wait of a reader %v, of a writer %v", r, w)
				if limit := 3 * time.Second / 2; r > limit || w > limit {
					q.Errorf("a reader waited for %v, a writer for %v", r, w)
				}
			})
		})
	}
}

func TestInABubbleReadersThatNoWriterIsBetweenComeInTogether(t *testing.T) {
	inBubble(t, 3, func(q *quorumTest) {
		opts := []redlock.LockOption{redlock.WithFair(), redlock.WithRetryDelay(time.Minute, time.Minute), redlock.WithPlaceLease(time.Minute), redlock.WithKeepAlive()}
		first := q.read(q.ours, "job", opts...)
		var order []string
		var mu sync.Mutex
		var all sync.WaitGroup
		arrive := func(what string, take func(context.Context, string, ...redlock.LockOption) (*redlock.Lock, error)) {
			all.Go(func() {
				lock, err := take(background, "job", opts...)
				if err != nil {
					q.Error(err)
					return
				}
				mu.Lock()
				order = append(order, what)
				mu.Unlock()
				time.Sleep(time.Second)
				mustUnlock(q, lock)
			})
			time.Sleep(100 * time.Millisecond)
		}
		arrive("reader 1", q.rival.RLock)
		arrive("writer", q.rival.Lock)
		arrive("reader 2", q.ours.RLock)
		arrive("reader 3", q.rival.RLock)
		arrive("reader 4", q.ours.RLock)
		begun := time.Now()
		mustUnlock(q, first)
		all.Wait()
		if got := strings.Join(order[:2], ", "); got != "reader 1, writer" {
			q.Errorf("%q", order)
		}
		if took := time.Since(begun); took > 3*time.Second {
			q.Errorf("they took %v", took)
		}
	})
}

func TestInABubbleAWriterBecomesAReaderWithoutAGap(t *testing.T) {
	for _, fair := range []bool{false, true} {
		t.Run(fmt.Sprintf("fair=%v", fair), func(t *testing.T) {
			inBubble(t, 3, func(q *quorumTest) {
				opts := []redlock.LockOption{redlock.WithRetryDelay(time.Minute, time.Minute)}
				if fair {
					opts = append(opts, redlock.WithFair(), redlock.WithPlaceLease(time.Minute))
				}
				lock := mustLock(q, q.ours, "job", redlock.WithFencing(), redlock.WithKeepAlive(), redlock.WithTTL(time.Minute))
				token := lock.Token()
				var others [3]*redlock.Lock
				var all sync.WaitGroup
				for i := range others {
					all.Go(func() {
						others[i] = q.read(q.rival, "job", append(opts, redlock.WithFencing(), redlock.WithKeepAlive())...)
					})
				}
				time.Sleep(time.Second)
				begun := time.Now()
				if err := lock.Downgrade(background); err != nil {
					q.Fatal(err)
				}
				all.Wait()
				if took := time.Since(begun); took > 100*time.Millisecond {
					q.Errorf("the readers were let in after %v", took)
				}
				if !lock.Shared() || lock.Token() != token || others[0].Token() != token {
					q.Errorf("shared %v, tokens %d and %d, want %d", lock.Shared(), lock.Token(), others[0].Token(), token)
				}
				time.Sleep(5 * time.Minute)
				if _, err := q.rival.TryLock(background, "job"); !errors.Is(err, redlock.ErrTaken) {
					q.Errorf("%v, want that it is taken", err)
				}
				for _, reader := range append(others[:], lock) {
					if err := context.Cause(reader.Context()); err != nil {
						q.Error(err)
					}
					mustUnlock(q, reader)
				}
				mustUnlock(q, mustLock(q, q.rival, "job"))
			})
		})
	}
}

func TestInABubbleALockIsNeitherUpgradedNorReadTwiceByOneCaller(t *testing.T) {
	inBubble(t, 3, func(q *quorumTest) {
		err := q.ours.RDo(background, "job", func(ctx context.Context) error {
			for what, take := range map[string]func(context.Context, string, ...redlock.LockOption) (*redlock.Lock, error){"Lock": q.ours.Lock, "RLock": q.ours.RLock} {
				if _, err := take(ctx, "job"); !errors.Is(err, redlock.ErrTaken) || !strings.Contains(err.Error(), "cannot be upgraded") {
					q.Errorf("%s: %v", what, err)
				}
			}
			return nil
		})
		if err != nil {
			q.Error(err)
		}
		reader := q.read(q.ours, "job")
		if _, err := reader.Handle(); err == nil || !strings.Contains(err.Error(), "shared with other readers cannot be handed over") {
			q.Errorf("hand over: %v", err)
		}
		if err := reader.Downgrade(background); err != nil {
			q.Errorf("downgrade of a reader: %v", err)
		}
		mustUnlock(q, reader)
		set := q.lockAll(q.ours, []string{"a", "b"})
		if err := set.Downgrade(background); err == nil || !strings.Contains(err.Error(), "cannot be downgraded") {
			q.Errorf("downgrade of a set: %v", err)
		}
		mustUnlock(q, set)
	})
}

// A node that missed one of the readers has another value, and is read all the same.
func TestInABubbleReadersAreOneHolderThoughNodesHaveDifferentOnes(t *testing.T) {
	inBubble(t, 3, func(q *quorumTest) {
		missed := func(node int, l *redlock.Locker) *redlock.Lock {
			q.Node(node).DropRequests(true)
			defer q.Node(node).DropRequests(false)
			defer time.Sleep(2 * time.Second) // until the command that was lost is given up
			return q.read(l, "job", redlock.WithTTL(time.Minute))
		}
		one, two := missed(1, q.ours), missed(0, q.rival)
		within(q, 5*time.Second, "one of them at least is on a majority, and each node is read", func() bool {
			state, _, err := q.ours.InspectNodes(background, "job")
			return err == nil && state.Nodes == 3 && state.Readers == 1 && state.Blocked == 0
		})
		mustUnlock(q, one)
		mustUnlock(q, two)
	})
}

func TestInABubbleReadersAreShownWithTheirNumber(t *testing.T) {
	inBubble(t, 3, func(q *quorumTest) {
		ctx, stop := context.WithCancel(background)
		defer stop()
		changes, err := q.ours.Watch(ctx, "job")
		if err != nil {
			q.Fatal(err)
		}
		<-changes
		one := q.read(q.ours, "job", redlock.WithTTL(time.Minute))
		two := q.read(q.rival, "job", redlock.WithTTL(time.Minute))
		time.Sleep(time.Second) // all nodes have both by then
		state, nodes, err := q.ours.InspectNodes(background, "job")
		if err != nil || state.Readers != 2 || state.Nodes != 3 || nodes[1].Readers != 2 || state.TTL < 50*time.Second {
			q.Errorf("%+v, %+v, %v", state, nodes, err)
		}
		if want := `"job" is held by `; !strings.HasPrefix(state.String(), want) {
			q.Errorf("%q does not begin with %q", state, want)
		}
		time.Sleep(10 * time.Second)
		if c := <-changes; c.Kind != redlock.Acquired || c.State.Readers != 2 {
			q.Errorf("change %v", c)
		}
		list, err := q.ours.List(background, "")
		if err != nil || len(list.Locks) != 1 || list.Locks[0].Readers != 2 {
			q.Errorf("listed %+v, %v", list, err)
		}
		forced, err := q.ours.ForceRelease(background, "job")
		if err != nil || forced.Readers != 2 || len(forced.Holders) != 1 || forced.Holders[0].Nodes != 3 {
			q.Errorf("%+v, %v", forced, err)
		}
		for _, reader := range []*redlock.Lock{one, two} {
			if err := reader.Extend(background); !errors.Is(err, redlock.ErrNotHeld) {
				q.Errorf("extended after it was released by force: %v", err)
			}
		}
	})
}

// A set waits for readers of one of its names, and a set keeps readers out.
func TestInABubbleSetsAndReadersExcludeEachOther(t *testing.T) {
	for _, fair := range []bool{false, true} {
		t.Run(fmt.Sprintf("fair=%v", fair), func(t *testing.T) {
			inBubble(t, 3, func(q *quorumTest) {
				var opts []redlock.LockOption
				if fair {
					opts = append(opts, redlock.WithFair())
				}
				end := time.Now().Add(time.Second)
				var all sync.WaitGroup
				for range 4 {
					all.Go(func() {
						for time.Now().Before(end) {
							reader := q.read(q.rival, "b", opts...)
							time.Sleep(40 * time.Millisecond)
							mustUnlock(q, reader)
						}
					})
				}
				time.Sleep(200 * time.Millisecond)
				for range 3 {
					begun := time.Now()
					set := q.lockAll(q.ours, []string{"a", "b", "c"}, opts...)
					if took := time.Since(begun); took > time.Second {
						q.Errorf("the set waited for %v", took)
					}
					if _, err := q.rival.TryRLock(background, "c"); !errors.Is(err, redlock.ErrTaken) {
						q.Errorf("%v, want that it is taken", err)
					}
					mustUnlock(q, set)
					time.Sleep(100 * time.Millisecond)
				}
				all.Wait()
			})
		})
	}
}

func TestInABubbleNoNewReaderIsLetInWhileASetWaits(t *testing.T) {
	inBubble(t, 3, func(q *quorumTest) {
		reader := q.read(q.rival, "b")
		waits := q.ours.LockAllAsync(background, []string{"a", "b", "c"})
		time.Sleep(time.Second) // by then it has found the reader, and left its mark
		if _, err := q.rival.TryRLock(background, "b"); !errors.Is(err, redlock.ErrTaken) {
			q.Errorf("%v, want that the set comes first", err)
		}
		mustUnlock(q, reader)
		set, err := waits.Wait(background)
		if err != nil {
			q.Fatal(err)
		}
		mustUnlock(q, set)
		mustUnlock(q, q.read(q.rival, "b"))
	})
}

// A reader and a writer that ask at the same moment may have some nodes each. That is no answer to
// either: one of them gets the lock.
func TestInABubbleAWriterThatMetAReaderWithoutAMajorityTriesAgain(t *testing.T) {
	inBubble(t, 3, func(q *quorumTest) {
		reader := q.read(q.rival, "job")
		time.Sleep(time.Second) // all nodes have it by then
		q.Node(2).Delete("job") // so it is on node 1, as that of an attempt is,
		q.Node(0).Stop()        // and node 0 does not say that it had a majority
		time.AfterFunc(10*time.Millisecond, func() { _ = reader.Unlock(background) })
		writer, err := q.ours.TryLock(background, "job")
		if err != nil {
			q.Fatal(err)
		}
		mustUnlock(q, writer)
		if err := q.Node(0).Start(); err != nil {
			q.Fatal(err)
		}
	})
}

// The writers of one process hand the lock on to each other, and hear of each release before any
// reader does.
func TestInABubbleWritersOfAProcessLetItsReadersIn(t *testing.T) {
	inBubble(t, 3, func(q *quorumTest) {
		for _, n := range q.Nodes() {
			n.Delay(200 * time.Microsecond)
		}
		done := make(chan struct{})
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for {
					lock := mustLock(q, q.ours, "job")
					time.Sleep(20 * time.Millisecond)
					mustUnlock(q, lock)
					select {
					case <-done:
						return
					default:
					}
				}
			})
		}
		for range 5 {
			time.Sleep(100 * time.Millisecond)
			begun := time.Now()
			mustUnlock(q, q.read(q.ours, "job"))
			if took := time.Since(begun); took > 500*time.Millisecond {
				q.Errorf("a reader waited for %v", took)
			}
		}
		close(done)
		all.Wait()
	})
}

// A writer that gives up is in nobody's way any more: the readers behind it are let in at once.
func TestInABubbleReadersAreLetInWhenTheWriterBeforeThemGivesUp(t *testing.T) {
	inBubble(t, 3, func(q *quorumTest) {
		opts := []redlock.LockOption{redlock.WithFair(), redlock.WithRetryDelay(time.Minute, time.Minute), redlock.WithPlaceLease(time.Minute), redlock.WithKeepAlive()}
		first := q.read(q.ours, "job", opts...)
		ctx, giveUp := context.WithCancel(background)
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := q.rival.Lock(ctx, "job", opts...); !errors.Is(err, context.Canceled) {
				q.Error(err)
			}
		})
		time.Sleep(time.Second)
		var readers [2]*redlock.Lock
		for i, l := range []*redlock.Locker{q.ours, q.rival} {
			all.Go(func() { readers[i] = q.read(l, "job", opts...) })
		}
		time.Sleep(time.Second)
		begun := time.Now()
		giveUp()
		all.Wait()
		if took := time.Since(begun); took > time.Second {
			q.Errorf("the readers were let in after %v", took)
		}
		for _, reader := range append(readers[:], first) {
			mustUnlock(q, reader)
		}
	})
}

// Whatever Downgrade returns, its caller is no writer any more: the renewals go on with it.
func TestInABubbleADowngradeThatIsCutShortIsDoneByTheRenewals(t *testing.T) {
	inBubble(t, 3, func(q *quorumTest) {
		lock := mustLock(q, q.ours, "job", redlock.WithKeepAlive(), redlock.WithTTL(3*time.Second))
		ctx, cancel := context.WithCancel(background)
		cancel()
		if err := lock.Downgrade(ctx); !errors.Is(err, context.Canceled) {
			q.Error(err)
		}
		if !lock.Shared() {
			q.Error("it is still that of a writer")
		}
		time.Sleep(3 * time.Second)
		reader, err := q.rival.TryRLock(background, "job")
		if err != nil {
			q.Fatal(err)
		}
		mustUnlock(q, reader)
		mustUnlock(q, lock)
	})
}
