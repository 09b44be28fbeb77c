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

// Outcome says whether a vote is decided. It has three values. A decided vote stays decided
// whatever the outstanding answers are, so a round need not wait for them.
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

// Denied reports that a majority of yes is impossible because of the answers no alone. Asking
// the failed nodes again cannot help.
func (t Tally) Denied() bool { return t.Nodes-t.No < Majority(t.Nodes) }

// Unreachable reports that a majority of yes is impossible because of failed nodes alone,
// whatever the other nodes answer.
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

// Validity is how long the keys of a round certainly live on every node that answered. It
// counts from just before the first command of the round was sent. A node starts to count the
// ttl after that moment, and its clock is at most the drift faster than ours. Validity is not
// positive if the ttl is too short for the drift. (MIN_VALIDITY on the Redis page is Validity
// minus the time that the round took.)
func Validity(ttl time.Duration, factor float64) time.Duration {
	return ttl - Drift(ttl, factor)
}

// TTL is the time to live that gives the validity: the inverse of [Validity].
func TTL(validity time.Duration, factor float64) time.Duration {
	return time.Duration(float64(validity+driftSlack)/(1-factor)) + 1 // rounded up
}

// Lifetime is the longest time after which a key with this ttl still exists, counted from the
// sending of its command. The node executes the command at once, and its clock is at most the
// drift slower than ours. Lifetime is at most the largest time.Duration: an overflow to a
// negative one would make an existing key count as gone.
func Lifetime(ttl time.Duration, factor float64) time.Duration {
	life := float64(ttl) / (1 - factor)
	if life >= math.MaxInt64-float64(driftSlack) {
		return math.MaxInt64
	}
	return time.Duration(life) + driftSlack
}
