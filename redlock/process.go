package redlock

import (
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"weak"

	"github.com/quorumlock/quorumlock/internal/node"
	"github.com/quorumlock/quorumlock/pool"
)

// A process is what the Lockers of this process have in common that lock on the same
// clients: one wait queue for each name, for callers without WithFair. So a service that
// makes a Locker for each request asks the nodes no more often than with one Locker for
// all: 300 Lockers that wait for one lock would each ask by itself, and wake each other.
//
// With WithFair every Locker has its own queue: the nodes know it by the name of the
// Locker, and giving up a place is ordered by what that Locker sent before.
type process struct {
	lines
	self  string        // its name in marks
	marks atomic.Uint64 // numbers those who wait
	known []*node.Known // about the servers: each is asked once what it can do

	// Protected by processes.mu.
	clients any // its key there, nil if it is not there
	cleanup runtime.Cleanup
	lockers int // that use it and were not closed
}

// processes has those that a Locker uses. Lockers need not be closed: an entry that none
// has left goes when the garbage collector finds none of them any more.
var processes = struct {
	mu        sync.Mutex // protects byClients
	byClients map[any]weak.Pointer[process]
}{byClients: make(map[any]weak.Pointer[process])}

// habits are those of a Locker that decide whether its attempts succeed, and how soon it
// asks again. Whoever comes first in a queue asks for all: one whose node timeout is too
// short, or who is refused since it guards restarts, would keep the others from the lock.
type habits struct{ guard, nodeTimeout, retryMin, retryMax time.Duration }

func (c *config) habits() habits { return habits{c.longest, c.nodeTimeout, c.retryMin, c.retryMax} }

// processOf returns what Lockers on the clients of pools share, if they have the same
// habits. self is the name of a new one.
func processOf(pools []pool.Pool, h habits, self string) *process {
	clients, known := clientsOf(pools, h)
	if !known {
		return newProcess(self, len(pools))
	}
	processes.mu.Lock()
	defer processes.mu.Unlock()
	if p := processes.byClients[clients].Value(); p != nil {
		p.lockers++
		return p
	}
	p := newProcess(self, len(pools))
	p.clients, p.lockers = clients, 1
	processes.byClients[clients] = weak.Make(p)
	p.cleanup = runtime.AddCleanup(p, forgetProcess, clients)
	return p
}

func newProcess(self string, nodes int) *process {
	p := &process{lines: newLines(), self: self, known: make([]*node.Known, nodes)}
	for i := range p.known {
		p.known[i] = new(node.Known)
	}
	return p
}

// leave is called when a Locker is closed. With the last of them the entry goes, and with
// it what leads from there to the clients: they may lead to the Locker again.
func (p *process) leave() {
	processes.mu.Lock()
	defer processes.mu.Unlock()
	if p.lockers--; p.lockers == 0 && p.clients != nil && processes.byClients[p.clients].Value() == p {
		delete(processes.byClients, p.clients)
		p.cleanup.Stop() // it has the clients, too
	}
}

// forgetProcess removes an entry, unless a new one has taken its place.
func forgetProcess(clients any) {
	processes.mu.Lock()
	defer processes.mu.Unlock()
	if processes.byClients[clients].Value() == nil {
		delete(processes.byClients, clients)
	}
}

// A chain is a list that can be compared.
type chain struct{ before, last any }

// clientsOf returns what is equal for Lockers on the same clients in the same order. It is
// not known if one of them cannot be compared.
func clientsOf(pools []pool.Pool, h habits) (clients any, known bool) {
	clients = h
	for _, p := range pools {
		client := backing(p)
		if client == nil && !reflect.ValueOf(p).Comparable() {
			return nil, false
		} else if client == nil {
			client = p
		}
		clients = chain{clients, client}
	}
	return clients, true
}

// queues returns those in which the request waits.
func (l *Locker) queues(s *settings) *lines {
	if s.fair {
		return &l.lines
	}
	return &l.process.lines
}

// inLine is how many callers wait here for a lock.
func (l *Locker) inLine(key string) int {
	return l.lines.waiting(key) + l.process.waiting(key)
}

// holderLabel is the label of who has the lock in front of p, or else of l.
func (l *Locker) holderLabel(p *place) string {
	p.lines.mu.Lock()
	defer p.lines.mu.Unlock()
	if first := p.lines.byKey[p.key].first; first != nil && first.lock != nil {
		return first.lock.locker.config.owner
	}
	return l.config.owner
}
