package quorum_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/redlock"
	"github.com/quorumlock/quorumlock/redlocktest"
)

// First come, first served, across Lockers, with the real clients, Lua and pub/sub,
// in virtual time.

// positionLease is the default.
const positionLease = 2 * time.Second

// A wire is a Locker's way to the masters, which can be cut.
type wire struct {
	cluster *redlocktest.Cluster
	hangs   bool // dials that are cut hang
	mu      sync.Mutex
	cut     map[string]bool // by address
	conns   map[net.Conn]string
}

func newWire(cluster *redlocktest.Cluster) *wire {
	return &wire{cluster: cluster, cut: make(map[string]bool), conns: make(map[net.Conn]string)}
}

func (w *wire) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cut[addr] && w.hangs {
		w.mu.Unlock()
		<-ctx.Done()
		w.mu.Lock()
		return nil, ctx.Err()
	}
	if w.cut[addr] {
		return nil, errors.New("cut")
	}
	conn, err := w.cluster.Dial(ctx, network, addr)
	if err == nil {
		w.conns[conn] = addr
	}
	return conn, err
}

// sever cuts the way to some masters.
func (w *wire) sever(nodes ...*redlocktest.Node) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, node := range nodes {
		w.cut[node.Addr()] = true
		for conn, addr := range w.conns {
			if addr == node.Addr() {
				_ = conn.Close() // is as good as cut if it fails
				delete(w.conns, conn)
			}
		}
	}
}

func (w *wire) restore() {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.cut)
}

// A crowd is the fair waiters of one lock.
type crowd struct {
	q    *quorumTest
	mu   sync.Mutex
	next int
	got  []int // in the order in which they were served
	done sync.WaitGroup
}

// arrive adds a waiter, which works for a millisecond once it is served.
func (c *crowd) arrive(l *redlock.Locker, opts ...redlock.LockOption) *redlock.Pending {
	i := c.next
	c.next++
	pending := l.LockAsync(context.Background(), "job", append(opts, redlock.WithFair())...)
	c.done.Go(func() {
		lock, err := pending.Wait(context.Background())
		if errors.Is(err, context.Canceled) {
			return
		}
		if err != nil {
			c.q.Errorf("waiter %d: %v", i, err)
			return
		}
		c.mu.Lock()
		c.got = append(c.got, i)
		c.mu.Unlock()
		time.Sleep(time.Millisecond)
		mustUnlock(c.q, lock)
	})
	within(c.q, 20*time.Millisecond, "it has a ticket", func() bool { _, known := pending.Position(); return known })
	time.Sleep(10 * time.Millisecond) // and a majority knows of it
	return pending
}

// mustBeServed waits until all were, in the order of arrival.
func (c *crowd) mustBeServed() {
	c.q.Helper()
	c.done.Wait()
	if !slices.IsSorted(c.got) || len(c.got) == 0 {
		c.q.Errorf("served in the order %v", c.got)
	}
}

// withThird runs a test with a third Locker, whose wire can be cut.
func withThird(t *testing.T, n int, test func(q *quorumTest, third *redlock.Locker, w *wire), opts ...redlock.Option) {
	t.Helper()
	withTwo(t, func(t *testing.T, lib library) {
		bubble(t, lib, func(t *testing.T) {
			cluster := redlocktest.NewInMemory(t, n)
			q := newQuorumTest(t, lib, cluster, cluster.Dial, opts...)
			w := newWire(cluster)
			third := lib.NewLocker(t, cluster.Addrs(), w.dial, append(opts, redlock.WithOwner("third"))...)
			t.Cleanup(func() {
				w.restore()
				q.endFaults()
				settle(t, third)
			})
			test(q, third, w)
			q.endFaults()
			w.restore()
			time.Sleep(3 * positionLease)
			for i, node := range q.Nodes() {
				for _, key := range node.Keys() {
					if strings.HasPrefix(key, "{job}:") {
						t.Errorf("key %q is left on node %d", key, i)
					}
				}
			}
		})
	})
}

