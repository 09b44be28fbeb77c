package fanout

import (
	"sync"
	"time"

	"github.com/quorumlock/quorumlock/internal/node"
)

// A pace is how slowly the nodes of a group answer, when they are overloaded, or their
// clients are.
//
// Where an answer takes longer than what a node gets, every attempt fails and has to be
// undone: that is more load than an attempt that succeeds, and it goes on for as long as
// the answers are late, so the load never ends. So claims whose timeout was not chosen by
// the user wait for longer while answers are slow, and none is undone that would have been
// granted. It is known that they are slow from those that came late, and from those that
// nearly did: not every client hears of the late ones. A node that does not answer at all
// says nothing about that.
//
// TCP has the same difficulty, and waits for a multiple of what it has measured (RFC 6298).
// It follows the mean. Here what counts is the slowest: few answers are so late, and a
// timeout that is too long costs nothing where a majority answers.
type pace struct {
	mu   sync.Mutex // protects the rest; no other is taken under it
	slow time.Duration
	at   time.Time // when it was measured
}

// slowHalfLife is the time in which the memory of a slow answer halves.
const slowHalfLife = 2 * time.Second

// now is the pace, with p.mu held. It may have been measured after now: whoever learns of an
// answer may be stopped, with all of the process, before he notes it.
func (p *pace) now(now time.Time) time.Duration {
	return p.slow >> min(max(now.Sub(p.at), 0)/slowHalfLife, 62)
}

// note takes in that an answer took so long.
func (p *pace) note(took time.Duration, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if took > p.now(at) {
		p.slow, p.at = took, later(p.at, at)
	}
}

// timeout is twice the pace, but at least and at most so long.
func (p *pace) timeout(least, most time.Duration) time.Duration {
	if most <= least {
		return least
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return min(max(least, 2*p.now(time.Now())), most)
}

// SetMaxTimeout has the claim wait for slow nodes for longer than its timeout, for that at most.
func (c *Claim) SetMaxTimeout(most time.Duration) { c.maxTimeout = most }

// callTimeout is how long a node gets for a command that is sent now.
func (c *Claim) callTimeout() time.Duration { return c.group.pace.timeout(c.timeout, c.maxTimeout) }

// measure learns from an answer. Most answers are quick and cost nothing here. What takes
// longer than the claim would ever wait is a node that was frozen, rather than slow.
func (c *Claim) measure(sent *node.Call, a node.Answer) {
	took := a.At.Sub(sent.Deadline.Made())
	if took > c.timeout/2 && took <= 2*max(c.timeout, c.maxTimeout) && a.Answered() {
		c.group.pace.note(took, a.At)
	}
}
