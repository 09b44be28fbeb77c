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
	// firstRepeat is the pause before a release is repeated whose answer proved
	// nothing, because the acquire before it may still take effect. It doubles.
	firstRepeat = 25 * time.Millisecond
	// maxRepeat bounds it. How long a silence of the node was, which counts for when
	// a doubt is over, is known to within the pause between two releases.
	maxRepeat = node.Sampling
	// silentPause is the pause before a node that did not answer is tried again.
	silentPause = 100 * time.Millisecond
	// maxReleasesInFlight bounds the releases under way on a node that answers.
	maxReleasesInFlight = 16
)

// releaseQueue are the releases that one node still has to carry out. They are worked
// off in the background, without a goroutine while none is due: one at a time
// while the node is silent, a few at a time when it answers, each until it is
// settled or the key cannot live any more.
//
// An answered release settles a seat only if it came after everything that may
// have set the key. After an acquire of unknown fate nothing proves that but
// time: when a stopped server goes on, commands that waited in other sockets
// take effect after a release that was answered. So the release is repeated
// until the acquire is too old to matter.
type releaseQueue struct {
	node *node.Node

	mu         sync.Mutex // protects the rest; taken after Claim.mu, before Node.mu
	heap       releaseHeap
	inFlight   int
	repeatSoon []*Claim  // of those that are being paid, to be repeated soon
	silent     bool      // the last payment was not answered: one at a time now
	notBefore  time.Time // no payment before, if quiet
	timer      *time.Timer
}

// A pendingRelease is a release that one claim still needs on the node.
type pendingRelease struct {
	claim *Claim
	index int // of the node
	due   time.Time
	pause time.Duration // before the next repeat
}

// A releaseCall is one attempt to pay. It is not reused: the client may hold on to
// one that was given up.
type releaseCall struct {
	node.Call
	deadline node.Deadline
	queue    *releaseQueue
	release  *pendingRelease
}

func newReleaseQueue(n *node.Node) *releaseQueue { return &releaseQueue{node: n} }

// add takes over the release of a claim.
func (b *releaseQueue) add(c *Claim, i int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.push(&pendingRelease{claim: c, index: i, pause: firstRepeat}, firstRepeat)
	b.setTimer()
}

func (b *releaseQueue) push(d *pendingRelease, in time.Duration) {
	d.due = time.Now().Add(in)
	heap.Push(&b.heap, d)
}

// sendDue sends the releases that are due. It runs on the timer and after every
// payment.
func (b *releaseQueue) sendDue() {
	for d := b.takeDue(); d != nil; d = b.takeDue() {
		if !d.claim.needsRelease(d.index) {
			b.callEnded(d, 0)
			continue
		}
		p := &releaseCall{
			deadline: node.MakeDeadline(context.Background(), d.claim.callTimeout()),
			queue:    b,
			release:  d,
		}
		p.Call = node.Call{Request: d.claim.releaseRequest(), Deadline: &p.deadline, Receiver: p, Index: d.index}
		if b.node.Start(&p.Call) != nil {
			b.unanswered(d)
		}
	}
}

// takeDue takes out a debt that is due, or sets the timer and returns nil.
func (b *releaseQueue) takeDue() *pendingRelease {
	b.mu.Lock()
	defer b.mu.Unlock()
	limit := maxReleasesInFlight
	if b.silent {
		limit = 1
	}
	if b.inFlight >= limit || len(b.heap) == 0 {
		return nil // whoever is paying comes back here
	}
	if now := time.Now(); b.heap[0].due.After(now) || b.silent && b.notBefore.After(now) {
		b.setTimer()
		return nil
	}
	b.inFlight++
	return heap.Pop(&b.heap).(*pendingRelease)
}

// callEnded notes that a payment is over; again, if not 0, is when to repeat it.
func (b *releaseQueue) callEnded(d *pendingRelease, again time.Duration) {
	b.mu.Lock()
	b.inFlight--
	if i := slices.Index(b.repeatSoon, d.claim); i >= 0 {
		b.repeatSoon = slices.Delete(b.repeatSoon, i, i+1)
		d.pause, again = firstRepeat, min(again, firstRepeat)
	}
	if again > 0 {
		b.push(d, again)
	}
	b.mu.Unlock()
}

