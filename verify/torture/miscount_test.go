package main

import (
	"context"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/pool"
)

// A wrong semaphore: a caller holds a permit if a majority of the nodes granted it some slot, and not all
// of them the same. It takes the slot that the first of them granted.

// miscountEnvironment gives a worker of the test binary that semaphore.
const miscountEnvironment = "TORTURE_MISCOUNT"

func init() {
	if os.Getenv(miscountEnvironment) != "" {
		wrapPools = miscount
	}
}

// A ballot is which slot the first node granted, by the value of the attempt.
type ballot struct {
	mu    sync.Mutex // protects first
	first map[string]vote
}

type vote struct {
	slot int64
	at   time.Time
}

// A miscounting pool says that its node granted the slot that the first node granted.
type miscounting struct {
	pool.Pool
	ballot *ballot
}

func miscount(pools []pool.Pool) (all []pool.Pool) {
	b := &ballot{first: make(map[string]vote)}
	for _, p := range pools {
		all = append(all, &miscounting{p, b})
	}
	return all
}

// A reply that grants one of several locks is {"", -5, which one, ...}: see specs.go of package lua. The
// value is the second argument after the keys.
func (m *miscounting) Do(ctx context.Context, args ...any) (any, error) {
	reply, err := m.Pool.Do(ctx, args...)
	list, _ := reply.([]any)
	if err != nil || len(list) < 3 || list[1] != int64(-5) || len(args) < 4 {
		return reply, err
	}
	keys, _ := args[2].(int64)
	queue, _ := args[3].(string)
	if !strings.HasPrefix(queue, "{semaphore ") || int(keys)+4 >= len(args) {
		return reply, err
	}
	value, _ := args[3+keys+1].(string)
	m.ballot.mu.Lock()
	defer m.ballot.mu.Unlock()
	now := time.Now()
	v, known := m.ballot.first[value]
	if !known || now.Sub(v.at) > 100*time.Millisecond { // else it is of an attempt before
		v = vote{list[2].(int64), now}
		m.ballot.first[value] = v
	}
	list[2] = v.slot
	return list, err
}

// Nothing fails, but a network is slow: so callers come to the nodes in different orders.
func TestARunFindsASemaphoreThatCountsVotesForAnySlot(t *testing.T) {
	needServers(t)
	t.Setenv(miscountEnvironment, "1")
	twice := 0
	for seed := uint64(0); seed < 5 && twice == 0; seed++ {
		slow := Fault{Kind: delay, Process: 1, Nodes: []int{0, 1, 2}, Begin: 100 * ms, End: 3900 * ms, Slow: 5 * ms}
		h := play(t, limitedRun(seed, 4*time.Second, true), []Fault{slow})
		for _, v := range check(h) {
			if v.Claim == "I1" && v.State == violated {
				t.Errorf("%s: %s; %v", v.Claim, v.Detail, v.Marks)
			}
			if v.Claim == "S1" {
				twice += len(v.Marks)
			}
			if v.State != holds {
				t.Log(v.Claim, v.Detail)
			}
		}
	}
	if twice == 0 {
		t.Error("no slot had two holders")
	}
}
