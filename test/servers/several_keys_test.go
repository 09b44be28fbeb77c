package servers_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/internal/fanout"
	"github.com/quorumlock/quorumlock/internal/node"
	"github.com/quorumlock/quorumlock/internal/quorum"
	"github.com/quorumlock/quorumlock/internal/redisproc"
	"github.com/quorumlock/quorumlock/pool"
)

// What a claim about several keys does on servers: see lock_all_test.go for LockAll.

const severalTTL, severalTimeout = 30 * time.Second, 2 * time.Second

// severalKeys runs a test on the group of three servers, behind a client of each kind.
func severalKeys(t *testing.T, longest time.Duration, test func(t *testing.T, all servers, g *fanout.Group)) {
	all := startServers(t, 3, redisproc.Options{})
	withTwo(t, func(t *testing.T, lib library) {
		all.must(t, "FLUSHALL")
		var pools []pool.Pool
		for _, addr := range all.addrs() {
			pools = append(pools, lib.Open(t, addr, nil))
		}
		g := fanout.NewGroup(pools, 0.01, longest, nil)
		test(t, all, g)
		if errs := g.Settle(patience(t)); len(errs) > 0 {
			t.Errorf("left: %v", errs)
		}
		g.Stop()
	})
}

// finish waits for the answers of all nodes.
func finish(t *testing.T, r *fanout.Round, want quorum.Outcome) []node.Answer {
	t.Helper()
	result, ok := r.Wait(patience(t))
	if !ok || result.Outcome != want {
		t.Fatalf("round: %+v %v, want %v", result, ok, want)
	}
	var answers []node.Answer
	for i := range result.Nodes {
		if a, ok := result.Answer(i); ok {
			answers = append(answers, a)
		}
	}
	return answers
}

// holding returns on how many servers a key has a value.
func (all servers) holding(t *testing.T, key, value string) (n int) {
	t.Helper()
	for _, s := range all {
		if got, err := s.Do("GET", key); err != nil {
			t.Fatal(err)
		} else if got == value {
			n++
		}
	}
	return n
}

func TestANodeGrantsAllOfSeveralKeysOrNone(t *testing.T) {
	severalKeys(t, 0, func(t *testing.T, all servers, g *fanout.Group) {
		ctx := context.Background()
		all.must(t, "SET", "b", "other", "PX", "10000")
		all.must(t, "SET", "c", "another", "PX", "20000")
		c := g.NewClaim("a", "mine", severalTimeout, "b", "c")
		for _, a := range finish(t, c.AcquireOrFlag(ctx, severalTTL, node.WaiterFlag{ID: "me.1", TTL: 10 * time.Second}), quorum.Lost) {
			if a.Status != node.Taken || a.Holder != "other" || a.Index != 1 || a.TTL <= 10*time.Second || a.TTL > 20*time.Second {
				t.Errorf("answer %+v, want that other has the key 1, and that all are free after 20 s", a)
			}
		}
		eventually(t, "every node has the waiter flags of the keys that are taken", func() bool { return all.holding(t, "{b}:wait", "me.1")+all.holding(t, "{c}:wait", "me.1") == 6 })
		if n := all.holding(t, "a", "mine") + all.holding(t, "c", "mine"); n > 0 {
			t.Errorf("%d keys were set, though one was taken", n)
		}
		c.RollBack()

		all.must(t, "DEL", "b", "c")
		c = g.NewClaim("a", "mine 2", severalTimeout, "b", "c")
		finish(t, c.Acquire(ctx, severalTTL), quorum.Won)
		eventually(t, "every node has every key", func() bool {
			return all.holding(t, "a", "mine 2") == 3 && all.holding(t, "b", "mine 2") == 3 && all.holding(t, "c", "mine 2") == 3
		})
		other := g.NewClaim("c", "single", severalTimeout)
		finish(t, other.Acquire(ctx, severalTTL), quorum.Lost)
		other.RollBack()
		finish(t, c.Release(ctx), quorum.Won)
		eventually(t, "no key is left but the flags", func() bool { return len(all.keys(t)) == 6 })
	})
}

