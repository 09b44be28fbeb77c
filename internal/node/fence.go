package node

import (
	"strconv"
	"time"

	"github.com/quorumlock/quorumlock/pool"
)

// A Fence is a fencing token on its way to the nodes; see fence.lua.
type Fence struct {
	counter, number any // boxed once
	life            time.Duration
	again           bool // the lock is held with it
}

// Fenced returns the lease with a fencing token, which is kept in f. A node that grants
// it remembers the token for life from then on, or after the time that it stands for if
// that is later.
func (l Lease) Fenced(f *Fence, number int64, life time.Duration) Lease {
	*f = Fence{counter: SideKey(l.Key(), "fence"), number: number, life: life}
	l.fence = f
	return l
}

// Again returns the lease of a lock that is held, for nodes that lost it.
func (l Lease) Again() Lease {
	if l.fence != nil {
		again := *l.fence
		again.again = true
		l.fence = &again
	}
	return l
}

func (f *Fence) token() int64 { return f.number.(int64) }

// fence appends the arguments for fence.lua, if there is a token.
func (r *Request) fence(to []any) []any {
	if r.lease.fence == nil {
		return to
	}
	to = append(to, r.lease.fence.number, r.life)
	if r.lease.fence.again {
		to = append(to, "again")
	}
	return to
}

// fenced reports whether the request carries a token.
func (r *Request) fenced() bool { return r.lease.fence != nil && r.Verb.Takes() }

const (
	maxToken = 1<<53 - 1 // the largest that Lua compares exactly
	noNews   = 1         // in place of the node's time
	near     = 100_000   // microseconds that this is from the token, at most

	// The remaining time to live of a key that is free, if the token is not taken.
	tooSmall = -3
	tooLarge = -4
)

// errBehind is a refusal like those of servers.
const errBehind = pool.Error("CLOCKBEHIND the fencing token is more than a day ahead of this server")

// unfence takes off what fence.lua adds to a reply: what the node knows about tokens,
// and as status and error why it does not take this one. No time is 0.
func unfence(verb Verb, reply any) (rest any, fence Answer, ok bool) {
	list, _ := reply.([]any)
	n := len(list)
	end := reply
	if n > 0 {
		end = list[n-1]
	}
	micros, ok := end.(int64)
	if micros != noNews {
		fence.Micros = micros
	}
	switch {
	case !ok || micros <= 0 || micros > maxToken:
		return nil, fence, false
	case verb == Wait && n == 0: // granted
		return nil, fence, true
	case verb == Turn && n == 2: // the same
		return list[0], fence, true
	case n < 4:
		return nil, fence, false
	}
	text, ok := list[n-2].(string)
	newest, err := strconv.ParseInt(text, 10, 64)
	fence.Newest = newest
	switch list[1] {
	case int64(tooSmall):
		fence.Status = Stale
	case int64(tooLarge):
		fence.Err = errBehind
	}
	return list[:n-2], fence, ok && err == nil && newest >= 0 && newest <= maxToken
}
