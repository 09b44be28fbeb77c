// Package quorum counts votes and computes validity windows. It is pure: no
// I/O, no goroutine, no clock.
package quorum

import (
	"math"
	"time"
)

// Majority is the smallest number of n nodes such that two sets of that size
// always share a node.
func Majority(n int) int { return n/2 + 1 }

// Outcome says whether a vote is decided. It is three-valued, and a decided
// vote stays decided whatever the open answers turn out to be: that is why a
// round need not wait for them.
type Outcome uint8

const (
	Open Outcome = iota // more answers are needed
	Won                 // a majority said yes
	Lost                // no majority can say yes any more
)

func (o Outcome) String() string {
	return [...]string{"open", "won", "lost"}[o]
}

// Tally counts the answers of n nodes to one question.
type Tally struct {
	Nodes  int // how many were asked
	Yes    int
	No     int // answered, and the answer is no
	Failed int // did not answer, or with an error: neither yes nor no
}

// Outcome decides from the answers so far.
func (t Tally) Outcome() Outcome {
	need := Majority(t.Nodes)
	open := t.Nodes - t.Yes - t.No - t.Failed
	switch {
	case t.Yes >= need:
		return Won
	case t.Yes+open < need:
		return Lost
	}
	return Open
}

// Denied reports that a majority of yes is impossible because of what nodes
// answered, whatever the failed ones would have said: asking those again
// cannot help.
func (t Tally) Denied() bool { return t.Nodes-t.No < Majority(t.Nodes) }

// Unreachable reports that a majority of yes is impossible because of failed
// nodes alone, whatever the others say.
func (t Tally) Unreachable() bool { return t.Nodes-t.Failed < Majority(t.Nodes) }

// driftSlack is the constant part of the drift allowance: it covers the
// precision of Redis expiry (1 ms) and short TTLs.
const driftSlack = 2 * time.Millisecond

// Drift is the allowance for clocks that run at different rates while a TTL
// passes: ttl x factor + 2 ms, as on the Redis page "Distributed Locks with
// Redis" (CLOCK_DRIFT).
func Drift(ttl time.Duration, factor float64) time.Duration {
	return time.Duration(float64(ttl)*factor) + driftSlack
}

// Validity is how long, counted from just before the first command of a round
// was sent, the keys that the round set are certain to live on every node that
// answered: a node started counting ttl later than that moment, and its clock
// is at most the drift faster than ours. (MIN_VALIDITY on the Redis page is the
// same less the time that the round took.) It is not positive if the ttl is too
// short for the drift.
func Validity(ttl time.Duration, factor float64) time.Duration {
	return ttl - Drift(ttl, factor)
}

// TTL is the time to live that gives the validity: the inverse of [Validity].
func TTL(validity time.Duration, factor float64) time.Duration {
	return time.Duration(float64(validity+driftSlack)/(1-factor)) + 1 // rounded up
}

// Lifetime bounds from above how long after it was sent a command can leave a
// key with this ttl behind, on a node that executes it at once and whose clock
// is at most the drift slower than ours. Where that is more than a time.Duration holds,
// it is the longest: a negative one would let a key count as gone that is there.
func Lifetime(ttl time.Duration, factor float64) time.Duration {
	life := float64(ttl) / (1 - factor)
	if life >= math.MaxInt64-float64(driftSlack) {
		return math.MaxInt64
	}
	return time.Duration(life) + driftSlack
}
