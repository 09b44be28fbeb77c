package goredis

import (
	"context"
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// clones hands the deadline of a context to go-redis in the one way that it
// offers without a change of the user's options: [redis.Client.WithTimeout], a
// shallow copy of the client on the same connections, with other timeouts. One
// copy is kept per duration, and durations are rounded up to four significant
// bits: at most an eighth too long, never too short, and eight copies for each
// doubling, of which a lock with one node timeout uses one or two.
//
// The timeout starts again for each wait: a write, a reply, each step of a greeting. It
// does not bound the wait for a connection. So the copies obey the context as well, see
// [lenient]. The context alone would be enough, with a single copy. But that is switched on
// in Options, which are documented as read-only. A later go-redis that returns a copy of
// them would silently bring back the five seconds in a user's build, where none of our
// tests runs.
type clones struct {
	client *redis.Client // the user's
	base   *redis.Client // the copy for contexts whose deadline is beyond limit
	limit  time.Duration // the longer of the client's own timeouts

	// byBucket is filled at first use and never emptied. Two callers may make the same
	// copy at the same time. The second one to store it drops its own.
	byBucket [buckets]atomic.Pointer[redis.Client]
}

const (
	shortest = time.Millisecond // below, go-redis would not get to the socket
	longest  = time.Hour        // a later deadline does not matter to a command

	keptBits   = 4
	firstShift = 16 // of shortest: 20 bits less the four kept
	lastShift  = 38 // of longest: 42 bits less the four kept
	buckets    = (lastShift-firstShift+1)<<(keptBits-1) + 1
)

func (c *clones) init(client *redis.Client) {
	opts := client.Options()
	c.limit = max(opts.ReadTimeout, opts.WriteTimeout)
	if opts.ReadTimeout <= 0 || opts.WriteTimeout <= 0 {
		c.limit = 0 // none: go-redis turns "-1, no timeout" into 0
	}
	c.client, c.base = client, clone(client, c.limit)
	if c.limit == 0 || c.limit > longest {
		c.limit = longest
	}
}

func clone(client *redis.Client, timeout time.Duration) *redis.Client {
	c := client.WithTimeout(timeout)
	c.AddHook(once{})
	if own := c.Options(); own != client.Options() {
		own.ContextTimeoutEnabled = true
	}
	return c
}

// lenient is a context whose deadline is an eighth of the time later. A reply that has
// arrived when the deadline passes is still read, and the connection is kept. Nothing but a
// PING is sent in the added time: see [command.Args].
type lenient struct {
	context.Context
	beyond time.Duration
}

// Deadline implements [context.Context].
func (l *lenient) Deadline() (time.Time, bool) {
	at, ok := l.Context.Deadline()
	if ok {
		at = at.Add(l.beyond)
	}
	return at, ok
}

// get returns the client whose timeouts suit a deadline that is so far away. A
// deadline shortens the client's own timeouts and never extends them.
func (c *clones) get(left time.Duration) *redis.Client {
	if left >= c.limit {
		return c.base
	}
	timeout, bucket := roundUp(left)
	if client := c.byBucket[bucket].Load(); client != nil {
		return client
	}
	client := clone(c.client, timeout)
	if !c.byBucket[bucket].CompareAndSwap(nil, client) {
		return c.byBucket[bucket].Load()
	}
	return client
}

// roundUp rounds d up to four significant bits and returns the number of its bucket. d is
// below longest.
func roundUp(d time.Duration) (time.Duration, int) {
	d = max(d, shortest)
	shift := bits.Len64(uint64(d)) - keptBits
	kept := int((int64(d) + 1<<shift - 1) >> shift) // 8 to 16
	// 16 is the 8 of the next doubling, and gets its number.
	return time.Duration(kept) << shift, (shift-firstShift)<<(keptBits-1) + kept - 1<<(keptBits-1)
}
