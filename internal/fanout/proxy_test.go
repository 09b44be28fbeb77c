package fanout

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorumlock/quorumlock/internal/fakenode"
	"github.com/quorumlock/quorumlock/internal/node"
	"github.com/quorumlock/quorumlock/pool"
)

// A lateProxy answers the first script, after a while, with an error: its server is not
// available. It forwards that script much later.
type lateProxy struct {
	*fakenode.Node
	after, late time.Duration
	asked       atomic.Bool
}

func (p *lateProxy) Do(ctx context.Context, args ...any) (any, error) {
	if args[0] == "SET" || args[2] == int64(1) || p.asked.Swap(true) {
		return p.Node.Do(ctx, args...)
	}
	sent := append([]any(nil), args...)
	time.AfterFunc(p.late, func() { _, _ = p.Node.Do(context.Background(), sent...) })
	time.Sleep(p.after)
	return nil, pool.Error("ERR backend is not available")
}

func TestAcquireThatAProxyRefusesAndForwardsLateIsReleased(t *testing.T) {
	for _, after := range []time.Duration{0, 2 * timeout} {
		synctest.Test(t, func(t *testing.T) {
			p := &lateProxy{Node: fakenode.New("a"), after: after, late: keyLifetime / 2}
			g := NewGroup([]pool.Pool{p}, 0.01, 0, nil)
			g.Trust()
			c := g.NewClaim("k", "v", timeout)
			c.AcquireOrFlag(background, ttl, node.WaiterFlag{ID: g.WaiterID(), TTL: ttl}).Wait(background)
			c.Release(background).Wait(background)
			for _, err := range g.Settle(background) {
				t.Error(err)
			}
			time.Sleep(keyLifetime/2 + time.Millisecond)
			if p.Get("k") != "" {
				t.Errorf("refused after %v: the key is left", after)
			}
			g.Stop()
		})
	}
}
