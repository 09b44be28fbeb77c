package node

import "github.com/quorumlock/quorumlock/internal/node/lua"

// readAny reads the reply to an attempt to take one of several keys.
func (r *Request) readAny(reply any) Answer {
	script, read := lua.AcquireAny, holderOf
	if r.Verb == AcquireInTurn {
		script, read = lua.AcquireAnyInTurn, queueOf
	}
	list, ok := script.Reply(reply)
	if !ok {
		return r.unexpected(reply)
	}
	a := read(list)
	index, ok := r.index(list.Get("index"))
	switch left := list.Get("left"); {
	case a.Status == Failed || !ok:
		return r.unexpected(reply)
	case left == int64(lua.Joined):
		a = Answer{Status: Granted, Last: a.Last, First: a.First}
	case a.Holder == r.entry.value: // an earlier send of this attempt took effect
		a = Answer{Status: Granted, Found: true, Last: a.Last}
	}
	a.Index = index
	return a
}
