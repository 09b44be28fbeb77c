package main

import (
	"math/rand/v2"
	"time"

	"github.com/quorumlock/quorumlock/internal/node"
	"github.com/quorumlock/quorumlock/internal/node/lua"
)

// What a server and its model are asked.

// A query is one question about a lock.
type query struct {
	verb  node.Verb
	lease node.Entry
	ttl   time.Duration
	flag  node.WaiterFlag

	grant   string // "several", "shared", "any", "chosen" of several, or "" for one lock
	guarded bool
	brief   bool          // what it leaves expires at once
	request *node.Request // about a published value, nil if it is about a lock only
}

// question draws one, of everything that a Locker may ask and a little more: mostly about slots if ofSlots
// is set.
func question(random *rand.Rand, key string, ofSlots bool) query {
	in := func(n int) bool { return random.IntN(n) == 0 }
	verbs := []node.Verb{node.Acquire, node.AcquireOrFlag, node.AcquireInTurn, node.AcquireInTurn, node.Extend, node.Release, node.Release, node.Inspect}
	q := query{verb: verbs[random.IntN(len(verbs))], ttl: time.Duration(1+random.IntN(9)) * time.Hour}
	q.ttl += 10 * time.Millisecond * time.Duration(random.IntN(100_000)) // no two readers end at the same time
	value := []string{"rl1:a", "rl1:b", "rl1:c"}[random.IntN(3)]
	q.lease = node.NewEntry(key, value)
	if in(3) && !ofSlots {
		q.request, q.brief = aboutValue(random, key, &q.lease)
		q.verb = q.request.Verb
		return q
	}
	if q.guarded = in(3); q.guarded {
		q.lease = node.Guard{Nodes: 3 + random.IntN(20)/19, Longest: 9 * time.Hour, Quarantine: 10 * time.Hour}.Scripts().NewEntry(key, value)
	}
	switch {
	case q.verb == node.Inspect:
	case ofSlots && !in(4):
		q.slots(random, key)
	case in(3):
		q.grant, q.lease = "several", q.lease.And([]string{key + " 2", key + " 3"}[:1+random.IntN(2)]...)
	case in(3):
		q.grant, q.lease = "shared", q.lease.Shared(in(2))
	}
	if q.verb == node.Extend && in(4) {
		q.verb = node.Expire
	}
	if q.grant != "shared" && in(3) {
		// A minute ahead: whether it is nearly that of the server would depend on when it arrives.
		token := time.Now().Add(time.Minute).UnixMicro() + random.Int64N(20) - 10
		if in(6) {
			token += 2 * day
		}
		q.lease = q.lease.Fenced(new(node.Fence), token, 24*time.Hour)
		if in(4) {
			q.lease = q.lease.Retake()
		}
	}
	line := &q.flag.Position
	id := []string{"one", "two", "two.1", "three"}[random.IntN(4)]
	if q.grant == "shared" {
		id += "-r"
	}
	q.flag.ID = id
	line.Ticket, line.Count, line.TTL = int64(random.IntN(6)), int64(random.IntN(50)), time.Duration(1+random.IntN(9))*time.Hour
	line.Last = line.Ticket
	if line.Ticket > 0 && in(2) {
		line.Next = line.Ticket + int64(1+random.IntN(3))
		line.Last = line.Next + int64(random.IntN(100))
	}
	if in(2) {
		q.flag.TTL = time.Hour
	}
	if in(8) {
		line.TTL, q.brief = time.Millisecond, true
	}
	if q.verb.Takes() && in(10) || q.verb == node.Extend && in(20) {
		q.ttl, q.brief = time.Millisecond, true
	}
	line.Intent = in(2)
	line.Requeue = q.verb == node.Release && line.Ticket > 0 && in(2)
	return q
}

// slots makes it a question about one of the same keys, whichever is free, or one that was chosen of them.
func (q *query) slots(random *rand.Rand, key string) {
	all := []string{key, key + " 2", key + " 3"}[:2+random.IntN(2)]
	q.grant, q.lease = "any", q.lease.AnyOf(node.NewSlots(key+"/", all...), random.IntN(len(all)))
	if q.verb == node.Extend || q.verb == node.Release && random.IntN(2) == 0 {
		q.grant, q.lease = "chosen", q.lease.Chosen(random.IntN(len(all)))
	}
}

// saidOfSlots names what was said to an attempt to take one of several locks.
func saidOfSlots(q query, reply any) string {
	list, ok := reply.([]any)
	if !ok {
		return ""
	}
	switch left := list[1].(int64); {
	case left == lua.Joined:
		return "any takes"
	case left == lua.Free:
		return "any is queued"
	case left == lua.TooSmall, left == lua.TooLarge:
		return "any is refused its token"
	case list[0] == q.lease.Value():
		return "any finds its own"
	}
	return "any finds another"
}

// aboutValue draws a question about the value that is published under a key.
func aboutValue(random *rand.Rand, key string, lock *node.Entry) (r *node.Request, brief bool) {
	in := func(n int) bool { return random.IntN(n) == 0 }
	switch {
	case in(4):
		if in(2) {
			return node.NewReadVersion(node.ValueKey(key)), false
		}
		return node.NewRead(node.ValueKey(key)), false
	case in(4):
		return node.NewReadLed(key, time.Duration(random.IntN(2))*time.Hour), false
	case in(2):
		lock = nil
	}
	p := node.Publication{
		Version: node.Version{Term: 1 + int64(random.IntN(4)), Seq: int64(random.IntN(3)), Writer: int64(random.IntN(3))},
		Text:    []string{"", "text", "1 2 3 4 \x00\r\n\xff"}[random.IntN(3)], Former: in(2),
	}
	if in(8) {
		p.Term = 1<<53 - 1 - int64(random.IntN(2))
	}
	if in(2) {
		p.Retention = time.Duration(1+random.IntN(9)) * time.Hour
		p.Kept = 2 * p.Retention
	}
	if brief = in(6); brief {
		p.Retention, p.Kept = time.Millisecond*time.Duration(random.IntN(2)), time.Hour
	}
	return node.NewPublish(node.ValueKey(key), lock, p), brief
}
