package node

import "github.com/quorumlock/quorumlock/internal/node/lua"

// readAny reads the reply to an attempt to take one of several keys.
func (r *Request) readAny(reply any) Answer {
	list, a, ok := r.readOneOfKeys(reply, lua.AcquireAny, lua.AcquireAnyInTurn)
	if !ok {
		return r.unexpected(reply)
	}
	switch left := list.Get("left"); {
	case left == int64(lua.Joined):
		return Answer{Status: Granted, Last: a.Last, First: a.First, Index: a.Index}
	case a.Holder == r.entry.value: // an earlier send of this attempt took effect
		return Answer{Status: Granted, Found: true, Last: a.Last, Index: a.Index}
	}
	return a
}