func TestInABubbleFairWaitersOfSeveralLockersAreServedInTheOrderOfArrival(t *testing.T) {
	faults := map[string]func(q *quorumTest){
		"all well":       func(*quorumTest) {},
		"one is down":    func(q *quorumTest) { q.Node(1).Stop() },
		"one is frozen":  func(q *quorumTest) { q.Node(2).Freeze() },
		"one is flushed": func(q *quorumTest) { q.Node(0).FlushScripts() },
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			withThird(t, 3, func(q *quorumTest, third *redlock.Locker, _ *wire) {
				lockers := []*redlock.Locker{q.ours, q.rival, third}
				lock := q.lock("job", redlock.WithFair(), redlock.WithKeepAlive())
				c := &crowd{q: q}
				const waiters = 12
				for i := range waiters {
					if i == waiters/2 {
						fault(q)
					}
					c.arrive(lockers[(i*i+i/3)%len(lockers)]) // some twice in succession
				}
				time.Sleep(2 * positionLease) // positions are kept
				begun := time.Now()
				mustUnlock(q, lock)
				c.mustBeServed()
				if took := time.Since(begun); took > 2*waiters*time.Millisecond {
					q.Errorf("%d locks of a millisecond took %v", waiters, took)
				}
			})
		})
	}
}

func TestInABubbleAMasterThatLostTheWaitQueueLearnsItAgain(t *testing.T) {
	withThird(t, 3, func(q *quorumTest, third *redlock.Locker, _ *wire) {
		lock := q.lock("job", redlock.WithFair(), redlock.WithKeepAlive())
		c := &crowd{q: q}
		for range 2 {
			for _, l := range []*redlock.Locker{third, q.rival, q.ours} {
				c.arrive(l)
			}
		}
		for _, node := range q.Nodes() { // one after the other
			if err := node.StartEmpty(); err != nil {
				q.Fatal(err)
			}
			// A renewal retakes it, unless the attempt of a waiter has it for a short time.
			within(q, time.Minute, "the lock is on all masters", func() bool {
				value, held := q.Node(0).Get("job")
				for _, other := range q.Nodes() {
					v, ok := other.Get("job")
					held = held && ok && v == value
				}
				return held
			})
			time.Sleep(4 * time.Second) // and the renewal is over
		}
		mustUnlock(q, lock)
		c.mustBeServed()
	})
}

func TestInABubbleADeadWaiterIsSkippedAfterItsLease(t *testing.T) {
	withThird(t, 3, func(q *quorumTest, third *redlock.Locker, w *wire) {
		lock := q.lock("job", redlock.WithFair(), redlock.WithKeepAlive())
		dead := third.LockAsync(context.Background(), "job", redlock.WithFair())
		time.Sleep(10 * time.Millisecond)
		next := q.rival.LockAsync(context.Background(), "job", redlock.WithFair())
		time.Sleep(10 * time.Millisecond)
		w.sever(q.Nodes()...)
		mustUnlock(q, lock)

		// The lock is free, but not for this Locker.
		_, err := q.ours.TryLock(context.Background(), "job", redlock.WithFair())
		wantError(q, err, redlock.ErrTaken)
		wantText(q, err, "free on", "other waiters come first")

		begun := time.Now()
		lock, err = next.Wait(context.Background())
		if err != nil {
			q.Fatal(err)
		}
		if took := time.Since(begun); took > positionLease+300*time.Millisecond {
			q.Errorf("served after %v", took)
		}
		// The waiter that counted as dead is in the queue again.
		w.restore()
		time.Sleep(time.Second)
		mustUnlock(q, lock)
		if lock, err = dead.Wait(context.Background()); err != nil {
			q.Fatal(err)
		}
		mustUnlock(q, lock)
	})
}

func TestInABubbleACancelledWaiterLeavesTheWaitQueueAtOnce(t *testing.T) {
	withThird(t, 3, func(q *quorumTest, third *redlock.Locker, _ *wire) {
		for _, cancel := range [][]int{{0}, {1}, {2}, {0, 1}, {0, 1, 2, 3}, {3, 2, 1, 0}, {1, 2, 3, 4}} {
			lock := q.lock("job", redlock.WithFair(), redlock.WithKeepAlive())
			c := &crowd{q: q}
			var all []*redlock.Pending
			for _, l := range []*redlock.Locker{third, third, q.rival, q.ours, third, q.rival} {
				all = append(all, c.arrive(l))
			}
			for _, i := range cancel {
				all[i].Cancel()
			}
			time.Sleep(10 * time.Millisecond)
			begun := time.Now()
			mustUnlock(q, lock)
			c.mustBeServed()
			if took, want := time.Since(begun), time.Duration(len(all)-len(cancel))*time.Millisecond; took > want {
				q.Errorf("without %v: the rest took %v, want %v", cancel, took, want)
			}
		}
	})
}

