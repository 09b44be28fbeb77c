package redlock

import (
	"context"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/internal/fakenode"
	"github.com/quorumlock/quorumlock/pool"
)

func TestBadOptionsAreRefusedByNameWithTheirRange(t *testing.T) {
	for want, opts := range map[string][]Option{
		"WithTTL(9.999999ms): must be at least 10ms":                                                                    {WithTTL(10*time.Millisecond - 1)},
		"WithTTL(8760h0m1s): must be at least 10ms and at most 8760h0m0s":                                               {WithTTL(365*24*time.Hour + time.Second)},
		"WithTTL(-1s): must be at least 10ms":                                                                           {WithTTL(-time.Second)},
		"WithNodeTimeout(0s): must be above 0 and below the TTL":                                                        {WithNodeTimeout(0)},
		"WithNodeTimeout(1s): must be below the TTL of 1s":                                                              {WithTTL(time.Second), WithNodeTimeout(time.Second)},
		"WithRetryDelay(0s, 1s): must be above 0, the shortest first":                                                   {WithRetryDelay(0, time.Second)},
		"WithRetryDelay(2s, 1s): must be above 0, the shortest first":                                                   {WithRetryDelay(2*time.Second, time.Second)},
		"WithMaxTries(-1): must be at least 1, or 0 for no bound":                                                       {WithMaxTries(-1)},
		"WithMaxWait(-1s): must be above 0, or 0 for no bound":                                                          {WithMaxWait(-time.Second)},
		"WithMaxHold(-1s): must be at least the TTL, or 0 for no bound":                                                 {WithMaxHold(-time.Second)},
		"WithMaxHold(7s): must not be below the TTL of 8s, the default":                                                 {WithMaxHold(7 * time.Second)},
		"WithRestartGuard(2s): must not be below the TTL of 8s, the default: guard for longer, or choose a shorter TTL": {WithRestartGuard(2 * time.Second)},
		"WithRestartGuard(8s): must not be below the TTL of 10s: guard":                                                 {WithRestartGuard(8 * time.Second), WithTTL(10 * time.Second)},
		"option 1 of New is nil":                                                                                        {WithTTL(time.Second), nil},
		"WithDriftFactor(1): must be in [0, 1)":                                                                         {WithDriftFactor(1)},
		"WithDriftFactor(-0.1): must be in [0, 1)":                                                                      {WithDriftFactor(-0.1)},
		"WithDriftFactor(NaN): must be in [0, 1)":                                                                       {WithDriftFactor(math.NaN())},
		"WithDriftFactor(0.9): leaves no validity of a TTL of 10ms":                                                     {WithDriftFactor(0.9), WithTTL(10 * time.Millisecond)},
		`WithOwner(""): must be 1 to 128 bytes of printable characters`:                                                 {WithOwner("")},
		`WithOwner("a\nb"): must be 1 to 128 bytes of printable characters`:                                             {WithOwner("a\nb")},
		`WithOwner("caf\xc3"): must be 1 to 128 bytes of printable`:                                                     {WithOwner("caf\xc3")},
		"must be 1 to 128 bytes of printable":                                                                           {WithOwner(strings.Repeat("x", 129))},
		"WithLogger(nil): leave the option out":                                                                         {WithLogger(nil)},
		"WithTrace(nil): leave the option out":                                                                          {WithTrace(nil)},
		"at most 8760h0m0s\nredlock: WithMaxTries(-5): must be at least 1":                                              {WithTTL(time.Millisecond), WithMaxTries(-5)},
	} {
		_, pools := fakenode.Pools(3)
		_, err := New(pools, opts...)
		if err == nil || !strings.HasPrefix(err.Error(), "redlock: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

func TestBadOptionsOfACallAreRefusedBeforeAnythingIsSent(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		_, err := f.Lock(context.Background(), "job", WithTTL(time.Millisecond))
		if err == nil || !strings.Contains(err.Error(), "WithTTL(1ms)") {
			t.Errorf("error %v", err)
		}
		_, err = f.Lock(context.Background(), "job", nil)
		if err == nil || err.Error() != "redlock: a LockOption is nil" {
			t.Errorf("error %v", err)
		}
		_, err = f.TryLock(context.Background(), "job", WithMaxWait(time.Second))
		if err == nil || !strings.Contains(err.Error(), "TryLock does not wait: WithMaxWait is for Lock") {
			t.Errorf("error %v", err)
		}
		if n := len(f.nodes[0].Log()); n != 0 {
			t.Errorf("%d commands were sent", n)
		}
		// As a default of the Locker it is no error.
	})
	inBubble(t, 3, func(f *fixture) {
		k, err := f.TryLock(context.Background(), "job", WithTTL(time.Second))
		if err != nil {
			t.Fatal(err)
		}
		f.unlock(k)
	}, WithMaxWait(time.Second))
}

func TestNodeTimeoutFollowsFromTheTTLUnlessGiven(t *testing.T) {
	for _, c := range []struct {
		opts []Option
		call []LockOption
		want time.Duration
	}{
		{nil, nil, 500 * time.Millisecond},
		{nil, []LockOption{WithTTL(2 * time.Second)}, 125 * time.Millisecond},
		{nil, []LockOption{WithTTL(time.Hour)}, time.Second},
		{nil, []LockOption{WithTTL(100 * time.Millisecond)}, 20 * time.Millisecond},
		{nil, []LockOption{WithTTL(10 * time.Millisecond)}, 5 * time.Millisecond},
		{[]Option{WithNodeTimeout(70 * time.Millisecond)}, []LockOption{WithTTL(2 * time.Second)}, 70 * time.Millisecond},
		{[]Option{WithNodeTimeout(70 * time.Millisecond)}, []LockOption{WithNodeTimeout(80 * time.Millisecond)}, 80 * time.Millisecond},
	} {
		_, pools := fakenode.Pools(1)
		l, err := New(pools, c.opts...)
		if err != nil {
			t.Fatal(err)
		}
		s, err := l.config.settings.with(c.call, l.config.drift)
		if err != nil || s.nodeTimeout != c.want {
			t.Errorf("node timeout %v, want %v (%v)", s.nodeTimeout, c.want, err)
		}
	}
}

// redsync#190: the same server, configured twice, counted twice.
func TestPoolsMissingNilOrRepeatedAreRefusedByPosition(t *testing.T) {
	nodes, pools := fakenode.Pools(3)
	var none *fakenode.Node
	for want, pools := range map[string][]pool.Pool{
		"needs at least one pool":                nil,
		"pool 1 is nil":                          {pools[0], nil},
		"pool 2 is nil":                          {pools[0], pools[1], none},
		`pools 0 and 2 are both "node-1"`:        {pools[0], pools[1], pools[0]},
		`pools 0 and 1 are both "node-2": a nod`: {pools[1], fakenode.New("node-2")},
	} {
		_, err := New(pools)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	// and the caller's slice may change afterwards
	l, err := New(pools)
	if err != nil {
		t.Fatal(err)
	}
	pools[0], pools[1] = nil, pools[0]
	k, err := l.Lock(context.Background(), "job")
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Unlock(context.Background()); err != nil {
		t.Error(err)
	}
	if err := l.Close(context.Background()); err != nil {
		t.Error(err)
	}
	for _, n := range nodes {
		if n.Count("acquire") != 1 {
			t.Errorf("%v was asked %d times", n, n.Count("acquire"))
		}
	}
}
