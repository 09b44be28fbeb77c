package fanout

import (
	"container/heap"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/quorumlock/quorumlock/internal/node"
	"github.com/quorumlock/quorumlock/internal/random"
	"github.com/quorumlock/quorumlock/pool"
)

const (
	// firstRepeat is the first pause before a release is repeated: it was not answered, or
	// its answer proved nothing, because the acquire before it may still take effect. It
	// doubles.
	firstRepeat = 25 * time.Millisecond
	// maxRepeat bounds it. The length of a silence of the node, which decides when an
	// unknown outcome ends, is known to within the pause between two releases.
	maxRepeat = node.Sampling
	// silentPause is the pause before a node that did not answer is tried again.
	silentPause = 100 * time.Millisecond
	// maxReleasesInFlight bounds the releases in flight on a node that answers.
	maxReleasesInFlight = 16
)

// A releaseQueue has the pending releases of one node: each was sent for a claim, and its answer
// did not prove that the value is gone from the node. The queue repeats it in the background
// until an answer does (the claim is settled there), or until no key can live any more. While
// the node is silent it sends one at a time, and otherwise a few at a time. It has no goroutine
// while none is due.
//
// A release comes here from Claim.nextCall, if its answer did not settle the node. It ends when
//
//   - it is answered, and the answer proves that the value is gone: releaseAnswered in
//     claim_repeat.go asks provesRelease
//   - no key can live any more: needsRelease, before each repeat, asks certainlyExpired. If the
//     outcome of every call is known, that is a lifetime of the key after the last grant. If not, it
//     counts from when the client has returned from the last call of the claim: at most two
//     lifetimes of the key, or one lifetime and maxUnknown, whichever is longer. If a position in
//     the wait queue lives longer, that is waited for
//   - the client was closed for good: clientClosed
//   - the ctx of Close ended: Claim.abandon
//
// An answered release settles a node only if it came after everything that may
// have set the key. After an acquire of unknown outcome only time proves that: when a stopped
// server goes on, commands that waited in other sockets take effect after a release that was
// answered. So the release is repeated until the acquire is too old to matter.
type releaseQueue struct {
	node *node.Node

	mu         sync.Mutex // protects the rest; taken after Claim.mu, before Node.mu
	heap       releaseHeap
	inFlight   int
	repeatSoon []*Claim  // of those whose release is in flight, to be repeated soon
	silent     bool      // the last release was not answered: one at a time now
	notBefore  time.Time // when the next one is sent, if silent
	timer      *time.Timer
}

// A pendingRelease is a release that one claim still needs on the node.
type pendingRelease struct {
	claim *Claim
	index int // of the node
	due   time.Time
	pause time.Duration // before the next repeat
}

// A releaseCall is one send of a pending release. Its memory is not reused: the client may
// still have one that was given up.
type releaseCall struct {
	node.Call
	deadline node.Deadline
	queue    *releaseQueue
	release  *pendingRelease
}

func newReleaseQueue(n *node.Node) *releaseQueue { return &releaseQueue{node: n} }

// add takes over the release of a claim.
func (q *releaseQueue) add(c *Claim, i int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.push(&pendingRelease{claim: c, index: i, pause: firstRepeat}, firstRepeat)
	q.setTimer()
}

func (q *releaseQueue) push(r *pendingRelease, in time.Duration) {
	r.due = time.Now().Add(in)
	heap.Push(&q.heap, r)
}

// sendDue sends the releases that are due. It runs on the timer, and after every answer.
func (q *releaseQueue) sendDue() {
	for r := q.takeDue(); r != nil; r = q.takeDue() {
		if !r.claim.needsRelease(r.index) {
			q.callEnded(r, 0)
			continue
		}
		c := &releaseCall{
			deadline: node.MakeDeadline(context.Background(), r.claim.callTimeout()),
			queue:    q,
			release:  r,
		}
		c.Call = node.Call{Request: r.claim.releaseRequest(), Deadline: &c.deadline, Receiver: c, Index: r.index}
		if q.node.Start(&c.Call) != nil {
			q.unanswered(r)
		}
	}
}

// takeDue takes out a release that is due, or sets the timer and returns nil.
func (q *releaseQueue) takeDue() *pendingRelease {
	q.mu.Lock()
	defer q.mu.Unlock()
	limit := maxReleasesInFlight
	if q.silent {
		limit = 1
	}
	if q.inFlight >= limit || len(q.heap) == 0 {
		return nil // the answer to one in flight leads back here
	}
	if now := time.Now(); q.heap[0].due.After(now) || q.silent && q.notBefore.After(now) {
		q.setTimer()
		return nil
	}
	q.inFlight++
	return heap.Pop(&q.heap).(*pendingRelease)
}

