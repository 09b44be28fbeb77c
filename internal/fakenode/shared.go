package fakenode

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/quorumlock/quorumlock/internal/node/lua"
	"github.com/quorumlock/quorumlock/pool"
)

// errReaders is the answer of a native command to a key that readers hold.
const errReaders = pool.Error("WRONGTYPE Operation against a key holding the wrong kind of value")

// asReaders is an entry of readers as the scripts see it, without those that have ended.
func asReaders(e entry) (entry, bool) {
	var last string
	e.expires = time.Time{}
	for value, ends := range e.readers {
		switch {
		case !ends.After(time.Now()):
			delete(e.readers, value)
		case ends.After(e.expires) || ends.Equal(e.expires) && value > last:
			last, e.expires = value, ends
		}
	}
	e.value = fmt.Sprintf("rs1:%d:%s", len(e.readers), last)
	return e, len(e.readers) > 0
}

// shared is a script about a reader. The model knows no wait queue: nobody comes first.
func (n *Node) shared(c Command, script lua.Call) (any, error) {
	held, exists := n.get(c.Key)
	_, reads := held.readers[c.Value]
	alone := exists && held.readers == nil
	mine := reads || alone && held.value == c.Value
	switch script.Script {
	case lua.ReleaseShared:
		switch {
		case reads && len(held.readers) > 1:
			delete(held.readers, c.Value)
			return int64(1), nil
		case mine:
			c.Value = held.value // all of it goes
		}
		return n.release(c, script)
	case lua.ExtendShared:
		switch {
		case !mine && alone:
			return held.value, nil
		case !mine:
			return int64(0), nil
		case alone:
			delete(n.keys, c.Key)
			delete(n.keys, script.Key("intent"))
		}
		n.join(c, script)
		if alone {
			n.publish(strings.TrimSuffix(script.Key("wait"), "wait")+"wake", "")
		}
		return int64(1), nil
	}
	return n.joinIfFree(c, script, held, exists && (alone || mine), mine), nil
}

// joinIfFree is the acquisition of a reader. taken is set if it is not to join.
func (n *Node) joinIfFree(c Command, script lua.Call, held entry, taken, mine bool) any {
	_, intended := n.get(script.Key("intent"))
	reply := []any{"", int64(lua.Joined), "0"}
	if token, known := n.get(script.Key("fence")); known && script.Arg("fencing") == int64(1) {
		reply[2] = token.value
	}
	switch {
	case mine:
		reply[0], reply[1] = c.Value, time.Until(held.expires).Milliseconds()
	case taken:
		reply[0], reply[1] = held.value, time.Until(held.expires).Milliseconds()
	case intended:
		reply[1] = int64(lua.Free)
	default:
		n.join(c, script)
	}
	if flagTTL, _ := script.Arg("flagTTL").(int64); reply[1] != int64(lua.Joined) && !mine && flagTTL > 0 {
		n.flag(script.Key("wait"), script.Arg("waiter").(string), flagTTL)
	}
	if script.Script == lua.AcquireSharedInTurn {
		reply = slices.Insert(reply, 2, any(max(script.Arg("last").(int64), script.Arg("ticket").(int64))), any(int64(0)))
	}
	return reply
}

// join makes a value a reader.
func (n *Node) join(c Command, script lua.Call) {
	e := n.keys[c.Key]
	if e.readers == nil {
		e.readers = make(map[string]time.Time)
	}
	e.readers[c.Value] = time.Now().Add(time.Duration(script.Arg("ttl").(int64)) * time.Millisecond)
	n.keys[c.Key] = e
}
