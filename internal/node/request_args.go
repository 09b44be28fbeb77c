package node

import (
	"slices"

	"github.com/quorumlock/quorumlock/internal/node/lua"
)

// scriptArgs appends the number of keys, the keys and the arguments of a script, in the order
// of its spec in package lua. TestArgumentsHaveTheirNamesOfTheSpec compares them.
func (r *Request) scriptArgs(to []any, script lua.Script, flag *WaiterFlag) []any {
	if r.Verb == Read || r.Verb == Publish {
		return r.publishedArgs(to, script, flag)
	}
	count := len(to)
	if more := len(r.entry.more()); more > 0 {
		to = slices.Grow(to, 2*more+20) // a key and a side key each, mostly
	}
	to = r.keys(append(to, nil), flag)
	to[count] = int64(len(to) - count - 1)
	if grant := r.entry.Grant(); grant == AllKeys || grant == AnyKey {
		to = append(to, int64(1+len(r.entry.more())))
	}
	switch script {
	case lua.AcquireAny, lua.FencedAcquireAny, lua.AcquireAnyInTurn, lua.FencedAcquireAnyInTurn:
		return r.anyArgs(to, flag)
	case lua.AcquireShared:
		to = append(to, r.entry.value, r.ttl, r.entry.rare.fencing)
		if flag.TTL > 0 {
			to = append(to, flag.ID, millis(flag.TTL))
		}
		return to
	case lua.AcquireSharedInTurn:
		return r.queueArgs(append(to, r.entry.value, r.ttl, r.entry.rare.fencing), flag)
	case lua.AcquireOrFlag, lua.AcquireAll:
		return r.waitArgs(to, flag)
	case lua.FencedAcquireOrFlag, lua.FencedAcquireAll:
		return r.fencedWaitArgs(to, flag)
	case lua.AcquireInTurn, lua.AcquireAllInTurn:
		return r.turnArgs(to, flag)
	case lua.FencedAcquireInTurn, lua.FencedAcquireAllInTurn:
		return r.fencedTurnArgs(to, flag)
	case lua.Release, lua.Short, lua.ReleaseAll, lua.ReleaseShared, lua.ReleaseAny:
		return r.releaseArgs(to, flag)
	case lua.Inspect:
		return append(to, millis(flag.TTL))
	case lua.Swap, lua.SwapAll:
		return append(to, r.entry.value, r.ttl, r.entry.rare.former)
	}
	return append(to, r.entry.value, r.ttl)
}

// keys appends every key that the script touches: first those of the lock, or those of one lock
// after the other.
func (r *Request) keys(to []any, flag *WaiterFlag) []any {
	guarded := r.Verb.Takes() && r.entry.scripts.guarded
	if r.entry.Grant() == AnyKey {
		slots := r.entry.rare.slots
		to = append(to, slots.side["wait"])
		if r.Verb != AcquireOrFlag {
			to = append(to, slots.side["queue"], slots.side["lease"])
		}
		if guarded {
			to = append(to, markerKey, quarantineKey)
		}
		for i, key := range slots.keys {
			if to = append(to, key); r.fenced() {
				to = append(to, slots.counters[i])
			}
		}
		return to
	}
	if r.entry.Grant() == AllKeys {
		if guarded {
			to = append(to, markerKey, quarantineKey)
		}
		to = r.sideKeys(append(to, r.entry.key), r.entry.key, flag)
		for _, key := range r.entry.more() {
			to = r.sideKeys(append(to, key), key, flag)
		}
		return to
	}
	to = append(to, r.entry.key)
	if guarded {
		to = append(to, markerKey, quarantineKey)
	}
	return r.sideKeys(to, r.entry.key, flag)
}

