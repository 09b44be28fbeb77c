package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// The fate of tries whose process is killed, and of keys without an owner: the keys of dead
// processes, and of commands that came a second time.

// A going try is not over.
type going struct {
	step
	writes []Write // all of them
}

func (t *theatre) note(s step) {
	g := t.going[s.Client]
	if g == nil || g.Call != s.Call {
		g = new(going)
		t.going[s.Client] = g
	}
	g.step = s
	if s.Pair != nil {
		g.writes = append(g.writes[:s.Index], s.Pair[:]...)
	}
}

// bury makes tries of what the clients of a process were about when it was killed.
func (t *theatre) bury(process int, dead death) error {
	resource := openResource(t.stage.cluster.resource.Addr())
	defer resource.close()
	for client, c := range t.history.Run.Clients {
		g := t.going[client]
		if c.Process != process {
			continue
		}
		if u, asks := t.asking[client]; asks {
			delete(t.asking, client)
			u.Err = "the process was killed"
			t.history.Uses = append(t.history.Uses, u)
		}
		if g == nil {
			continue
		}
		delete(t.going, client)
		done := false
		if g.Done != "" {
			var err error
			if done, err = resource.took(g.Done); err != nil {
				return err
			}
		}
		try := g.end(dead, done)
		if try.diedLeading() {
			t.killed++
		}
		t.history.Tries = append(t.history.Tries, try)
	}
	return nil
}

// end is the try as it is to be seen when its process was killed; done says whether what was
// being done to the resource was carried out.
//
// The lock that it held is held on, until the end of the validity that it reported
// last. If it had begun to unlock, it did not rely on it any more.
func (g *going) end(dead death, done bool) Try {
	t := g.Try
	t.Killed = dead.at
	switch {
	case t.Return == 0:
		t.Return, t.Err = dead.over, "the process was killed"
	case t.Unlock == 0:
		t.End, t.Unlock, t.Unlocked = t.Until, dead.over, max(dead.over, t.Until)
	default:
		t.Unlocked = dead.over
	}
	t.Writes = g.writes
	if n := len(t.Writes); g.Done != "" && n >= 2 {
		t.Writes = append(t.Writes[:n-2], ended(t.Writes[n-2], t.Writes[n-1], dead.over, done)...)
	}
	return t
}

// diedHolding reports whether its process was killed while it held the lock, and had not begun to
// unlock it.
func (t Try) diedHolding() bool {
	return t.granted() && t.Killed > 0 && t.Unlock >= t.Killed && t.Until >= t.Killed
}

// ended is what became of a pair of writes, the unfenced and the fenced one, of which the last
// thing that was sent has no answer.
func ended(u, f Write, over time.Duration, done bool) (all []Write) {
	switch {
	case f.Read == 0: // the claim
		if done {
			f.Read, f.Unknown = over, true
			all = append(all, f)
		}
		return all
	case u.Done == 0: // the unfenced write
		if done {
			u.Done = over
			all = append(all, u)
		}
		return append(all, f)
	}
	if done { // the fenced write
		f.Done = over
	} else {
		f.Sent = 0
	}
	return append(all, u, f)
}

// lookForKeys notes which keys of locks are left now that all have closed. The keys
// of a killed process are not deleted, nor those of a command that came a second time after its
// rollback: they have to be gone when their time is over.
func (t *theatre) lookForKeys() error {
	all, err := t.stage.cluster.left()
	if err != nil {
		return err
	}
	var left []leftKey
	for _, k := range all {
		if !t.orphan(k.value) {
			left = append(left, k)
		}
	}
	if len(left) < len(all) {
		// No command came later than when the faults were over.
		ttl := t.history.Run.TTL
		time.Sleep(t.history.Calm.Begun + ttl + ttl/20 + 200*time.Millisecond - t.stage.clock.now())
		again, err := t.stage.cluster.left()
		if err != nil {
			return err
		}
		for _, k := range again {
			if !slices.Contains(left, k) {
				left = append(left, k)
			}
		}
	}
	for _, k := range left {
		t.history.Calm.Left = append(t.history.Calm.Left, fmt.Sprintf("%s on node %d", k.key, k.node+1))
	}
	return nil
}

// orphan reports whether no process can delete a key with this value.
func (t *theatre) orphan(value string) bool {
	for i := range t.stage.workers {
		for life := range t.stage.worker(i).task.Life {
			if strings.HasSuffix(value, ":"+owner(i, life)) {
				return true
			}
		}
	}
	for _, links := range t.stage.links {
		for _, l := range links {
			if value != "" && l.doubled(value) {
				return true
			}
		}
	}
	return false
}
