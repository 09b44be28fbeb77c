package node

import (
	"context"
	"strings"
)

// What an examination writes is under keys that nothing else uses, and every key has a TTL from
// the command that sets it. Whatever is refused afterwards, nothing is left behind. (A server
// that ignores the TTL gets a command to delete the key. A guard's marker is rewritten without a TTL
// only by a server with another run id than the one that was asked for it.)

// put asks what a lock asks, in the forms in which a lock asks it.
func (x *examination) put(r *Request) Answer {
	c := &Call{Request: r}
	for s := (step{request: r, form: x.node.form(r)}); ; { // the self-test probes by itself
		reply, err := x.ask(x.withOwnMarker(r.command(s.form))...)
		next, a, again := x.node.next(c, s, reply, err)
		if !again {
			return a
		}
		s = next
	}
}

// withOwnMarker replaces the marker that all clients share by one of the examination: to
// examine a node must not begin a quarantine.
func (x *examination) withOwnMarker(command []any) []any {
	var changed []any
	for i, arg := range command {
		if arg == any(markerKey) || arg == any(quarantineKey) {
			if changed == nil {
				changed = append(changed, command...)
			}
			changed[i] = x.ownMarkerKey(arg.(string))
		}
	}
	if changed != nil {
		return changed
	}
	return command
}

// ownMarkerKey is the key that replaces one of the guard's.
func (x *examination) ownMarkerKey(key string) string {
	return SideKey(x.Own, strings.TrimPrefix(key, "redlock:"))
}

// storeValue sets the key that is the same on all nodes, until the end. A node that finds the
// value of another node there is the same server. (Nodes are examined at the same time, for the
// whole period, so this misses a node only if it is as late as that.)
func (x *examination) storeValue() {
	t := &x.facts.SelfTest
	t.Value = x.Value
	x.wrote = true // or may have, if there is no answer
	a := x.put(NewRequest(Acquire, NewEntry(x.Key, x.Value), x.TTL, WaiterFlag{}))
	if a.Status == Taken {
		t.Found = a.Holder
	}
	x.facts.NativeRefused = x.node.noNative.Load()
}

// cleanUp deletes the keys of the examination, even if it was interrupted. It must not delete
// another node's value, hence the script.
func (x *examination) cleanUp() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.ctx), x.Patience)
	defer cancel()
	if x.wrote {
		lock := NewRequest(Release, NewEntry(x.Key, x.Value), 0, WaiterFlag{})
		_, err := x.node.pool.Do(ctx, lock.command(eval)...)
		switch {
		case isRefusal(err) && x.facts.SelfTest.Found == "":
			// Without scripts nothing compares the values. But no other client has this key.
			_, _ = x.node.pool.Do(ctx, "DEL", x.Key)
		case err != nil && !isRefusal(err):
			return // the key expires
		}
	}
	for side, set := range x.sides {
		if set {
			_, _ = x.node.pool.Do(ctx, "DEL", SideKey(x.Key, side)) // or it expires, too
		}
	}
	for _, key := range x.tested {
		if _, err := x.node.pool.Do(ctx, "DEL", key); err != nil && !isRefusal(err) {
			return
		}
	}
}
