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

// A cellar is a pool whose rounds are poisoned as long as they are in it: who reads one
// panics, who writes to it is found out, and the race detector sees both.
type cellar struct {
	t *testing.T

	mu     sync.Mutex // protects the rest
	rounds []*Round
	puts   int
}

// reader must not be told anything.
type reader struct{}

func (reader) Answer(*node.Call, node.Answer) { panic("the call was used again") }
func (reader) Late(*node.Call, node.Answer)   { panic("the call was used again") }

func poisoned(i int) call {
	return call{Call: node.Call{Receiver: reader{}, Index: math.MinInt + i}, due: true, counted: true, answered: true, returned: true}
}

// Put implements recycler.
func (c *cellar) Put(x any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := x.(*Round)
	for i := range r.calls {
		if r.calls[i] != (call{}) {
			c.t.Errorf("call %d is not zero: %+v", i, r.calls[i])
		}
		r.calls[i] = poisoned(i)
	}
	r.request.Verb, r.request.TTL = math.MaxUint8, math.MinInt64
	r.outcome = math.MaxInt8
	r.refs.Store(math.MinInt32)
	c.rounds = append(c.rounds, r)
	c.puts++
}

// Get implements recycler. The round that was put last is the one that somebody may
// still have; now and then it stays, so that this is seen.
func (c *cellar) Get() any {
	c.mu.Lock()
	defer c.mu.Unlock()
	last := len(c.rounds) - 1
	if last < 0 || rand.IntN(2) == 0 {
		return nil
	}
	r := c.rounds[last]
	c.rounds = c.rounds[:last]
	c.taste(r)
	clear(r.calls)
	r.request.Verb, r.request.TTL, r.outcome = 0, 0, quorum.Open
	return r
}

func (c *cellar) taste(r *Round) {
	intact := r.group == nil && r.refs.Load() == math.MinInt32 && r.outcome == math.MaxInt8 && r.tally == quorum.Tally{}
	for i := range r.calls {
		intact = intact && r.calls[i] == poisoned(i)
	}
	if !intact {
		c.t.Errorf("somebody wrote to a round that was given back: %+v", r.calls)
	}
}

// given is how many rounds were given back so far.
func (c *cellar) given() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.puts
}

// free is how many rounds were given back and not used again, all intact.
func (c *cellar) free() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.rounds {
		c.taste(r)
	}
	return len(c.rounds)
}

// poison has the group keep its rounds in a cellar, if it uses them again.
func poison(t *testing.T, g *Group) *cellar {
	if g.rounds == nil {
		return nil
	}
	c := &cellar{t: t}
	g.rounds = c
	return c
}

// onPipelined is onNodes on clients of which rounds are used again.
func onPipelined(t *testing.T, n int, f func(t *testing.T, g *Group, nodes []*fakenode.Node, cellar *cellar)) {
	t.Helper()
	onNodes(t, n, func(t *testing.T, g *Group, nodes []*fakenode.Node) {
		if c, ok := g.rounds.(*cellar); ok {
			f(t, g, nodes, c)
		}
	})
}

func TestRoundsAreUsedAgainOnlyIfAllClientsGiveBackWhatTheyGot(t *testing.T) {
	nodes, pools := fakenode.Pools(3)
	for i := range pools {
		if g := NewGroup(pools, 0.01, 0, nil); g.rounds != nil {
			t.Errorf("used again with %d of 3 such clients", i)
		}
		pools[i] = fakenode.Pipelined{Node: nodes[i]}
	}
	if g := NewGroup(pools, 0.01, 0, nil); g.rounds == nil {
		t.Error("not used again")
	}
}

// wantFree waits until all that can go on by itself has, and counts.
func wantFree(t *testing.T, c *cellar, when string, want int) {
	t.Helper()
	synctest.Wait()
	if got := c.free(); got != want {
		t.Errorf("%s: %d rounds were given back, want %d", when, got, want)
	}
}