// A release that deleted all or nothing would leave the other keys for a TTL.
func TestReleaseOfSeveralKeysDeletesEachThoughOneIsLost(t *testing.T) {
	for name, minHold := range map[string]time.Duration{"deleted": 0, "left for the minimum hold time": 10 * time.Second} {
		t.Run(name, func(t *testing.T) {
			severalKeys(t, 0, func(t *testing.T, all servers, g *fanout.Group) {
				ctx := context.Background()
				c := g.NewClaim("a", "mine", severalTimeout, "b", "c")
				finish(t, c.Acquire(ctx, severalTTL), quorum.Won)
				eventually(t, "every node has every key", func() bool { return all.holding(t, "c", "mine") == 3 })
				all.must(t, "SET", "b", "other", "PX", "20000")
				c.SetMinHold(minHold)
				for _, a := range finish(t, c.Release(ctx), quorum.Lost) {
					if a.Status != node.Absent {
						t.Errorf("answer %+v, want that not all keys were held", a)
					}
				}
				eventually(t, "the keys that were held are given up", func() bool {
					for _, s := range all {
						for _, key := range []string{"a", "c"} {
							if left, err := s.Do("PTTL", key); err != nil || left.(int64) > minHold.Milliseconds() {
								return false
							}
						}
					}
					return true
				})
				if n := all.holding(t, "b", "other"); n != 3 {
					t.Errorf("the key of the other holder is on %d servers", n)
				}
				c.SetMinHold(0)
			})
		})
	}
}

func TestAnExtensionCountsANodeOnlyIfItHasAllKeysAndTheNodeIsTakenAgain(t *testing.T) {
	severalKeys(t, 0, func(t *testing.T, all servers, g *fanout.Group) {
		ctx := context.Background()
		c := g.NewClaim("a", "mine", severalTimeout, "b", "c")
		finish(t, c.Acquire(ctx, severalTTL), quorum.Won)
		eventually(t, "every node has every key", func() bool { return all.holding(t, "c", "mine") == 3 })
		all[:2].must(t, "DEL", "c")
		finish(t, c.Extend(ctx, 2*severalTTL, time.Time{}), quorum.Lost)
		if left, err := all[0].Do("PTTL", "a"); err != nil || left.(int64) > severalTTL.Milliseconds() {
			t.Errorf("a node that had lost a key prolonged the others: %v ms, %v", left, err)
		}
		all[1].Do("SET", "c", "mine", "PX", "20000")
		finish(t, c.Extend(ctx, severalTTL, time.Now().Add(severalTTL)), quorum.Won)
		eventually(t, "the node that had lost a key has it again", func() bool { return all.holding(t, "c", "mine") == 3 })
		finish(t, c.Release(ctx), quorum.Won)
	})
}

func TestASwapReplacesTheValueOfAllKeys(t *testing.T) {
	severalKeys(t, 0, func(t *testing.T, all servers, g *fanout.Group) {
		ctx := context.Background()
		for _, s := range all {
			for _, key := range []string{"a", "b"} {
				s.Do("SET", key, "former", "PX", "20000")
			}
		}
		c := g.NewClaim("a", "mine", severalTimeout, "b")
		c.Replace("former")
		finish(t, c.Swap(ctx, severalTTL), quorum.Won)
		eventually(t, "every node has the new value", func() bool { return all.holding(t, "a", "mine") == 3 && all.holding(t, "b", "mine") == 3 })
		all.must(t, "DEL", "b")
		next := g.NewClaim("a", "next", severalTimeout, "b")
		next.Replace("mine")
		finish(t, next.Swap(ctx, severalTTL), quorum.Lost)
		if n := all.holding(t, "a", "next"); n > 0 {
			t.Errorf("one key was replaced without the other, on %d nodes", n)
		}
		if n := all.holding(t, "b", "next"); n > 0 {
			t.Errorf("a key that was gone was set, on %d nodes", n)
		}
		next.RollBack()
		c.Release(ctx)
	})
}

func TestATokenForSeveralKeysIsLargerThanThatOfEach(t *testing.T) {
	severalKeys(t, 0, func(t *testing.T, all servers, g *fanout.Group) {
		ctx := context.Background()
		now := time.Now().UnixMicro()
		for i, key := range []string{"a", "b", "c"} {
			all.must(t, "SET", "{"+key+"}:fence", fmt.Sprint(now+int64(i)), "PX", "60000")
		}
		c := g.NewClaim("a", "mine", severalTimeout, "b", "c")
		c.Fence(now+1, time.Minute)
		for _, a := range finish(t, c.Acquire(ctx, severalTTL), quorum.Lost) {
			if a.Status != node.TokenTooSmall || a.LargestToken != now+2 || a.Micros == 0 {
				t.Errorf("answer %+v, want that %d is too small beside %d", a, now+1, now+2)
			}
		}
		c.RollBack()
		c = g.NewClaim("a", "mine 2", severalTimeout, "b", "c")
		c.Fence(now+3, time.Minute)
		finish(t, c.Acquire(ctx, severalTTL), quorum.Won)
		for _, key := range []string{"a", "b", "c"} {
			eventually(t, "every node remembers the token for "+key, func() bool { return all.holding(t, "{"+key+"}:fence", fmt.Sprint(now+3)) == 3 })
		}
		finish(t, c.Release(ctx), quorum.Won)
	})
}

