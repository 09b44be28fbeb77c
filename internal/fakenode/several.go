package fakenode

import (
	"time"

	"github.com/quorumlock/quorumlock/internal/node/lua"
)

// several is a script about several locks, as one command for each: none of them fails here.
func (n *Node) several(verb string, script lua.Call) (any, error) {
	value, _ := script.Arg("value").(string)
	does := map[lua.Script]string{lua.AcquireAll: "acquire", lua.ReleaseAll: "release", lua.ExtendAll: "extend", lua.SwapAll: "swap"}[script.Script]
	var commands []Command
	denied, mine := 0, 0 // which lock another value holds, counted from 1; how many this value holds
	for i, one := range script.Locks() {
		commands = append(commands, n.note(Command{Verb: verb, Does: does, Key: one.Key("lock"), Value: value}))
		switch held, exists := n.get(one.Key("lock")); {
		case exists && (held.value == value || held.value == script.Arg("former")):
			mine++
		case exists && denied == 0:
			denied = i + 1
		}
	}
	all := mine == len(commands)
	switch {
	case does == "release":
		for i, one := range script.Locks() {
			_, _ = n.release(commands[i], one) // it is given back, or was not held
		}
		if all {
			return int64(1), nil
		}
		return int64(0), nil
	case denied > 0:
		held, _ := n.get(commands[denied-1].Key)
		if does != "acquire" {
			return held.value, nil
		}
		return []any{held.value, time.Until(held.expires).Milliseconds(), int64(denied), []any{}}, nil
	case does != "acquire" && !all:
		return int64(0), nil
	case does == "acquire" && all:
		return []any{value, int64(1), int64(1), []any{}}, nil
	}
	for _, c := range commands {
		n.set(c.Key, value, script.Arg("ttl"))
	}
	if does == "acquire" {
		return nil, nil
	}
	return int64(1), nil
}
