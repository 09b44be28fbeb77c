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
	// probePause is the pause before a node that did not answer is tried again.
	probePause = 100 * time.Millisecond
	// maxPaying bounds the releases under way on a node that answers.
	maxPaying = 16
)

// debts are the releases that one node still has to carry out. They are worked
// off in the background, without a goroutine while none is due: one at a time
// while the node is silent, a few at a time when it answers, each until it is
// settled or the key cannot live any more.
//
// An answered release settles a seat only if it came after everything that may
// have set the key. After an acquire of unknown fate nothing proves that but
// time: when a stopped server goes on, commands that waited in other sockets
// take effect after a release that was answered. So the release is repeated
// until the acquire is too old to matter.
type debts struct {
	node *node.Node

	mu      sync.Mutex // protects the rest; taken after Claim.mu, before Node.mu
	queue   debtQueue
	paying  int
	hurried []*Claim  // of those that are being paid, to be repeated soon
	quiet   bool      // the last payment was not answered: one at a time now
	hold    time.Time // no payment before, if quiet
	timer   *time.Timer
}

// A debt is a release that one claim still needs on the node.
type debt struct {
	claim *Claim
	index int // of the node
	due   time.Time
	pause time.Duration // before the next repeat
}

// A payment is one attempt to pay. It is not reused: the client may hold on to
// one that was given up.
type payment struct {
	node.Call
	deadline node.Deadline
	book     *debts
	debt     *debt
}

func newDebts(n *node.Node) *debts { return &debts{node: n} }

// add takes over the release of a claim.
func (b *debts) add(c *Claim, i int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.put(&debt{claim: c, index: i, pause: firstRepeat}, firstRepeat)
	b.arm()
}

func (b *debts) put(d *debt, in time.Duration) {
	d.due = time.Now().Add(in)
	heap.Push(&b.queue, d)
}

// pay sends the releases that are due. It runs on the timer and after every
// payment.
func (b *debts) pay() {
	for d := b.next(); d != nil; d = b.next() {
		if !d.claim.owes(d.index) {
			b.ended(d, 0)
			continue
		}
		p := &payment{
			deadline: node.MakeDeadline(context.Background(), d.claim.patience()),
			book:     b,
			debt:     d,
		}
		p.Call = node.Call{Request: d.claim.repeat(), Deadline: &p.deadline, Receiver: p, Index: d.index}
		if b.node.Start(&p.Call) != nil {
			b.unanswered(d)
		}
	}
}

// next takes out a debt that is due, or sets the timer and returns nil.
func (b *debts) next() *debt {
	b.mu.Lock()
	defer b.mu.Unlock()
	limit := maxPaying
	if b.quiet {
		limit = 1
	}
	if b.paying >= limit || len(b.queue) == 0 {
		return nil // whoever is paying comes back here
	}
	if now := time.Now(); b.queue[0].due.After(now) || b.quiet && b.hold.After(now) {
		b.arm()
		return nil
	}
	b.paying++
	return heap.Pop(&b.queue).(*debt)
}

// ended notes that a payment is over; again, if not 0, is when to repeat it.
func (b *debts) ended(d *debt, again time.Duration) {
	b.mu.Lock()
	b.paying--
	if i := slices.Index(b.hurried, d.claim); i >= 0 {
		b.hurried = slices.Delete(b.hurried, i, i+1)
		d.pause, again = firstRepeat, min(again, firstRepeat)
	}
	if again > 0 {
		b.put(d, again)
	}
	b.mu.Unlock()
}

func (b *debts) unanswered(d *debt) {
	b.ended(d, probePause)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.quiet, b.hold = true, time.Now().Add(probePause)
}

// answered notes that the node answered a payment. After a silence everything
// that is owed becomes due soon, and is repeated in short order again: commands
// that the silence held back may take effect only now.
func (b *debts) answered(d *debt, again time.Duration) {
	b.ended(d, again)
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.quiet {
		return
	}
	b.quiet = false
	for _, d := range b.queue {
		d.pause = firstRepeat
		d.due = time.Now().Add(firstRepeat)
	}
	heap.Init(&b.queue)
	b.arm()
}

// arm sets the timer for the debt that is due first. b.mu is held.
func (b *debts) arm() {
	if len(b.queue) == 0 {
		return
	}
	at := b.queue[0].due
	if b.quiet && b.hold.After(at) {
		at = b.hold
	}
	// Never 0 or less. In a synctest bubble such a timer runs on the goroutine that sets
	// it, in a context of the race detector that all of the bubble share: where two do
	// that at once it crashes (Go 1.26, timer.unlockAndRun).
	in := max(time.Until(at), 1) + random.Apart(b.node, "debts")
	if b.timer == nil {
		b.timer = time.AfterFunc(in, b.pay)
	} else {
		b.timer.Reset(in)
	}
}

// Answer implements node.Receiver.
func (p *payment) Answer(_ *node.Call, a node.Answer) {
	b, d := p.book, p.debt
	switch {
	case errors.Is(a.Err, pool.ErrClosed):
		b.closed(d)
	case !a.Answered():
		d.claim.paid(d.index, p.Request, p.deadline.Made(), a)
		b.unanswered(d)
	case d.claim.paid(d.index, p.Request, p.deadline.Made(), a):
		b.answered(d, 0)
	default: // refused, or answered too early to prove anything
		again := d.pause
		if left := d.claim.doubtful(d.index); left > 0 {
			again = min(again, left) // the last one is not to come late
		}
		d.pause = min(2*d.pause, maxRepeat)
		b.answered(d, again)
	}
	b.pay()
}

// Late implements node.Receiver. A late release is one more, nothing else.
func (p *payment) Late(*node.Call, node.Answer) {}

// hurry is called when the client returned from a call of the claim: the next release
// may settle it. The one under way, if there is one, does not.
func (b *debts) hurry(c *Claim) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.IndexFunc(b.queue, func(d *debt) bool { return d.claim == c })
	if i < 0 {
		b.hurried = append(b.hurried, c)
		return
	}
	b.queue[i].pause, b.queue[i].due = firstRepeat, time.Now()
	heap.Fix(&b.queue, i)
	b.arm()
}

// forget takes out what was forgiven. A lock that is unlocked later, because it outlived
// its Locker, may still owe something new.
func (b *debts) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.queue = slices.DeleteFunc(b.queue, func(d *debt) bool { return d.claim.forgiven.Load() })
	heap.Init(&b.queue)
	if len(b.queue) == 0 && b.timer != nil {
		b.timer.Stop()
	}
}

// A debtQueue is a heap by due time.
type debtQueue []*debt

func (q debtQueue) Len() int           { return len(q) }
func (q debtQueue) Less(i, j int) bool { return q[i].due.Before(q[j].due) }
func (q debtQueue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *debtQueue) Push(d any)        { *q = append(*q, d.(*debt)) }
func (q *debtQueue) Pop() any {
	last := len(*q) - 1
	d := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	return d
}
