package waiting

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"weak"

	"github.com/quorumlock/quorumlock/internal/listen"
	"github.com/quorumlock/quorumlock/internal/node"
	"github.com/quorumlock/quorumlock/pool"
)

// A shared is what the Lockers of this process share that lock on the same clients: one wait
// queue for each key, for callers without WithFair. So a service that makes a Locker for each
// request asks the nodes no more often than with one Locker. Else 300 Lockers that wait for
// one lock would each ask, and wake each other.
//
// With WithFair every Locker has its own queues. The nodes know such a queue by the waiter id
// of its Locker. Giving up a position is ordered by what that Locker sent before.
type shared struct {
	queues queues
	id     string        // in waiter flags, see SharedID
	flags  atomic.Uint64 // numbers the waiters
	known  []*node.Known // about the servers: each is asked once what it can do

	// Protected by registry.mu.
	clients any // its key in the registry, nil if it is not there
	cleanup runtime.Cleanup
	lockers int // that use it and were not closed
}

// registry has every shared that a Locker uses. A Locker need not be closed. When no Locker
// is left that was not closed, the entry goes with Leave. When the garbage collector finds no
// Locker any more, the entry goes with forget.
var registry = struct {
	mu        sync.Mutex // protects byClients
	byClients map[any]weak.Pointer[shared]
}{byClients: make(map[any]weak.Pointer[shared])}

// Habits are the options of a Locker that decide whether its attempts succeed, and how soon it
// asks again. The head of a queue asks on behalf of all. If its node timeout is too short, or
// if it is refused because it guards restarts, it would keep the others from the lock. So only
// Lockers with the same habits share a queue.
type Habits struct{ Guard, NodeTimeout, RetryMin, RetryMax time.Duration }

// share returns what Lockers on the clients of pools with these habits share. id is the one of
// a new shared.
func share(pools []pool.Pool, h Habits, id string) *shared {
	clients, ok := clientsOf(pools, h)
	if !ok {
		return newShared(id, len(pools))
	}
	registry.mu.Lock()
	defer registry.mu.Unlock()
	if s := registry.byClients[clients].Value(); s != nil {
		s.lockers++
		return s
	}
	s := newShared(id, len(pools))
	s.clients, s.lockers = clients, 1
	registry.byClients[clients] = weak.Make(s)
	s.cleanup = runtime.AddCleanup(s, forget, clients)
	return s
}

func newShared(id string, nodes int) *shared {
	s := &shared{queues: newQueues(), id: id, known: make([]*node.Known, nodes)}
	for i := range s.known {
		s.known[i] = new(node.Known)
	}
	return s
}

// nextID is the id of a new waiter.
func (s *shared) nextID() string { return fmt.Sprintf("%s.%d", s.id, s.flags.Add(1)) }

// leave is called when a Locker is closed. With the last one the entry of the registry goes.
// With it goes what leads from there to the clients, which may lead to the Locker again.
func (s *shared) leave() {
	registry.mu.Lock()
	defer registry.mu.Unlock()
	if s.lockers--; s.lockers == 0 && s.clients != nil && registry.byClients[s.clients].Value() == s {
		delete(registry.byClients, s.clients)
		s.cleanup.Stop() // it has the clients, too
	}
}

// forget removes an entry, unless a new one has replaced it.
func forget(clients any) {
	registry.mu.Lock()
	defer registry.mu.Unlock()
	if registry.byClients[clients].Value() == nil {
		delete(registry.byClients, clients)
	}
}

// A chain is a list that can be compared.
type chain struct{ before, last any }

// clientsOf returns a key that is equal for Lockers on the same clients in the same order. ok
// is false if a client cannot be compared.
func clientsOf(pools []pool.Pool, h Habits) (clients any, ok bool) {
	clients = h
	for _, p := range pools {
		client := listen.ClientOf(p)
		if client == nil {
			return nil, false
		}
		clients = chain{clients, client}
	}
	return clients, true
}
