package node

import (
	"strconv"
	"time"

	"github.com/quorumlock/quorumlock/internal/node/lua"
	"github.com/quorumlock/quorumlock/pool"
)

// A Fence is a fencing token on its way to the nodes: see fence.lua.
type Fence struct {
	counter, number any // boxed once; the counter of the first key
	ttl             time.Duration
	retake          bool // the lock is held with this token
}

// Fenced returns the entry with a fencing token, which is kept in f. A node that grants the
// token remembers it for life: from then on, or from the time that the token stands for,
// whichever is later.
func (e Entry) Fenced(f *Fence, number int64, life time.Duration) Entry {
	*f = Fence{counter: SideKey(e.Key(), "fence"), number: number, ttl: life}
	e.fence = f
	return e
}

// Retake returns the entry of a lock that is held, for nodes that lost it.
func (e Entry) Retake() Entry {
	if e.fence != nil {
		again := *e.fence
		again.retake = true
		e.fence = &again
	}
	return e
}

// counter is the key of the largest token of the lock with this key.
func (r *Request) counter(key any) any {
	if r.entry.rare == nil || r.entry.rare.slots == nil && r.entry.Grant() == OneKey {
		return r.entry.fence.counter
	}
	return SideKey(key.(string), "fence")
}

func (f *Fence) token() int64 { return f.number.(int64) }

// fenced reports whether the request carries a token.
func (r *Request) fenced() bool {
	return r.entry.fence != nil && r.Verb.Takes() && r.entry.Grant() != Shared
}

const (
	maxToken = 1<<53 - 1 // the largest that Lua compares exactly
	near     = 100_000   // if the node's time is no more microseconds from the token, the reply does not have it
)

// errBehind is a refusal like those of servers.
const errBehind = pool.Error("CLOCKBEHIND the fencing token is more than a day ahead of this server")

// unfence separates what fence.lua adds to a reply: what the node knows about tokens, and as
// status and error why it does not take this token. Micros is 0 if the reply does not have the
// time.
func (r *Request) unfence(reply any) (rest any, fence Answer, ok bool) {
	script := r.script(evalsha)
	list, named := script.Reply(reply)
	granted, _ := reply.([]any)
	var micros any
	switch {
	case named:
		micros = list.Get("micros")
	case r.Verb == AcquireInTurn && len(granted) == 2: // granted: the largest ticket, and the time
		rest, micros = granted[0], granted[1]
	case r.Verb != AcquireInTurn: // granted
		micros = reply
	}
	fence.Micros, ok = micros.(int64)
	if !ok || fence.Micros <= 0 || fence.Micros > maxToken {
		return nil, fence, false
	}
	if fence.Micros == lua.NoNews {
		fence.Micros = 0
	}
	if !named {
		return rest, fence, true
	}
	text, ok := list.Get("largest").(string)
	largest, err := strconv.ParseInt(text, 10, 64)
	fence.LargestToken = largest
	switch list.Get("left") {
	case int64(lua.TooSmall):
		fence.Status = TokenTooSmall
	case int64(lua.TooLarge):
		fence.Err = errBehind
	}
	return granted[:len(granted)-len(lua.Findings)], fence, ok && err == nil && largest >= 0 && largest <= maxToken
}