func (b *releaseQueue) unanswered(d *pendingRelease) {
	b.callEnded(d, silentPause)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.silent, b.notBefore = true, time.Now().Add(silentPause)
}

// answered notes that the node answered a payment. After a silence everything
// that is owed becomes due soon, and is repeated in short order again: commands
// that the silence held back may take effect only now.
func (b *releaseQueue) answered(d *pendingRelease, again time.Duration) {
	b.callEnded(d, again)
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.silent {
		return
	}
	b.silent = false
	for _, d := range b.heap {
		d.pause = firstRepeat
		d.due = time.Now().Add(firstRepeat)
	}
	heap.Init(&b.heap)
	b.setTimer()
}

// setTimer sets the timer for the debt that is due first. b.mu is held.
func (b *releaseQueue) setTimer() {
	if len(b.heap) == 0 {
		return
	}
	at := b.heap[0].due
	if b.silent && b.notBefore.After(at) {
		at = b.notBefore
	}
	// Never 0 or less. In a synctest bubble such a timer runs on the goroutine that sets
	// it, in a context of the race detector that all of the bubble share: where two do
	// that at once it crashes (Go 1.26, timer.unlockAndRun).
	in := max(time.Until(at), 1) + random.Apart(b.node, "debts")
	if b.timer == nil {
		b.timer = time.AfterFunc(in, b.sendDue)
	} else {
		b.timer.Reset(in)
	}
}

// Answer implements node.Receiver.
func (p *releaseCall) Answer(_ *node.Call, a node.Answer) {
	b, d := p.queue, p.release
	switch {
	case errors.Is(a.Err, pool.ErrClosed):
		b.clientClosed(d)
	case !a.Answered():
		d.claim.releaseAnswered(d.index, p.Request, p.deadline.Made(), a)
		b.unanswered(d)
	case d.claim.releaseAnswered(d.index, p.Request, p.deadline.Made(), a):
		b.answered(d, 0)
	default: // refused, or answered too early to prove anything
		again := d.pause
		if left := d.claim.unknownFor(d.index); left > 0 {
			again = min(again, left) // the last one is not to come late
		}
		d.pause = min(2*d.pause, maxRepeat)
		b.answered(d, again)
	}
	b.sendDue()
}

// Late implements node.Receiver. A late release is one more, nothing else.
func (p *releaseCall) Late(*node.Call, node.Answer) {}

// clientReturned is called when the client returned from a call of the claim: the next release
// may settle it. The one under way, if there is one, does not.
func (b *releaseQueue) clientReturned(c *Claim) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.IndexFunc(b.heap, func(d *pendingRelease) bool { return d.claim == c })
	if i < 0 {
		b.repeatSoon = append(b.repeatSoon, c)
		return
	}
	b.heap[i].pause, b.heap[i].due = firstRepeat, time.Now()
	heap.Fix(&b.heap, i)
	b.setTimer()
}

// dropAbandoned takes out what was forgiven. A lock that is unlocked later, because it outlived
// its Locker, may still owe something new.
func (b *releaseQueue) dropAbandoned() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.heap = slices.DeleteFunc(b.heap, func(d *pendingRelease) bool { return d.claim.abandoned.Load() })
	heap.Init(&b.heap)
	if len(b.heap) == 0 && b.timer != nil {
		b.timer.Stop()
	}
}

// A releaseHeap is a heap by due time.
type releaseHeap []*pendingRelease

func (q releaseHeap) Len() int           { return len(q) }
func (q releaseHeap) Less(i, j int) bool { return q[i].due.Before(q[j].due) }
func (q releaseHeap) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *releaseHeap) Push(d any)        { *q = append(*q, d.(*pendingRelease)) }
func (q *releaseHeap) Pop() any {
	last := len(*q) - 1
	d := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	return d
}
