package redlock

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/quorumlock/quorumlock/internal/listen"
	"github.com/quorumlock/quorumlock/internal/node"
	"github.com/quorumlock/quorumlock/internal/random"
	"github.com/quorumlock/quorumlock/pool"
)

// Who waits for a lock that another process holds asks again when there is reason
// to: the release was published, the holder's TTL is over, or, whatever was lost
// or never sent, when the retry delay has passed. What is heard decides nothing but
// when to ask.

// An ear hears what the nodes say about one lock: all that they do, or, with
// WithFair, that it is the turn of its Locker.
type ear struct {
	channel string
	self    string        // the name of who listens, in marks
	stirs   chan struct{} // has room for one: something was heard

	mu     sync.Mutex // protects the rest
	joined []bool     // nodes that are listened to, or were
	told   []bool     // nodes that said something since the last attempt began
	free   []bool     // of them, those that said that the lock was released
	named  bool       // one of them said that it is the turn of who listens
	other  bool       // one of them said that it is somebody else's
	nobody bool       // one of them did not say whose turn it is
}

// clear forgets what was heard: an attempt begins.
func (e *ear) clear() {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	clear(e.told)
	clear(e.free)
	e.named, e.other, e.nobody = false, false, false
	select {
	case <-e.stirs:
	default:
	}
}

// note takes in what node i said.
func (e *ear) note(i int, event pool.Event) {
	e.mu.Lock()
	e.told[i] = true
	e.joined[i] = true
	if event.Kind == pool.Message {
		e.free[i] = true
		switch event.Message {
		case "":
			e.nobody = true
		case e.self:
			e.named = true
		default:
			e.other = true
		}
	}
	e.mu.Unlock()
	select {
	case e.stirs <- struct{}{}:
	default:
	}
}

// A turn is whose turn it is to ask, as messages said.
type turn int

const (
	unsaid  turn = iota // there were none, only reasons to ask
	ours                // at least one said so
	theirs              // that of somebody else who waits
	nobodys             // who released did not know of anybody
)

// heard reports whether it is worth to ask: as many nodes said something as were
// missing, or all that can be heard told of a release.
func (e *ear) heard(missing int) (enough bool, whose turn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.named:
		whose = ours
	case e.other:
		whose = theirs
	case e.nobody:
		whose = nobodys
	}
	return count(e.told) >= missing || count(e.free) > 0 && count(e.free) >= count(e.joined), whose
}

func count(flags []bool) (n int) {
	for _, set := range flags {
		if set {
			n++
		}
	}
	return n
}

// listeners returns what listens to the nodes, on subscriptions that all Lockers of the
// process share: nil for those whose client cannot.
func (l *Locker) listeners(pools []pool.Pool) []*listen.Listener {
	all := make([]*listen.Listener, len(pools))
	for i, p := range pools {
		if s, ok := p.(pool.Subscriber); ok {
			all[i] = listen.New(s, func(e pool.Event) { l.lines.tell(i, e) })
		}
	}
	return all
}

// lendConnection gives up the subscription to node i for a while: its client had no
// connection for a command, which comes first.
func (l *Locker) lendConnection(i int) {
	if l.ears[i] != nil {
		l.ears[i].Yield()
	}
}

// listen lends an ear to the request's lock.
func (l *Locker) listen(r *request) {
	n := len(l.ears)
	e := &ear{channel: node.SideKey(r.key, "wake"), stirs: make(chan struct{}, 1), joined: make([]bool, n), told: make([]bool, n), free: make([]bool, n)}
	if r.fair {
		e.self = l.group.WaiterID() // in lines and marks; see turn
		e.channel += ":" + e.self
	} else {
		e.self = l.mark(r).ID.(string)
	}
	r.ear = e
	l.lines.listen(e)
	for i, node := range l.ears {
		if node != nil && node.Want(e.channel) {
			r.ear.note(i, pool.Event{Kind: pool.Joined})
		}
	}
}

