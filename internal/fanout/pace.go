package fanout

import (
	"sync"
	"time"

	"github.com/quorumlock/quorumlock/internal/node"
)

// A pace is how slowly the nodes of a group answer, when they are overloaded, or their
// clients are.
//
// If answers take longer than the timeout, every attempt fails and has to be rolled back.
// That is more load than an attempt that succeeds. It lasts as long as the answers are late,
// so the load never ends. So a claim whose timeout was not chosen by the user waits for
// longer while answers are slow, and no attempt is rolled back that would have been granted.
// Answers that came late, and answers that nearly did, show that nodes are slow: not every
// client reports the late ones. A node that does not answer at all shows nothing about that.
//
// TCP has the same difficulty, and waits for a multiple of what it has measured (RFC 6298).
// TCP follows the mean. Here the slowest answer counts: few answers are so late, and a
// timeout that is too long costs nothing where a majority answers.
type pace struct {
	mu   sync.Mutex    // protects the rest; no other is taken under it
	slow time.Duration // the slowest answer
	at   time.Time     // when it was measured
}

// slowHalfLife is the time in which the memory of a slow answer halves.
const slowHalfLife = 2 * time.Second

// now is the pace at the instant now, with p.mu held. It may have been measured after now: the
// whole process may be stopped between an answer and the note of it.
func (p *pace) now(now time.Time) time.Duration {
	return p.slow >> min(max(now.Sub(p.at), 0)/slowHalfLife, 62)
}

// note notes that an answer took so long.
func (p *pace) note(took time.Duration, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if took > p.now(at) {
		p.slow, p.at = took, later(p.at, at)
	}
}

// timeout is twice the pace, within least and most.
func (p *pace) timeout(least, most time.Duration) time.Duration {
	if most <= least {
		return least
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return min(max(least, 2*p.now(time.Now())), most)
}

// SetMaxTimeout has the claim wait for slow nodes for longer than its timeout, but no longer
// than most.
func (c *Claim) SetMaxTimeout(most time.Duration) { c.maxTimeout = most }

// callTimeout is the timeout of a command that is sent now.
func (c *Claim) callTimeout() time.Duration { return c.group.pace.timeout(c.timeout, c.maxTimeout) }

// measure learns from an answer. Most answers are quick and cost nothing here. A node that
// takes longer than the claim would ever wait was frozen, rather than slow.
func (c *Claim) measure(sent *node.Call, a node.Answer) {
	took := a.At.Sub(sent.Deadline.Made())
	if took > c.timeout/2 && took <= 2*max(c.timeout, c.maxTimeout) && a.Answered() {
		c.group.pace.note(took, a.At)
	}
}