// callEnded notes that a release is in flight no more. If again is not 0 it is repeated after
// that time.
func (q *releaseQueue) callEnded(r *pendingRelease, again time.Duration) {
	q.mu.Lock()
	q.inFlight--
	if i := slices.Index(q.repeatSoon, r.claim); i >= 0 {
		q.repeatSoon = slices.Delete(q.repeatSoon, i, i+1)
		r.pause, again = firstRepeat, min(again, firstRepeat)
	}
	if again > 0 {
		q.push(r, again)
	}
	q.mu.Unlock()
}

func (q *releaseQueue) unanswered(r *pendingRelease) {
	q.callEnded(r, silentPause)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.silent, q.notBefore = true, time.Now().Add(silentPause)
}

// answered notes that the node answered a release. After a silence every pending release
// becomes due soon, and is repeated in short order again: commands that the silence held back
// may take effect only now.
func (q *releaseQueue) answered(r *pendingRelease, again time.Duration) {
	q.callEnded(r, again)
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.silent {
		return
	}
	q.silent = false
	for _, r := range q.heap {
		r.pause = firstRepeat
		r.due = time.Now().Add(firstRepeat)
	}
	heap.Init(&q.heap)
	q.setTimer()
}

// setTimer sets the timer for the release that is due first. q.mu is held.
func (q *releaseQueue) setTimer() {
	if len(q.heap) == 0 {
		return
	}
	at := q.heap[0].due
	if q.silent && q.notBefore.After(at) {
		at = q.notBefore
	}
	// Never 0 or less. In a synctest bubble such a timer runs on the goroutine that sets
	// it, in a context of the race detector that the whole bubble shares. If two goroutines do
	// that at once the race detector crashes (Go 1.26, timer.unlockAndRun).
	in := max(time.Until(at), 1) + random.Apart(q.node, "debts")
	if q.timer == nil {
		q.timer = time.AfterFunc(in, q.sendDue)
	} else {
		q.timer.Reset(in)
	}
}

// clientReturned is called when the client returned from a call of the claim: the next release
// may settle it. A release in flight does not, so it is repeated soon.
func (q *releaseQueue) clientReturned(c *Claim) {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.IndexFunc(q.heap, func(r *pendingRelease) bool { return r.claim == c })
	if i < 0 {
		q.repeatSoon = append(q.repeatSoon, c)
		return
	}
	q.heap[i].pause, q.heap[i].due = firstRepeat, time.Now()
	heap.Fix(&q.heap, i)
	q.setTimer()
}

// dropAbandoned takes out what was abandoned. A lock that is unlocked later, because it
// outlived its Locker, may still add a release.
func (q *releaseQueue) dropAbandoned() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.heap = slices.DeleteFunc(q.heap, func(r *pendingRelease) bool { return r.claim.abandoned.Load() })
	heap.Init(&q.heap)
	if len(q.heap) == 0 && q.timer != nil {
		q.timer.Stop()
	}
}

// Answer implements node.Receiver.
func (c *releaseCall) Answer(_ *node.Call, a node.Answer) {
	q, r := c.queue, c.release
	switch {
	case errors.Is(a.Err, pool.ErrClosed):
		q.clientClosed(r)
	case !a.Answered():
		r.claim.releaseAnswered(r.index, c.Request, c.deadline.Made(), a)
		q.unanswered(r)
	case r.claim.releaseAnswered(r.index, c.Request, c.deadline.Made(), a):
		q.answered(r, 0)
	default: // refused, or answered too early to prove anything
		again := r.pause
		if left := r.claim.unknownFor(r.index); left > 0 {
			again = min(again, left) // the last one is not to come late
		}
		r.pause = min(2*r.pause, maxRepeat)
		q.answered(r, again)
	}
	q.sendDue()
}

// Late implements node.Receiver. A late release is one more, nothing else.
func (c *releaseCall) Late(*node.Call, node.Answer) {}

// A releaseHeap is a heap by due time.
type releaseHeap []*pendingRelease

func (h releaseHeap) Len() int           { return len(h) }
func (h releaseHeap) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h releaseHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *releaseHeap) Push(r any)        { *h = append(*h, r.(*pendingRelease)) }
func (h *releaseHeap) Pop() any {
	last := len(*h) - 1
	r := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return r
}
