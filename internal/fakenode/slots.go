package fakenode

import (
	"time"

	"github.com/quorumlock/quorumlock/internal/node/lua"
)

// takeSlot is an attempt to take one of several locks. The model knows no wait queue: nobody comes
// first.
func (n *Node) takeSlot(verb string, script lua.Call, f Faults) any {
	value := script.Arg("value").(string)
	locks := script.Locks()
	slot, free, holder := -1, -1, ""
	var first time.Time
	for i := range locks {
		at := (int(script.Arg("first").(int64)) + i) % len(locks)
		held, exists := n.get(locks[at].Key("lock"))
		switch {
		case exists && held.value == value:
			slot = max(slot, at)
		case exists && (first.IsZero() || held.expires.Before(first)):
			holder, first = held.value, held.expires
		case !exists && free < 0:
			free = at
		}
	}
	at := slot
	if at < 0 {
		at = max(free, 0)
	}
	c := n.note(Command{Verb: verb, Does: "acquire", Key: locks[at].Key("lock"), Value: value})
	reply, found := []any{"", int64(lua.Joined), int64(at + 1)}, []any(nil)
	if counter := locks[at].Key("fence"); counter != "" {
		known, _ := n.get(counter)
		if known.value == "" {
			known.value = "0"
		}
		found = []any{known.value, c.At.Add(f.Ahead).UnixMicro()}
	}
	switch {
	case slot >= 0:
		reply[0], reply[1] = value, int64(1)
	case free < 0:
		reply[0], reply[1] = holder, time.Until(first).Milliseconds()
	case found == nil:
		n.set(c.Key, value, script.Arg("ttl"))
	default:
		switch said, _ := n.fencedWait(c, fenceOf(locks[at], f.Ahead), script.Arg("ttl")); said := said.(type) {
		case int64:
			found[1] = said
		case []any:
			reply[1] = said[1]
		}
	}
	if ttl := script.Arg("flagTTL").(int64); ttl > 0 && slot < 0 && reply[1] != int64(lua.Joined) {
		n.flag(script.Key("wait"), script.Arg("waiter").(string), ttl)
	}
	if script.Script == lua.AcquireAnyInTurn || script.Script == lua.FencedAcquireAnyInTurn {
		reply = append(reply, max(script.Arg("last").(int64), script.Arg("ticket").(int64)), int64(0))
	}
	return append(reply, found...)
}

// giveSlot deletes the slot that the value has.
func (n *Node) giveSlot(verb string, script lua.Call) (reply any) {
	value, _ := script.Arg("value").(string)
	reply = int64(0)
	for _, one := range script.Locks() {
		if held, exists := n.get(one.Key("lock")); exists && held.value == value {
			reply, _ = n.release(n.note(Command{Verb: verb, Does: "release", Key: one.Key("lock"), Value: value}), one)
		}
	}
	return reply
}
