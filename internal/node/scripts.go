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

// scripts are those of the verbs that need no variant, by the kind of grant.
var scripts = [grants][ping]lua.Script{
	OneKey: {
		Acquire:       lua.Acquire,
		AcquireOrFlag: lua.AcquireOrFlag,
		AcquireInTurn: lua.AcquireInTurn,
		Extend:        lua.Extend,
		Release:       lua.Release,
		Inspect:       lua.Inspect,
		Swap:          lua.Swap,
		Expire:        lua.Extend, // it sets the time to live in the same way
	},
	AllKeys: {
		Acquire:       lua.AcquireAll,
		AcquireOrFlag: lua.AcquireAll,
		AcquireInTurn: lua.AcquireAllInTurn,
		Extend:        lua.ExtendAll,
		Release:       lua.ReleaseAll,
		Swap:          lua.SwapAll,
		Expire:        lua.ExpireAll,
	},
	Shared: {
		Acquire:       lua.AcquireShared,
		AcquireOrFlag: lua.AcquireShared,
		AcquireInTurn: lua.AcquireSharedInTurn,
		Extend:        lua.ExtendShared,
		Release:       lua.ReleaseShared,
		Expire:        lua.ExtendShared,
	},
	AnyKey: {
		Acquire:       lua.AcquireAny,
		AcquireOrFlag: lua.AcquireAny,
		AcquireInTurn: lua.AcquireAnyInTurn,
		Release:       lua.ReleaseAny,
	},
}

// script is which script the request runs in one form.
func (r *Request) script(f form) lua.Script {
	grant := r.entry.Grant()
	switch {
	case r.Verb == Read || r.Verb == Publish:
		return r.publishedScript()
	case grant == AnyKey && r.fenced() && r.Verb == AcquireInTurn:
		return lua.FencedAcquireAnyInTurn
	case grant == AnyKey && r.fenced():
		return lua.FencedAcquireAny
	case grant == AllKeys && r.fenced() && r.Verb == AcquireInTurn:
		return lua.FencedAcquireAllInTurn
	case grant == AllKeys && r.fenced():
		return lua.FencedAcquireAll
	case grant != OneKey:
		return scripts[grant][r.Verb]
	case f >= shortsha && r.Verb == Release:
		return lua.Short
	case r.fenced() && r.Verb == AcquireInTurn:
		return lua.FencedAcquireInTurn
	case r.fenced():
		return lua.FencedAcquireOrFlag
	case f >= shortsha && r.Verb == AcquireOrFlag:
		return lua.Acquire
	}
	return scripts[OneKey][r.Verb]
}