func TestAGuardedNodeGrantsNoneOfSeveralKeysInQuarantine(t *testing.T) {
	severalKeys(t, time.Second, func(t *testing.T, all servers, g *fanout.Group) {
		ctx := context.Background()
		c := g.NewClaim("a", "mine", severalTimeout, "b")
		for _, a := range finish(t, c.Acquire(ctx, time.Second), quorum.Lost) {
			if !strings.Contains(fmt.Sprint(a.Err), "GUARDQUARANTINE") {
				t.Errorf("answer %+v, want a quarantine", a)
			}
		}
		c.RollBack()
		eventually(t, "the quarantine is over, and the keys are granted", func() bool {
			c := g.NewClaim("a", "mine 2", severalTimeout, "b")
			result, ok := c.Acquire(ctx, time.Second).Wait(ctx)
			c.Release(ctx)
			return ok && result.Outcome == quorum.Won
		})
	})
}

// Its keys come first in every script that takes a lock, whatever follows.
func TestAGuardedNodeTakesSeveralKeysWithATokenAndAFlag(t *testing.T) {
	severalKeys(t, 100*time.Millisecond, func(t *testing.T, all servers, g *fanout.Group) {
		ctx := context.Background()
		take := func(value string, more ...string) *fanout.Claim {
			c := g.NewClaim("a", value, severalTimeout, more...)
			c.Fence(time.Now().UnixMicro(), time.Minute)
			return c
		}
		flag := node.WaiterFlag{ID: "me.1", TTL: 10 * time.Second}
		// A node whose answer was not waited for may be busy, and take part in the next attempt.
		onEveryNode := func(what, value string, more ...string) (c *fanout.Claim) {
			eventually(t, what, func() bool {
				c = take(value, more...)
				c.AcquireOrFlag(ctx, severalTTL, flag).Wait(ctx)
				for end := time.Now().Add(severalTimeout); time.Now().Before(end); time.Sleep(time.Millisecond) {
					n := all.holding(t, "a", value)
					for _, key := range more {
						n = min(n, all.holding(t, key, value))
					}
					if n == 3 {
						return true
					}
					if !c.OutcomeUnknown() {
						break // all have answered
					}
				}
				c.RollBack()
				return false
			})
			return c
		}
		first := onEveryNode("the quarantine of the new servers is over", "single")
		set := take("set", "b")
		for _, a := range finish(t, set.AcquireOrFlag(ctx, severalTTL, flag), quorum.Lost) {
			if a.Status != node.Taken || a.Holder != "single" || a.Index != 0 {
				t.Errorf("answer %+v, want that the first key is taken", a)
			}
		}
		set.RollBack()
		if n := all.holding(t, "a", "single"); n < 2 {
			t.Errorf("the holder has its key on %d nodes", n)
		}
		finish(t, first.Release(ctx), quorum.Won)
		set = onEveryNode("every node has both keys", "set 2", "b")
		finish(t, set.Release(ctx), quorum.Won)
		all.must(t, "DEL", "redlock:node")
		set = take("set 3", "b")
		for _, a := range finish(t, set.AcquireOrFlag(ctx, severalTTL, flag), quorum.Lost) {
			if !strings.Contains(fmt.Sprint(a.Err), "GUARDQUARANTINE") {
				t.Errorf("answer %+v without a marker, want a quarantine", a)
			}
		}
		set.RollBack()
	})
}

