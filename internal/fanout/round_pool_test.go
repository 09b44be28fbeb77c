package fanout

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/quorumlock/quorumlock/internal/fakenode"
	"github.com/quorumlock/quorumlock/internal/node"
	"github.com/quorumlock/quorumlock/internal/quorum"
)

// A checkingPool is a roundPool whose rounds have a marker as long as they are in it. Code that
// reads one panics, code that writes to one is found later, and the race detector sees both.
type checkingPool struct {
	t *testing.T

	mu     sync.Mutex // protects the rest
	rounds []*Round
	puts   int
}

// reader receives nothing.
type reader struct{}

func (reader) Answer(*node.Call, node.Answer) { panic("the call was reused") }
func (reader) Late(*node.Call, node.Answer)   { panic("the call was reused") }

func marker(i int) call {
	return call{Call: node.Call{Receiver: reader{}, Index: math.MinInt + i}, due: true, counted: true, answered: true, returned: true}
}

// Put implements roundPool.
func (c *checkingPool) Put(x any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := x.(*Round)
	for i := range r.calls {
		if r.calls[i] != (call{}) {
			c.t.Errorf("call %d is not zero: %+v", i, r.calls[i])
		}
		r.calls[i] = marker(i)
	}
	r.request.Verb, r.request.TTL = math.MaxUint8, math.MinInt64
	r.outcome = math.MaxInt8
	r.refs.Store(math.MinInt32)
	c.rounds = append(c.rounds, r)
	c.puts++
}

// Get implements roundPool. The round that was put last is the one that other code is most
// likely to have still. Half of the time it stays in the pool, so that this is seen.
func (c *checkingPool) Get() any {
	c.mu.Lock()
	defer c.mu.Unlock()
	last := len(c.rounds) - 1
	if last < 0 || rand.IntN(2) == 0 {
		return nil
	}
	r := c.rounds[last]
	c.rounds = c.rounds[:last]
	c.checkIntact(r)
	clear(r.calls)
	r.request.Verb, r.request.TTL, r.outcome = 0, 0, quorum.Open
	return r
}

func (c *checkingPool) checkIntact(r *Round) {
	intact := r.group == nil && r.refs.Load() == math.MinInt32 && r.outcome == math.MaxInt8 && r.tally == quorum.Tally{}
	for i := range r.calls {
		intact = intact && r.calls[i] == marker(i)
	}
	if !intact {
		c.t.Errorf("a round in the pool was written to: %+v", r.calls)
	}
}

// countPuts is how many rounds were given back so far.
func (c *checkingPool) countPuts() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.puts
}

// countFree is how many rounds are in the pool. It checks that all are intact.
func (c *checkingPool) countFree() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.rounds {
		c.checkIntact(r)
	}
	return len(c.rounds)
}

// checkRounds makes the group keep its rounds in a checkingPool, if it reuses them.
func checkRounds(t *testing.T, g *Group) *checkingPool {
	if g.rounds == nil {
		return nil
	}
	c := &checkingPool{t: t}
	g.rounds = c
	return c
}

// onPipelined is onNodes on clients for which rounds are reused.
func onPipelined(t *testing.T, n int, f func(t *testing.T, g *Group, nodes []*fakenode.Node, pool *checkingPool)) {
	t.Helper()
	onNodes(t, n, func(t *testing.T, g *Group, nodes []*fakenode.Node) {
		if c, ok := g.rounds.(*checkingPool); ok {
			f(t, g, nodes, c)
		}
	})
}

func TestRoundsAreReusedOnlyIfAllClientsAreSubmitters(t *testing.T) {
	nodes, pools := fakenode.Pools(3)
	for i := range pools {
		if g := NewGroup(pools, 0.01, 0, nil); g.rounds != nil {
			t.Errorf("reused with %d of 3 such clients", i)
		}
		pools[i] = fakenode.Pipelined{Node: nodes[i]}
	}
	if g := NewGroup(pools, 0.01, 0, nil); g.rounds == nil {
		t.Error("not reused")
	}
}

// wantFree waits until all goroutines are idle, and counts.
func wantFree(t *testing.T, c *checkingPool, when string, want int) {
	t.Helper()
	synctest.Wait()
	if got := c.countFree(); got != want {
		t.Errorf("%s: %d rounds are in the pool, want %d", when, got, want)
	}
}

func TestRoundReturnsToThePoolWhenItsResultWasReadAndAllNodesHaveAnswered(t *testing.T) {
	onPipelined(t, 3, func(t *testing.T, g *Group, nodes []*fakenode.Node, pool *checkingPool) {
		nodes[2].Set(fakenode.Faults{ReplyDelay: 10 * time.Millisecond})
		c := g.NewClaim("k", "v", timeout)
		result := wait(t, c.Acquire(background, ttl), quorum.Won)
		time.Sleep(20 * time.Millisecond)
		wantFree(t, pool, "not read", 0)
		if _, answered := result.Answer(0); !answered {
			t.Error("the result is gone")
		}
		result.Done()
		wantFree(t, pool, "read", 1)

		result = wait(t, c.Extend(background, ttl, time.Now()), quorum.Won)
		result.Done()
		before := pool.countPuts()
		if time.Sleep(5 * time.Millisecond); pool.countPuts() != before {
			t.Error("given back while a node has not answered")
		}
		if time.Sleep(10 * time.Millisecond); pool.countPuts() != before+1 {
			t.Error("not given back when the last node had answered")
		}
		wait(t, c.Release(background), quorum.Won).Done()
	})
}