// Third is the head of the queue, and reaches one of three masters. Another one is down:
// the next waiter needs the master that waits for third.
func TestInABubbleAWaiterWithoutAMajorityDoesNotBlockTheWaitQueue(t *testing.T) {
	withThird(t, 3, func(q *quorumTest, third *redlock.Locker, w *wire) {
		lock := q.lock("job", redlock.WithFair(), redlock.WithKeepAlive())
		c := &crowd{q: q}
		c.arrive(third)
		c.arrive(third)
		c.arrive(q.rival)
		w.sever(q.Node(1), q.Node(2))
		q.Node(2).Stop()
		mustUnlock(q, lock)
		begun := time.Now()
		eventually(q, "the next is served", func() bool {
			c.mu.Lock()
			defer c.mu.Unlock()
			return len(c.got) > 0
		})
		if took := time.Since(begun); took > 2*positionLease {
			q.Errorf("served after %v", took)
		}
		w.restore()
		q.endFaults()
		c.done.Wait()
		if fmt.Sprint(c.got) != "[2 0 1]" {
			q.Errorf("served in the order %v", c.got)
		}
	})
}

func TestInABubbleAFairLockWithoutWaitersCostsTwoCommandsOnEachMaster(t *testing.T) {
	inBubble(t, 3, func(q *quorumTest) {
		mustUnlock(q, q.lock("job", redlock.WithFair())) // loads the scripts
		time.Sleep(time.Second)
		before := q.commands()
		for range 10 {
			mustUnlock(q, q.lock("job", redlock.WithFair()))
			time.Sleep(time.Second)
		}
		if n := q.commands() - before; n != 10*2*3 {
			q.Errorf("%d commands", n)
		}
	})
}

// commands is how many all masters carried out.
func (q *quorumTest) commands() (n int) {
	for _, node := range q.Nodes() {
		n += node.Stats().Commands
	}
	return n
}

func TestInABubbleAPendingKnowsItsPosition(t *testing.T) {
	withThird(t, 3, func(q *quorumTest, third *redlock.Locker, _ *wire) {
		lock := q.lock("job", redlock.WithFair(), redlock.WithKeepAlive())
		c := &crowd{q: q}
		var all []*redlock.Pending
		for i := range 9 {
			all = append(all, c.arrive([]*redlock.Locker{third, q.rival, q.ours}[i%3]))
		}
		time.Sleep(time.Second) // all have tried
		for i, p := range all {
			if before, known := p.Position(); before != i || !known {
				q.Errorf("number %d: %d come first, known: %v", i, before, known)
			}
		}
		mustUnlock(q, lock)
		c.mustBeServed()
		if before, known := all[8].Position(); before != 0 || !known {
			q.Errorf("served: %d come first, known: %v", before, known)
		}
	})
}

// A caller without WithFair takes the lock when it is free: order is lost, exclusion
// is not, and the queue moves on.
func TestInABubbleALockerWithoutFairnessIsExcludedAllTheSame(t *testing.T) {
	withThird(t, 3, func(q *quorumTest, third *redlock.Locker, _ *wire) {
		holders, served := 0, 0
		var all sync.WaitGroup
		for i := range 60 {
			l, opts := []*redlock.Locker{third, q.rival, q.ours}[i%3], []redlock.LockOption{redlock.WithFair()}
			if i%4 == 0 {
				opts = nil
			}
			all.Go(func() {
				lock, err := l.Lock(context.Background(), "job", opts...)
				if err != nil {
					q.Error(err)
					return
				}
				if holders++; holders != 1 {
					q.Errorf("%d holders", holders)
				}
				time.Sleep(time.Millisecond)
				holders--
				served++
				mustUnlock(q, lock)
			})
		}
		begun := time.Now()
		all.Wait()
		if took := time.Since(begun); served != 60 || took > 3*time.Second {
			q.Errorf("%d served after %v", served, took)
		}
	})
}