// deafen takes it away.
func (l *Locker) deafen(r *request) {
	if r.ear == nil {
		r.ear = r.place.inherit()
	}
	if r.ear == nil {
		return
	}
	l.lines.unlisten(r.ear)
	for _, node := range l.ears {
		if node != nil {
			node.Drop(r.ear.channel)
		}
	}
}

// maxMark bounds how long a node remembers that somebody waits who may be gone.
const maxMark = 10 * time.Second

// mark is what an attempt leaves. It lives until the next one is over.
func (l *Locker) mark(r *request) node.WaiterFlag {
	if r.self == "" {
		r.self = fmt.Sprintf("%s.%d", l.process.self, l.process.marks.Add(1))
	}
	return node.WaiterFlag{ID: r.self, TTL: min(r.markTTL()+2*r.took, maxMark)} // see expect
}

// markTTL is how long a mark lives. Nothing is added to a pause that may be the longest
// that there is.
func (s *settings) markTTL() time.Duration {
	return min(min(s.retryMax, maxMark)+s.nodeTimeout, maxMark)
}

// expect notes when an attempt comes by itself.
func (r *request) expect() {
	if !r.extra {
		// Whoever asks slow nodes asks them less often: for half of the time at most, so that
		// they get to answer. The pause is random, too.
		r.next = time.Now().Add(max(r.delay(), r.took+random.N(r.took+1)))
		r.extra = true
	}
}

// await waits until there is reason to ask again. It returns false if ctx ends or
// the Locker closes.
//
// What comes earlier than the retry delay is extra: it costs no tries, and the
// retry delay goes on meanwhile.
func (l *Locker) await(ctx context.Context, r *request, o outcome) bool {
	r.expect()
	at := r.next
	sooner := func(d time.Duration) bool {
		t := time.Now().Add(d)
		if t.Before(at) {
			at = t
			return true
		}
		return false
	}
	if r.ear != nil && r.markTTL() == maxMark {
		sooner(maxMark / 2) // to renew the mark
	}
	if r.fair {
		sooner(r.placeLease() / 3) // to keep the place
	}
	if o.free > 0 {
		sooner(o.free + random.N(r.retryMin/10+1)) // a little at random: others know the same
	}
	var news <-chan struct{}
	if r.fair {
		news = r.place.news
		select { // now, so that it is not for chance to say whether it is seen before the rest
		case <-news:
			sooner(drawPause)
		default:
		}
	}
	timer := time.NewTimer(max(time.Until(at), 1)) // not 0 or less, see setTimer in package fanout
	defer timer.Stop()
	var stirs <-chan struct{}
	if r.ear != nil {
		stirs = r.ear.stirs
	}
	for {
		select {
		case <-timer.C:
			r.extra = at.Before(r.next)
			return true
		case <-stirs:
			switch enough, whose := r.ear.heard(o.missing); {
			case !enough && whose == ours && r.fair:
				// The others may have named somebody who is not there: one that was
				// down, or lost the line, does not know who comes first.
				if sooner(drawPause) {
					timer.Reset(drawPause)
				}
				continue
			case !enough:
				continue
			case whose == ours, whose == unsaid:
				return true
			case whose == theirs:
				r.passed = min(r.passed+1, maxPassed)
			}
			if d := r.holdOff(o.took, r.passed); sooner(d) {
				timer.Reset(d)
			}
		case <-news:
			if sooner(drawPause) {
				timer.Reset(drawPause)
			}
		case <-l.closing:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// holdOff is how long to let somebody else try first: he needs a round trip, and
// took is about what one takes, unless it was an odd one. The more often that was in
// vain, passed times, the more others there are, and one of them is enough to ask.
func (s *settings) holdOff(took time.Duration, passed int) time.Duration {
	took = min(took, s.retryMin/10)
	return took + random.N((2*took+time.Millisecond)<<passed)
}

const maxPassed = 5