func TestRoundThatIsNotWaitedForReturnsToThePool(t *testing.T) {
	onPipelined(t, 3, func(t *testing.T, g *Group, nodes []*fakenode.Node, pool *checkingPool) {
		for _, n := range nodes {
			n.Set(fakenode.Faults{ReplyDelay: 10 * time.Millisecond})
		}
		ctx, cancel := context.WithTimeout(background, time.Millisecond)
		defer cancel()
		c := g.NewClaim("k", "v", timeout)
		if _, decided := c.Acquire(ctx, ttl).Wait(ctx); decided {
			t.Error("decided")
		}
		wantFree(t, pool, "in flight", 0)
		time.Sleep(10 * time.Millisecond)
		wantFree(t, pool, "answered", 1)
		c.RollBack()
	})
}

func TestRoundReturnsToThePoolWhenTheClientHasReturnedFromAnOutstandingCall(t *testing.T) {
	onPipelined(t, 3, func(t *testing.T, g *Group, nodes []*fakenode.Node, pool *checkingPool) {
		nodes[2].Set(fakenode.Faults{ReplyDelay: 2 * timeout, Uninterrupted: true})
		c := g.NewClaim("k", "v", timeout)
		wait(t, c.Acquire(background, ttl), quorum.Won).Done()
		time.Sleep(timeout + 10*time.Millisecond)
		wantFree(t, pool, "given up", 0)
		time.Sleep(timeout)
		wantFree(t, pool, "returned", 1)
		nodes[2].Set(fakenode.Faults{})
		wait(t, c.Release(background), quorum.Won).Done()
	})
}

// The node gives a call up on one goroutine, and the client returns on another.
func TestRoundReturnsToThePoolAfterAnswerAndLateInEitherOrder(t *testing.T) {
	onPipelined(t, 1, func(t *testing.T, g *Group, _ []*fakenode.Node, pool *checkingPool) {
		for _, lateFirst := range []bool{false, true} {
			c := g.NewClaim("k", "v", timeout)
			r := newRound(background, node.Acquire, c, ttl, timeout)
			sent := c.setInFlight(&r.calls[0])
			halves := []func(){
				func() { sent.Answer(&sent.Call, node.Answer{Err: context.DeadlineExceeded, InClient: true}) },
				func() { sent.Late(&sent.Call, node.Answer{Err: context.DeadlineExceeded}) },
			}
			if lateFirst {
				halves[0], halves[1] = halves[1], halves[0]
			}
			r.unref()
			before := pool.countPuts()
			if halves[0](); pool.countPuts() != before {
				t.Errorf("late first: %v: given back after one half", lateFirst)
			}
			if halves[1](); pool.countPuts() != before+1 {
				t.Errorf("late first: %v: not given back", lateFirst)
			}
			c.RollBack()
		}
	})
}

// A call is superseded before it is sent.
func TestRoundWhoseCallsWereNotSentReturnsToThePool(t *testing.T) {
	onPipelined(t, 3, func(t *testing.T, g *Group, nodes []*fakenode.Node, pool *checkingPool) {
		c := acquire(t, g)
		for _, n := range nodes {
			n.Set(fakenode.Faults{ReplyDelay: 10 * time.Millisecond})
		}
		first := c.Extend(background, ttl, time.Now())
		second := c.Extend(background, ttl, time.Now()) // next
		third := c.Release(background)                  // supersedes it
		wait(t, second, quorum.Lost).Done()
		wantFree(t, pool, "superseded before it was sent", 1)
		fourth := c.Release(background) // is sent for both releases
		late := c.Extend(background, ttl, time.Now())
		wait(t, late, quorum.Lost).Done()
		wait(t, first, quorum.Won).Done()
		wait(t, third, quorum.Won).Done()
		wait(t, fourth, quorum.Won).Done()
		if synctest.Wait(); pool.countPuts() != 5 {
			t.Errorf("%d rounds were given back, want 5", pool.countPuts())
		}
		pool.countFree()
	})
}

func TestRefusedRoundReturnsToThePool(t *testing.T) {
	onPipelined(t, 1, func(t *testing.T, g *Group, nodes []*fakenode.Node, pool *checkingPool) {
		nodes[0].Set(fakenode.Faults{LoseRequests: true})
		const crowd = 80 // more than the circuit breaker lets through
		for i := range crowd {
			c := g.NewClaim(fmt.Sprint("lost ", i), "v", timeout)
			wait(t, c.Acquire(background, ttl), quorum.Lost).Done()
			c.RollBack()
		}
		if synctest.Wait(); pool.countPuts() != crowd {
			t.Errorf("%d rounds were given back, want %d", pool.countPuts(), crowd)
		}
		if n := len(nodes[0].Log()); n != 0 {
			t.Errorf("%d commands took effect", n)
		}
		nodes[0].Set(fakenode.Faults{})
		time.Sleep(time.Minute) // probes
	})
}