// Other data may have the name of one of the locks.
func TestOneKeyThatIsNoStringDoesNotKeepTheOthers(t *testing.T) {
	severalKeys(t, 0, func(t *testing.T, all servers, g *fanout.Group) {
		ctx := context.Background()
		c := g.NewClaim("a", "mine", severalTimeout, "b", "c")
		finish(t, c.Acquire(ctx, severalTTL), quorum.Won)
		eventually(t, "every node has every key", func() bool { return all.holding(t, "c", "mine") == 3 })
		all.must(t, "DEL", "b")
		all.must(t, "LPUSH", "b", "data")
		finish(t, c.Release(ctx), quorum.Lost)
		eventually(t, "the locks are released", func() bool { return all.holding(t, "a", "mine")+all.holding(t, "c", "mine") == 0 })

		c = g.NewClaim("a", "mine 2", severalTimeout, "b", "c")
		for _, a := range finish(t, c.Acquire(ctx, severalTTL), quorum.Lost) {
			if a.Status != node.Failed || node.NothingDone(node.Acquire, a.Err) || !a.Answered() {
				t.Errorf("answer %+v, want an error after which some keys may be set", a)
			}
		}
		eventually(t, "the scripts have ended, and no outcome is unknown", func() bool { return !c.OutcomeUnknown() })
		c.RollBack()
		short, cancel := context.WithTimeout(ctx, severalTimeout)
		defer cancel()
		for _, err := range g.Settle(short) {
			t.Errorf("one release does not settle it: %v", err)
		}
		all.must(t, "DEL", "b")
	})
}

// Keys that a claim has already are left as they are: their token, too.
func TestAKeyThatIsHeldKeepsItsTokenWhenAnotherOneIsTakenAgain(t *testing.T) {
	severalKeys(t, 0, func(t *testing.T, all servers, g *fanout.Group) {
		ctx := context.Background()
		now := time.Now().UnixMicro()
		all.must(t, "SET", "a", "mine", "PX", "20000")
		all.must(t, "SET", "{a}:fence", fmt.Sprint(now+5), "PX", "60000")
		c := g.NewClaim("a", "mine", severalTimeout, "b")
		c.Fence(now, time.Minute)
		finish(t, c.Acquire(ctx, severalTTL), quorum.Won)
		eventually(t, "every node has the other key", func() bool { return all.holding(t, "b", "mine") == 3 })
		if n := all.holding(t, "{a}:fence", fmt.Sprint(now+5)); n != 3 {
			t.Errorf("%d nodes remember the larger token", n)
		}
		finish(t, c.Release(ctx), quorum.Won)
	})
}

// Partial winners give back what they have at once: no set waits for another one.
func TestOverlappingSetsOfKeysExcludeEachOtherAndLeaveNothing(t *testing.T) {
	severalKeys(t, 0, func(t *testing.T, all servers, g *fanout.Group) {
		var wg sync.WaitGroup
		var mu sync.Mutex
		holders, won := make(map[string]int), 0
		sets := [][]string{{"a", "b"}, {"b", "a"}, {"a", "b", "c"}, {"c"}}
		for w, set := range sets {
			wg.Go(func() {
				for i := range 40 {
					value := fmt.Sprintf("value %d of %d", i, w)
					c := g.NewClaim(set[0], value, severalTimeout, set[1:]...)
					result, ok := c.Acquire(context.Background(), severalTTL).Wait(context.Background())
					if !ok || result.Outcome != quorum.Won {
						c.RollBack()
						continue
					}
					mu.Lock()
					won++
					for _, key := range set {
						if holders[key]++; holders[key] > 1 {
							t.Errorf("%q has %d holders", key, holders[key])
						}
					}
					mu.Unlock()
					mu.Lock()
					for _, key := range set {
						holders[key]--
					}
					mu.Unlock()
					c.Release(context.Background())
				}
			})
		}
		wg.Wait()
		if won == 0 {
			t.Error("no set was ever granted")
		}
		eventually(t, "nothing is left", func() bool { return len(all.keys(t)) == 0 })
	})
}

// A node that is frozen while it is asked has its keys taken back when it goes on.
func TestSeveralKeysAreReleasedOnANodeThatWasFrozen(t *testing.T) {
	severalKeys(t, 0, func(t *testing.T, all servers, g *fanout.Group) {
		g.Trust() // so that the acquire is sent, and no release before it
		ctx := context.Background()
		all[2:].freeze(t)
		c := g.NewClaim("a", "mine", severalTimeout, "b", "c")
		finish(t, c.Acquire(ctx, severalTTL), quorum.Won)
		finish(t, c.Release(ctx), quorum.Won)
		all[2:].thaw(t)
		eventually(t, "nothing is left", func() bool { return len(all.keys(t)) == 0 })
	})
}
