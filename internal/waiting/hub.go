package waiting

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/quorumlock/quorumlock/internal/fanout"
	"github.com/quorumlock/quorumlock/internal/node"
	"github.com/quorumlock/quorumlock/pool"
)

// A Hub is what one Locker has of this package: the wait queues of its callers with WithFair,
// those that it shares with other Lockers, and the wake-up subscriptions. It is safe for
// concurrent use. It has no goroutine of its own.
type Hub struct {
	fair    queues
	shared  *shared
	wakeUps wakeUps
	config  Config
	nodes   int
}

// A Config is what a Hub is made of.
type Config struct {
	Pools    []pool.Pool
	Habits   Habits
	Label    string          // of the Locker
	WaiterID string          // of the Locker, in the wait queues of the nodes; see waiterID
	Closing  <-chan struct{} // closed when the Locker closes

	// Left is called when the last caller with a ticket has left a queue. known is what the nodes
	// know of the position of that queue, which has this id there: it is to be given up.
	Left func(waiterID string, keys []string, known fanout.Position)
}

// NewHub returns the hub of a new Locker. It connects to nothing.
func NewHub(c Config) *Hub {
	h := &Hub{fair: newQueues(), shared: share(c.Pools, c.Habits, c.WaiterID), config: c, nodes: len(c.Pools)}
	h.fair.left = func(e *Entry, known fanout.Position) { c.Left(h.waiterID(e), e.keys(), known) }
	h.wakeUps.init(c.Pools)
	h.config.Pools = nil
	return h
}

// SharedID is the id that the Lockers of this process with the same clients and the same Habits
// have in their waiter flags. Their releases have it, too: so a release tells their waiters from
// others. With a ticket a release has the waiter id of its Locker instead.
func (h *Hub) SharedID() string { return h.shared.id }

// Known is what is known about the servers, one for each node. Lockers share it.
func (h *Hub) Known() []*node.Known { return h.shared.known }

// Leave is called once, when the Locker closes. Waiters end with Config.Closing.
func (h *Hub) Leave() { h.shared.leave() }

// Close ends the subscriptions to the nodes. It waits until they have ended, or until ctx
// ends.
func (h *Hub) Close(ctx context.Context) {
	for _, l := range h.wakeUps.listeners {
		if l != nil {
			l.Close(ctx)
		}
	}
}

// FreeConnection ends the subscription to node i for a while. Its client had no connection for a
// command, and a command comes first.
func (h *Hub) FreeConnection(i int) {
	if l := h.wakeUps.listeners[i]; l != nil {
		l.Yield()
	}
}

// Watch has notify called for every event about the lock on key, until stop is called: a
// release was published, or a node has joined the channel and what it published before is not
// known. notify must not block.
func (h *Hub) Watch(key string, notify func(pool.Event)) (stop func()) {
	return h.Subscribe(channelOf(key), notify)
}

// Subscribe does the same for any channel.
func (h *Hub) Subscribe(channel string, notify func(pool.Event)) (stop func()) {
	return h.wakeUps.watch(channel, func(_ int, event pool.Event) { notify(event) })
}

// channelOf is the channel on which releases of a key are published.
func channelOf(key string) string { return node.SideKey(key, "wake") }

// waiterID is the id of a queue in the wait queues of the nodes: that of the Locker, if the queue is
// for one key. Callers that want several keys at once have a position apart from those that want one
// of them.
func (h *Hub) waiterID(e *Entry) string {
	if e.set == nil || e.shared {
		return h.config.WaiterID + suffix(e.shared)
	}
	sum := sha256.Sum256([]byte(e.key))
	return h.config.WaiterID + "-" + hex.EncodeToString(sum[:8])
}

// suffix tells readers in the wait queues of the nodes: see queue.lua.
func suffix(shared bool) string {
	if shared {
		return "-r"
	}
	return ""
}

// Waiting is how many callers wait here for a key. The holder of the lock does not count, nor do
// callers that want several keys at once.
func (h *Hub) Waiting(key string) int {
	readers := nameOf([]string{key})
	return h.fair.waiting(key) + h.fair.waiting(readers) + h.shared.queues.waiting(key) + h.shared.queues.waiting(readers)
}

// Sizes is for tests that nothing is left: how many wait queues are in use, how many are kept
// only for the waiter of another Locker, and how many channels this Locker waits or watches on.
func (h *Hub) Sizes() (used, idle, channels int) {
	for _, q := range []*queues{&h.fair, &h.shared.queues} {
		q.mu.Lock()
		for _, in := range q.byKey {
			if in.first == nil && in.other != nil {
				idle++
			} else {
				used++
			}
		}
		q.mu.Unlock()
	}
	h.wakeUps.mu.Lock()
	defer h.wakeUps.mu.Unlock()
	return used, idle, len(h.wakeUps.waiters) + len(h.wakeUps.watchers)
}

// Pause waits for d. It returns false if ctx ends or the Locker closes.
func (h *Hub) Pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-h.config.Closing:
	case <-ctx.Done():
	}
	return false
}
