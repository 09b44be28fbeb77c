package redlock

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/internal/fakenode"
	"github.com/quorumlock/quorumlock/internal/random"
)

// together takes locks that are kept alive and renewed for the first time at one instant:
// what they draw at random follows from a seed and the time, which is the same for all.
func (f *fixture) together(n int) (held []*Lock) {
	f.t.Helper()
	defer random.Seed(1)()
	began := time.Now()
	for i := range n {
		held = append(held, f.lock(fmt.Sprint(i), WithKeepAlive()))
	}
	if took := time.Since(began); took > 0 {
		f.t.Fatalf("they were taken within %v, not at one instant", took)
	}
	return held
}

// Renewals that are all due at once must not wait for each other until all are
// given up.
func TestRenewalsDueAtOnceAreDoneOneAfterTheOther(t *testing.T) {
	var failed atomic.Int64
	trace := &Trace{Round: func(r RoundInfo) {
		if r.Err != nil {
			failed.Add(1)
		}
	}}
	inBubble(t, 3, func(f *fixture) {
		const locks = 2000
		failed.Store(0)
		held := f.together(locks)
		for _, n := range f.nodes {
			n.Set(fakenode.Faults{ReplyDelay: 50 * time.Millisecond}) // 128 at a time: 0.8 s for all
		}
		time.Sleep(5 * time.Second)
		for _, k := range held {
			if left := time.Until(k.Until()); k.Context().Err() != nil || left < 3*time.Second {
				t.Fatalf("lock %s: %v left, %v", k.Name(), left, context.Cause(k.Context()))
			}
		}
		for _, n := range f.nodes {
			if got := n.Count("extend"); got > 3*locks {
				t.Errorf("%v carried out %d extensions for %d locks", n, got, locks)
			}
			n.Set(fakenode.Faults{})
		}
		if n := failed.Load(); n > 0 {
			t.Errorf("%d renewals failed", n)
		}
		for _, k := range held {
			k.discard()
		}
	}, WithTrace(trace))
}