func TestARoundIsGivenBackWhenItsResultWasReadAndAllNodesHaveAnswered(t *testing.T) {
	onPipelined(t, 3, func(t *testing.T, g *Group, nodes []*fakenode.Node, cellar *cellar) {
		nodes[2].Set(fakenode.Faults{ReplyDelay: 10 * time.Millisecond})
		c := g.NewClaim("k", "v", timeout)
		result := wait(t, c.Acquire(background, ttl), quorum.Won)
		time.Sleep(20 * time.Millisecond)
		wantFree(t, cellar, "not read", 0)
		if _, answered := result.Answer(0); !answered {
			t.Error("the result is gone")
		}
		result.Done()
		wantFree(t, cellar, "read", 1)

		result = wait(t, c.Extend(background, ttl, time.Now()), quorum.Won)
		result.Done()
		before := cellar.given()
		if time.Sleep(5 * time.Millisecond); cellar.given() != before {
			t.Error("given back while a node has not answered")
		}
		if time.Sleep(10 * time.Millisecond); cellar.given() != before+1 {
			t.Error("not given back when the last node had answered")
		}
		wait(t, c.Release(background), quorum.Won).Done()
	})
}

func TestARoundThatIsNotWaitedForIsGivenBack(t *testing.T) {
	onPipelined(t, 3, func(t *testing.T, g *Group, nodes []*fakenode.Node, cellar *cellar) {
		for _, n := range nodes {
			n.Set(fakenode.Faults{ReplyDelay: 10 * time.Millisecond})
		}
		ctx, cancel := context.WithTimeout(background, time.Millisecond)
		defer cancel()
		c := g.NewClaim("k", "v", timeout)
		if _, decided := c.Acquire(ctx, ttl).Wait(ctx); decided {
			t.Error("decided")
		}
		wantFree(t, cellar, "under way", 0)
		time.Sleep(10 * time.Millisecond)
		wantFree(t, cellar, "answered", 1)
		c.RollBack()
	})
}

func TestARoundIsGivenBackWhenTheClientHasReturnedACallThatWasGivenUp(t *testing.T) {
	onPipelined(t, 3, func(t *testing.T, g *Group, nodes []*fakenode.Node, cellar *cellar) {
		nodes[2].Set(fakenode.Faults{ReplyDelay: 2 * timeout, Uninterrupted: true})
		c := g.NewClaim("k", "v", timeout)
		wait(t, c.Acquire(background, ttl), quorum.Won).Done()
		time.Sleep(timeout + 10*time.Millisecond)
		wantFree(t, cellar, "given up", 0)
		time.Sleep(timeout)
		wantFree(t, cellar, "returned", 1)
		nodes[2].Set(fakenode.Faults{})
		wait(t, c.Release(background), quorum.Won).Done()
	})
}

// The node gives a call up on one goroutine while the client returns on another.
func TestARoundIsGivenBackWhenBothHalvesOfTheLastCallHaveCome(t *testing.T) {
	onPipelined(t, 1, func(t *testing.T, g *Group, _ []*fakenode.Node, cellar *cellar) {
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
			before := cellar.given()
			if halves[0](); cellar.given() != before {
				t.Errorf("late first: %v: given back after one half", lateFirst)
			}
			if halves[1](); cellar.given() != before+1 {
				t.Errorf("late first: %v: not given back", lateFirst)
			}
			c.RollBack()
		}
	})
}

// What was never with a client: superseded, or refused.
func TestARoundWhoseCallsWereNotSentIsGivenBack(t *testing.T) {
	onPipelined(t, 3, func(t *testing.T, g *Group, nodes []*fakenode.Node, cellar *cellar) {
		c := acquire(t, g)
		for _, n := range nodes {
			n.Set(fakenode.Faults{ReplyDelay: 10 * time.Millisecond})
		}
		first := c.Extend(background, ttl, time.Now())
		second := c.Extend(background, ttl, time.Now()) // waits behind it
		third := c.Release(background)                  // takes its place
		wait(t, second, quorum.Lost).Done()
		wantFree(t, cellar, "superseded while it waited", 1)
		fourth := c.Release(background) // is sent for both
		late := c.Extend(background, ttl, time.Now())
		wait(t, late, quorum.Lost).Done()
		wait(t, first, quorum.Won).Done()
		wait(t, third, quorum.Won).Done()
		wait(t, fourth, quorum.Won).Done()
		if synctest.Wait(); cellar.given() != 5 {
			t.Errorf("%d rounds were given back, want 5", cellar.given())
		}
		cellar.free()
	})
}

