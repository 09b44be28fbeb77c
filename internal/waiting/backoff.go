package waiting

import (
	"time"

	"github.com/quorumlock/quorumlock/internal/random"
)

// Pauses are the options of a lock that say how long its waiters pause.
type Pauses struct {
	RetryMin    time.Duration // the shortest retry delay
	RetryMax    time.Duration // the longest one
	NodeTimeout time.Duration
	PositionTTL time.Duration // WithFair: how long a node keeps the position of a Locker that has stopped asking
}

// MaxFlagTTL bounds how long a node keeps the flag of a waiter that may be gone.
const MaxFlagTTL = 10 * time.Second

// FlagTTL is how long a waiter flag lives. Nothing is added to a retry delay that may be the
// longest that there is.
func (p *Pauses) FlagTTL() time.Duration {
	return min(min(p.RetryMax, MaxFlagTTL)+p.NodeTimeout, MaxFlagTTL)
}

// Delay is the retry delay before the next attempt.
func (p *Pauses) Delay() time.Duration {
	if p.RetryMax > p.RetryMin {
		return p.RetryMin + random.N(p.RetryMax-p.RetryMin)
	}
	return p.RetryMin
}

// BackOff is how long a waiter lets another one try first. The other one needs a round trip.
// roundTrip is about what one takes, unless it was an odd one. times is how often in a row
// the waiter has backed off in vain. The more often, the more others there are, and one
// attempt among them is enough.
func (p *Pauses) BackOff(roundTrip time.Duration, times int) time.Duration {
	roundTrip = min(roundTrip, p.RetryMin/10)
	return roundTrip + random.N((2*roundTrip+time.Millisecond)<<times)
}

// MaxBackOffs bounds how often a waiter counts that it backed off.
const MaxBackOffs = 5