// Locks come and go while nodes lose, delay, freeze and refuse. The checkingPool, or the race
// detector, finds code that touches a round in the pool.
func TestRoundInThePoolIsNotTouched(t *testing.T) {
	onPipelined(t, 3, func(t *testing.T, g *Group, nodes []*fakenode.Node, pool *checkingPool) {
		faults := []func() fakenode.Faults{
			func() fakenode.Faults { return fakenode.Faults{} },
			func() fakenode.Faults { return fakenode.Faults{ReplyDelay: soon(timeout / 4)} },
			func() fakenode.Faults { return fakenode.Faults{Delay: soon(timeout / 2)} },
			func() fakenode.Faults { return fakenode.Faults{ReplyDelay: soon(2 * timeout), Uninterrupted: true} },
			func() fakenode.Faults { return fakenode.Faults{ReplyDelay: timeout, Uninterrupted: true} }, // given up and answered at once
			func() fakenode.Faults { return fakenode.Faults{Delay: soon(3 * timeout), Uninterrupted: true} },
			func() fakenode.Faults { return fakenode.Faults{LoseReplies: true} },
			func() fakenode.Faults { return fakenode.Faults{Refuse: true} },
			func() fakenode.Faults { return fakenode.Faults{Reset: true, Delay: soon(timeout)} },
			func() fakenode.Faults { return fakenode.Faults{Error: "ERR no"} },
			func() fakenode.Faults { return fakenode.Faults{NoNative: true} },
		}
		var all sync.WaitGroup
		for worker := range 100 {
			all.Go(func() {
				for i := range 15 {
					useClaim(g, fmt.Sprint("k", worker%20), fmt.Sprint(worker, "/", i))
				}
			})
		}
		over := make(chan struct{})
		var faulty sync.WaitGroup
		faulty.Go(func() {
			for {
				n := nodes[rand.IntN(len(nodes))]
				n.Thaw()
				n.Set(faults[rand.IntN(len(faults))]())
				switch rand.IntN(6) {
				case 0:
					n.Freeze()
				case 1:
					n.Lose()
				}
				select {
				case <-time.After(soon(timeout)):
				case <-over:
					return
				}
			}
		})
		all.Wait()
		close(over)
		faulty.Wait()
		for _, n := range nodes {
			n.Set(fakenode.Faults{})
			n.Thaw()
		}
		time.Sleep(2 * fakenode.ClientTimeout) // until no client has a call
		pool.countFree()
		t.Logf("%d rounds were given back", pool.countPuts())
	})
}

// useClaim uses one claim from its acquire to its release, at random.
func useClaim(g *Group, key, value string) {
	c := g.NewClaim(key, value, timeout)
	won := useRound(c.Acquire, ttl)
	if won {
		c.RetakeUntil(time.Now().Add(ttl))
	}
	var all sync.WaitGroup
	for range rand.IntN(3) {
		all.Go(func() {
			time.Sleep(soon(timeout))
			useRound(func(ctx context.Context, ttl time.Duration) *Round {
				return c.Extend(ctx, ttl, time.Now().Add(timeout))
			}, ttl)
		})
	}
	for range rand.IntN(3) {
		all.Go(func() {
			time.Sleep(soon(timeout))
			useRound(func(ctx context.Context, _ time.Duration) *Round { return c.Release(ctx) }, 0)
		})
	}
	all.Wait()
	c.RollBack()
	time.Sleep(soon(timeout / 10))
}

// useRound starts a round, waits for it or not, and reads the result for a while.
func useRound(start func(context.Context, time.Duration) *Round, ttl time.Duration) (won bool) {
	ctx, cancel := context.WithTimeout(background, soon(2*timeout))
	defer cancel()
	result, decided := start(ctx, ttl).Wait(ctx)
	if !decided {
		return false
	}
	before := fmt.Sprint(answers(result))
	time.Sleep(soon(timeout))
	if after := fmt.Sprint(answers(result)); before != after {
		panic("the result changed: " + before + ", " + after)
	}
	result.Done()
	return result.Outcome == quorum.Won
}

func answers(r Result) (all []node.Answer) {
	for i := range r.Nodes {
		a, _ := r.Answer(i)
		all = append(all, a)
	}
	return all
}

// soon is a random time below limit, and often none.
func soon(limit time.Duration) time.Duration { return max(0, rand.N(2*limit)-limit) }

func TestRoundOnThreeNodesFitsItsSizeClass(t *testing.T) {
	const class, header = 1408, 8 // of Go's allocator, for memory with pointers in it
	if size := unsafe.Sizeof(*new(struct {
		round Round
		calls [3]call
	})); unsafe.Sizeof(size) == 8 && size+header > class {
		t.Errorf("%d bytes, and %d are the most: a lock takes two rounds, and the next class has 128 bytes more", size, class-header)
	}
}