func TestARoundThatIsRefusedIsGivenBack(t *testing.T) {
	onPipelined(t, 1, func(t *testing.T, g *Group, nodes []*fakenode.Node, cellar *cellar) {
		nodes[0].Set(fakenode.Faults{LoseRequests: true})
		const crowd = 80 // more than the gate lets through
		for i := range crowd {
			c := g.NewClaim(fmt.Sprint("lost ", i), "v", timeout)
			wait(t, c.Acquire(background, ttl), quorum.Lost).Done()
			c.RollBack()
		}
		if synctest.Wait(); cellar.given() != crowd {
			t.Errorf("%d rounds were given back, want %d", cellar.given(), crowd)
		}
		if n := len(nodes[0].Log()); n != 0 {
			t.Errorf("%d commands took effect", n)
		}
		nodes[0].Set(fakenode.Faults{})
		time.Sleep(time.Minute) // probes
	})
}

// Locks that come and go while nodes lose, delay, freeze and refuse. Who touches a round
// of another one is found by the cellar, or by the race detector.
func TestNobodyTouchesARoundThatWasGivenBack(t *testing.T) {
	onPipelined(t, 3, func(t *testing.T, g *Group, nodes []*fakenode.Node, cellar *cellar) {
		faults := []func() fakenode.Faults{
			func() fakenode.Faults { return fakenode.Faults{} },
			func() fakenode.Faults { return fakenode.Faults{ReplyDelay: soon(timeout / 4)} },
			func() fakenode.Faults { return fakenode.Faults{Delay: soon(timeout / 2)} },
			func() fakenode.Faults { return fakenode.Faults{ReplyDelay: soon(2 * timeout), Uninterrupted: true} },
			func() fakenode.Faults { return fakenode.Faults{ReplyDelay: timeout, Uninterrupted: true} }, // both at once
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
					live(g, fmt.Sprint("k", worker%20), fmt.Sprint(worker, "/", i))
				}
			})
		}
		over := make(chan struct{})
		var fate sync.WaitGroup
		fate.Go(func() {
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
		fate.Wait()
		for _, n := range nodes {
			n.Set(fakenode.Faults{})
			n.Thaw()
		}
		time.Sleep(2 * fakenode.ClientTimeout) // until no client has a call
		cellar.free()
		t.Logf("%d rounds were given back", cellar.given())
	})
}

// live is the life of one claim, in all ways that it can take.
func live(g *Group, key, value string) {
	c := g.NewClaim(key, value, timeout)
	won := visit(c.Acquire, ttl)
	if won {
		c.RetakeUntil(time.Now().Add(ttl))
	}
	var all sync.WaitGroup
	for range rand.IntN(3) {
		all.Go(func() {
			time.Sleep(soon(timeout))
			visit(func(ctx context.Context, ttl time.Duration) *Round {
				return c.Extend(ctx, ttl, time.Now().Add(timeout))
			}, ttl)
		})
	}
	for range rand.IntN(3) {
		all.Go(func() {
			time.Sleep(soon(timeout))
			visit(func(ctx context.Context, _ time.Duration) *Round { return c.Release(ctx) }, 0)
		})
	}
	all.Wait()
	c.RollBack()
	time.Sleep(soon(timeout / 10))
}

// visit starts a round, waits for it or not, and looks at the result for a while.
func visit(start func(context.Context, time.Duration) *Round, ttl time.Duration) (won bool) {
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

func TestARoundOnThreeNodesFitsItsSizeClass(t *testing.T) {
	const class, header = 1408, 8 // of Go's allocator, for memory with pointers in it
	if size := unsafe.Sizeof(*new(struct {
		round Round
		calls [3]call
	})); unsafe.Sizeof(size) == 8 && size+header > class {
		t.Errorf("%d bytes, and %d are the most: a lock takes two rounds, and the next class has 128 bytes more", size, class-header)
	}
}
