package node

import "github.com/quorumlock/quorumlock/internal/node/lua"

// Scripts are those of a group of nodes.
type Scripts struct {
	guarded bool // those that take the lock begin with guard.lua
	all     [lua.Count]lua.Text
}

// unguarded are the scripts without a restart guard.
var unguarded = newScripts(nil)

func newScripts(guard *lua.Guard) *Scripts {
	return &Scripts{guarded: guard != nil, all: lua.Texts(guard)}
}

// scriptOf is the script of a verb that needs no variant.
var scriptOf = [...]lua.Script{
	Acquire:       lua.Acquire,
	Wait:          lua.Wait,
	AcquireInTurn: lua.AcquireInTurn,
	Extend:        lua.Extend,
	Release:       lua.Release,
	Inspect:       lua.Inspect,
	Swap:          lua.Swap,
	Expire:        lua.Extend, // it sets the time to live in the same way
}

// script is which script the request runs in one form.
func (r *Request) script(f form) lua.Script {
	switch {
	case f >= shortsha && r.Verb == Release:
		return lua.Short
	case r.fenced() && r.Verb == AcquireInTurn:
		return lua.FencedAcquireInTurn
	case r.fenced():
		return lua.FencedWait
	case f >= shortsha && r.Verb == Wait:
		return lua.Acquire
	}
	return scriptOf[r.Verb]
}