// Positions are given up, at every stage of an attempt. The lease is so long that a waiter
// behind a leftover position stays blocked.

const longLease = time.Minute

// enqueue adds a waiter that retries only after a wake-up.
func enqueue(l *redlock.Locker, opts ...redlock.LockOption) *redlock.Pending {
	p := l.LockAsync(context.Background(), "job", append(opts, redlock.WithFair())...)
	time.Sleep(20 * time.Millisecond)
	return p
}

// mustGet waits for a lock that is to be granted within a time.
func (q *quorumTest) mustGet(p *redlock.Pending, within time.Duration) *redlock.Lock {
	q.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*longLease)
	defer cancel()
	begun := time.Now()
	lock, err := p.Wait(ctx)
	if err != nil {
		q.Fatal(err)
	}
	if took := time.Since(begun); took > within {
		q.Errorf("granted after %v", took)
	}
	return lock
}

func (q *quorumTest) delayAll(d time.Duration) {
	for _, node := range q.Nodes() {
		node.Delay(d)
	}
}

func TestInABubbleTheNextWaiterIsCancelledWhileTheFirstIsGranted(t *testing.T) {
	withThird(t, 3, func(q *quorumTest, third *redlock.Locker, _ *wire) {
		lock := q.lock("job", redlock.WithFair(), redlock.WithKeepAlive())
		first, second := enqueue(third), enqueue(third)
		other := enqueue(q.rival)
		time.Sleep(time.Second)
		mustUnlock(q, lock)
		q.delayAll(20 * time.Millisecond)
		time.Sleep(10 * time.Millisecond) // the attempt of first, with the ticket of second, is on its way
		second.Cancel()
		lock = q.mustGet(first, time.Second)
		q.delayAll(0)
		time.Sleep(time.Second)
		mustUnlock(q, lock)
		mustUnlock(q, q.mustGet(other, 400*time.Millisecond))
		time.Sleep(3 * longLease)
	}, redlock.WithPlaceLease(longLease))
}

func TestInABubbleAWithdrawalArrivesBeforeTheAttemptOfItsWaiter(t *testing.T) {
	withThird(t, 3, func(q *quorumTest, third *redlock.Locker, _ *wire) {
		lock := q.lock("job", redlock.WithFair(), redlock.WithKeepAlive())
		first := enqueue(third, redlock.WithPlaceLease(longLease), redlock.WithRetryDelay(100*time.Millisecond, 100*time.Millisecond))
		other := enqueue(q.rival)
		time.Sleep(480 * time.Millisecond)
		q.delayAll(300 * time.Millisecond)
		time.Sleep(150 * time.Millisecond) // an attempt of first is on its way
		q.delayAll(0)
		first.Cancel()
		time.Sleep(2 * time.Second)
		mustUnlock(q, lock)
		mustUnlock(q, q.mustGet(other, 300*time.Millisecond))
		time.Sleep(3 * longLease)
	})
}

func TestInABubbleARequeueRevivesNoPositionThatWasGivenUp(t *testing.T) {
	withThird(t, 1, func(q *quorumTest, third *redlock.Locker, _ *wire) {
		lock := q.lock("job", redlock.WithFair(), redlock.WithKeepAlive())
		first := enqueue(third, redlock.WithRetryDelay(100*time.Millisecond, 100*time.Millisecond))
		time.Sleep(500 * time.Millisecond)
		mustUnlock(q, lock)
		q.delayAll(50 * time.Millisecond)
		time.Sleep(10 * time.Millisecond)
		q.delayAll(0)
		first.Cancel()
	})
}

