package waiting

import (
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/internal/fakenode"
	"github.com/quorumlock/quorumlock/pool"
)

func TestLockersOnOtherClientsOrWithOtherHabitsWaitByThemselves(t *testing.T) {
	_, pools := fakenode.Pools(3)
	mixed := slices.Clone(pools)
	slices.Reverse(mixed)
	ours := share(pools, Habits{}, "id")
	if share(pools, Habits{}, "other id") != ours {
		t.Error("the same clients are not recognized")
	}
	if share(pools, Habits{Guard: time.Minute}, "id") == ours || share(pools, Habits{NodeTimeout: time.Second}, "id") == ours ||
		share(pools, Habits{RetryMin: 1}, "id") == ours || share(pools, Habits{RetryMax: 1}, "id") == ours ||
		share(mixed, Habits{}, "id") == ours || share(pools[:1], Habits{}, "id") == ours {
		t.Error("Lockers that differ are taken for the same")
	}
	none := []pool.Pool{incomparable{pools[0], nil}}
	if first, second := share(none, Habits{}, "id"), share(none, Habits{}, "id"); first == second {
		t.Error("clients that cannot be compared are taken for the same")
	}
}

type incomparable struct {
	pool.Pool
	_ []int
}

func registered() int {
	registry.mu.Lock()
	defer registry.mu.Unlock()
	return len(registry.byClients)
}

func TestNothingIsRegisteredOfHubsThatAreNotUsedAnyMore(t *testing.T) {
	before := registered()
	for range 100 {
		_, pools := fakenode.Pools(3)
		NewHub(Config{Pools: pools}) // and Leave is not called
	}
	for end := time.Now().Add(20 * time.Second); registered() > before; time.Sleep(time.Millisecond) {
		if runtime.GC(); time.Now().After(end) {
			t.Fatalf("%d entries are left", registered()-before)
		}
	}
}

func TestNothingIsRegisteredOfHubsThatAreClosed(t *testing.T) {
	_, pools := fakenode.Pools(3)
	known := func() bool {
		clients, _ := clientsOf(pools, Habits{})
		registry.mu.Lock()
		defer registry.mu.Unlock()
		_, known := registry.byClients[clients]
		return known
	}
	for _, h := range []*Hub{NewHub(Config{Pools: pools}), NewHub(Config{Pools: pools})} {
		if !known() {
			t.Fatal("what hubs share is not known before the last of them has left")
		}
		h.Leave()
	}
	if known() {
		t.Error("an entry is left")
	}
}
