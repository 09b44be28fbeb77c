package node

import (
	"context"
	"strings"
)

// What an examination writes is under keys that nobody else uses, and every key has a TTL
// from the same command on: whatever is refused afterwards, nothing is left behind. (A
// server that ignores the TTL is told to delete the key, and a guard's marker is rewritten
// without one only by a server which is not the one that was asked who it is.)

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

// own has a guard look at a marker of the examination in place of the one that all share:
// to look at a node must not begin a quarantine.
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

// ownGuard is the key that stands for one of the guard's.
func (x *examination) ownMarkerKey(key string) string {
	return SideKey(x.Own, strings.TrimPrefix(key, "redlock:"))
}

// take sets the key that all nodes have the same, until the end: a node that finds the
// value of another one there is that other one. (Nodes are examined at the same time, for
// the whole period, so this misses only one that comes so late.)
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

// clean deletes what there may be of the examination, also if it was interrupted. Where
// it finds another node's value it must not, hence the script.
func (x *examination) cleanUp() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.ctx), x.Patience)
	defer cancel()
	if x.wrote {
		lock := NewRequest(Release, NewEntry(x.Key, x.Value), 0, WaiterFlag{})
		_, err := x.node.pool.Do(ctx, lock.command(eval)...)
		switch {
		case isRefusal(err) && x.facts.SelfTest.Found == "":
			// Without scripts nobody compares; but nobody else has this key.
			_, _ = x.node.pool.Do(ctx, "DEL", x.Key)
		case err != nil && !isRefusal(err):
			return // it goes by itself
		}
	}
	for side, set := range x.sides {
		if set {
			_, _ = x.node.pool.Do(ctx, "DEL", SideKey(x.Key, side)) // or it goes by itself, too
		}
	}
	for _, key := range x.tested {
		if _, err := x.node.pool.Do(ctx, "DEL", key); err != nil && !isRefusal(err) {
			return
		}
	}
}