// The masters forget a waiter that died between a grant by too few and its requeue.
func TestInABubbleAPositionOfADeadProcessExpiresOnEveryMaster(t *testing.T) {
	withThird(t, 3, func(q *quorumTest, third *redlock.Locker, w *wire) {
		q.first(2, func(n *redlocktest.Node) { n.Hold("job", "foreign", 3*time.Second) })
		dead := enqueue(third)
		time.Sleep(time.Second)
		w.sever(q.Nodes()...)
		time.Sleep(longLease)
		for i, node := range q.Nodes() {
			if keys := node.Keys(); len(keys) > 0 {
				q.Errorf("node %d still has %q", i, keys)
			}
		}
		dead.Cancel()
	})
}

func TestInABubbleTryLockIsServedAfterTheWaitersOfItsOwnLocker(t *testing.T) {
	withThird(t, 3, func(q *quorumTest, third *redlock.Locker, _ *wire) {
		patient := redlock.WithRetryDelay(10*time.Second, 10*time.Second)
		_ = q.lock("job", redlock.WithFair(), redlock.WithTTL(500*time.Millisecond)) // left to expire
		first, second := enqueue(third, patient), enqueue(q.rival, patient)
		for granted := false; !granted; {
			if lock, err := third.TryLock(context.Background(), "job", redlock.WithFair()); err == nil {
				q.Error("TryLock came first")
				mustUnlock(q, lock)
			}
			select {
			case <-first.Done():
				granted = true
			case <-second.Done():
				q.Fatal("the second came first")
			case <-time.After(3 * time.Millisecond):
			}
		}
		mustUnlock(q, q.mustGet(first, 0))
		mustUnlock(q, q.mustGet(second, time.Second))
		time.Sleep(10 * time.Second) // flags of such long waits live as long
	})
}

func TestInABubbleALockerThatClosesGivesUpItsPosition(t *testing.T) {
	withThird(t, 3, func(q *quorumTest, third *redlock.Locker, _ *wire) {
		lock := q.lock("job", redlock.WithFair(), redlock.WithKeepAlive())
		enqueue(third)
		other := enqueue(q.rival)
		time.Sleep(480 * time.Millisecond)
		for range 5 {
			third.LockAsync(context.Background(), "job", redlock.WithFair())
		}
		settle(q, third)
		mustUnlock(q, lock)
		mustUnlock(q, q.mustGet(other, 300*time.Millisecond))
		time.Sleep(3 * longLease)
	}, redlock.WithPlaceLease(longLease))
}

func TestInABubbleACancelledWaiterBeforeOneWithoutFairnessLeavesNoPosition(t *testing.T) {
	withThird(t, 3, func(q *quorumTest, third *redlock.Locker, _ *wire) {
		lock := q.lock("job", redlock.WithFair(), redlock.WithKeepAlive())
		first := enqueue(third)
		plain := third.LockAsync(context.Background(), "job")
		time.Sleep(20 * time.Millisecond)
		other := enqueue(q.rival)
		time.Sleep(time.Second)
		first.Cancel()
		time.Sleep(time.Second)
		mustUnlock(q, lock)
		for range 2 { // in any order
			select {
			case <-plain.Done():
				mustUnlock(q, q.mustGet(plain, 0))
				plain = third.LockAsync(context.Background(), "another")
			case <-other.Done():
				mustUnlock(q, q.mustGet(other, 0))
				other = plain
			case <-time.After(time.Second):
				q.Error("a waiter is not served")
			}
		}
		time.Sleep(3 * longLease)
	}, redlock.WithPlaceLease(longLease))
}

// With an even number of masters half of them are no majority, but another waiter may
// need them.
func TestInABubbleAWaiterThatReachesHalfOfTheMastersDoesNotBlockTheWaitQueue(t *testing.T) {
	for _, hangs := range []bool{false, true} {
		for _, n := range []int{2, 4} {
			withThird(t, n, func(q *quorumTest, third *redlock.Locker, w *wire) {
				w.hangs = hangs
				lock := q.lock("job", redlock.WithFair(), redlock.WithKeepAlive())
				first := enqueue(third)
				other := enqueue(q.rival)
				time.Sleep(time.Second)
				w.sever(q.Nodes()[n/2:]...)
				mustUnlock(q, lock)
				mustUnlock(q, q.mustGet(other, 2*positionLease))
				w.restore()
				mustUnlock(q, q.mustGet(first, 20*time.Second))
			})
		}
	}
}