// sideKeys appends the keys that belong to the lock with one key. The last ones are left out
// where the request does not need them.
func (r *Request) sideKeys(to []any, key any, flag *WaiterFlag) []any {
	side := func(what string) any { return r.entry.side(key, what) }
	if r.fenced() {
		to = append(to, r.counter(key))
	}
	shared := r.entry.Grant() == Shared
	if shared && r.Verb.Takes() {
		to = append(to, side("intent"), side("fence"))
	}
	withQueue := false
	switch r.Verb {
	case AcquireOrFlag:
		if flag.TTL > 0 {
			to = append(to, side("wait"))
		}
		if flag.TTL > 0 && flag.Position.Intent && !shared {
			to = append(to, side("intent"))
		}
	case Extend:
		if shared {
			to = append(to, side("wait"), side("intent"))
		}
	case Release:
		if flag.ID != nil {
			to = append(to, side("wait"))
			withQueue = flag.Position.TTL > 0 || flag.Position.Ticket > 0 || flag.Position.Intent
		}
	case AcquireInTurn, Inspect:
		to, withQueue = append(to, side("wait")), true
	}
	if withQueue {
		to = append(to, side("queue"), side("lease"))
	}
	if r.Verb == Release && flag.ID != nil && flag.Position.Intent {
		to = append(to, side("intent"))
	}
	return to
}

// anyArgs are those of an attempt to take one of several keys. They are all given: without a flag its
// TTL is 0.
func (r *Request) anyArgs(to []any, flag *WaiterFlag) []any {
	to = append(to, r.entry.value, r.ttl, r.entry.rare.first)
	if r.fenced() {
		to = append(to, r.entry.fence.number, r.tokenTTL)
	}
	if flag.ID == nil {
		flag = &WaiterFlag{ID: ""}
	}
	if r.Verb == AcquireInTurn {
		to = r.queueArgs(to, flag)
	} else {
		to = append(to, flag.ID, millis(flag.TTL))
	}
	if r.fenced() {
		return r.retakeArg(to)
	}
	return to
}

func (r *Request) waitArgs(to []any, flag *WaiterFlag) []any {
	to = append(to, r.entry.value, r.ttl)
	if flag.TTL > 0 {
		to = append(to, flag.ID, millis(flag.TTL))
	}
	return to
}

func (r *Request) fencedWaitArgs(to []any, flag *WaiterFlag) []any {
	fence := r.entry.fence
	to = append(to, r.entry.value, r.ttl, fence.number, r.tokenTTL)
	switch {
	case flag.TTL > 0:
		to = append(to, flag.ID, millis(flag.TTL))
	case fence.retake:
		to = append(to, "", int64(0)) // no flag; the spec has its arguments before retake
	}
	return r.retakeArg(to)
}

func (r *Request) turnArgs(to []any, flag *WaiterFlag) []any {
	return r.queueArgs(append(to, r.entry.value, r.ttl), flag)
}

func (r *Request) fencedTurnArgs(to []any, flag *WaiterFlag) []any {
	return r.retakeArg(r.queueArgs(append(to, r.entry.value, r.ttl, r.entry.fence.number, r.tokenTTL), flag))
}

// queueArgs appends the arguments about the wait queue.
func (r *Request) queueArgs(to []any, flag *WaiterFlag) []any {
	position := &flag.Position
	return append(to, flag.ID, millis(flag.TTL), position.Ticket, position.Next, position.Last, millis(position.TTL), position.Count)
}

// retakeArg appends the argument for a lock that is held and was lost here.
func (r *Request) retakeArg(to []any) []any {
	if r.entry.fence.retake {
		to = append(to, "retake")
	}
	return to
}

func (r *Request) releaseArgs(to []any, flag *WaiterFlag) []any {
	position := &flag.Position
	to = append(to, r.entry.value)
	if flag.ID == nil {
		return to
	}
	to = append(to, flag.ID)
	switch {
	case position.Requeue:
		return append(to, position.Ticket, "requeue")
	case position.Ticket > 0:
		return append(to, position.Ticket)
	}
	return to
}
