package node

import (
	"fmt"
	"time"
)

// The self-test does what locks with the options of this Locker do, under a key that no other
// node has, and compares the replies with what is there. Servers that only look like Redis
// answer "granted" to commands whose options they ignore: then there are two holders, or the
// lock has no end. Only the key shows it.

type selfTest struct {
	*examination
	key         string
	mine, other string // values of two clients
	scripts     *Scripts
	token       int64 // the largest fencing token
}

func (x *examination) selfTest() {
	t := &selfTest{examination: x, key: x.Own, mine: x.Value + ":a", other: x.Value + ":b"}
	if t.prepare() && t.try() && t.wait() {
		x.facts.SelfTest.Verb, x.facts.SelfTest.Option = Release, ""
	}
	x.facts.SelfTest.Simple = x.node.simpleRelease()
}

// prepare sets up what the options need.
func (t *selfTest) prepare() bool {
	t.tested = []string{t.key}
	for _, side := range []string{"wait", "queue", "lease", "fence"} {
		t.tested = append(t.tested, SideKey(t.key, side))
	}
	t.scripts = unguarded
	if run := t.facts.Server.RunID; t.guarded() && run != "" {
		// The marker of the server as it was asked before: without it the guard would begin a
		// quarantine.
		marker := t.ownMarkerKey(markerKey)
		t.tested = append(t.tested, marker, t.ownMarkerKey(quarantineKey))
		if _, err := t.ask("SET", marker, run+" "+t.Guard.Settings(), "PX", millis(t.TTL)); err == nil {
			t.scripts = t.Guard.Scripts()
			t.facts.SelfTest.Guarded = true
		}
	}
	if t.Fencing {
		reply, err := t.ask("TIME")
		clock, err := parsedTime(reply, err)
		if err != nil {
			return t.failed(Acquire, "WithFencing", err)
		}
		t.token = clock.Microseconds()
	}
	return true
}

func parsedTime(reply any, err error) (time.Duration, error) {
	if err != nil {
		return 0, err
	}
	return parseTime(reply)
}

// entry is what one attempt asks for.
func (t *selfTest) entry(value string) Entry {
	entry := t.scripts.NewEntry(t.key, value)
	if t.Fencing {
		t.token++
		entry = entry.Fenced(new(Fence), t.token, t.TTL)
	}
	return entry
}

// option is the option that the verb is tried for.
func (t *selfTest) option(verb Verb) string {
	switch {
	case verb == AcquireInTurn:
		return "WithFair"
	case !verb.Sets():
		return ""
	case t.Fencing:
		return "WithFencing"
	case t.scripts.guarded:
		return "WithRestartGuard"
	}
	return ""
}

// failed records why the self-test ends.
func (t *selfTest) failed(verb Verb, option string, err error) bool {
	f := &t.facts.SelfTest
	f.Verb, f.Option = verb, option
	if Quarantined(err) {
		// The script ran on another server than the one that stated its run id.
		t.facts.Connections.RunIDs = added(t.facts.Connections.RunIDs, "another")
		return false
	}
	f.Err = err
	return false
}

// wrong records what the server did differently from what it was asked.
func (t *selfTest) wrong(verb Verb, format string, args ...any) bool {
	f := &t.facts.SelfTest
	f.Verb, f.Option = verb, t.option(verb)
	f.Wrong = fmt.Sprintf(format, args...)
	return false
}

// do makes one call. ok is false if there is no answer to check.
func (t *selfTest) do(verb Verb, entry Entry, ttl time.Duration, flag WaiterFlag) (a Answer, ok bool) {
	a = t.put(NewRequest(verb, entry, ttl, flag))
	if a.Err != nil {
		return a, t.failed(verb, t.option(verb), a.Err)
	}
	return a, true
}

// holder reads the value of the key, "" if there is none.
func (t *selfTest) holder(verb Verb) (value string, ok bool) {
	reply, err := t.ask("GET", t.key)
	if err != nil {
		return "", t.failed(verb, "", err)
	}
	value, _ = reply.(string)
	return value, true
}

// lives reads how long the key still lives. ok reports whether that is as it was asked for, at
// asked, and longer than before.
func (t *selfTest) lives(verb Verb, ttl time.Duration, asked time.Time, before time.Duration) (left time.Duration, ok bool) {
	reply, err := t.ask("PTTL", t.key)
	if err != nil {
		return 0, t.failed(verb, "", err)
	}
	ms, _ := reply.(int64)
	if ms == -1 {
		return 0, t.wrong(verb, "it ignores PX: the key would stay for ever")
	}
	left = time.Duration(ms) * time.Millisecond
	if verb == Extend && left <= before {
		return left, t.wrong(verb, "it ignores PEXPIRE: the key lives no longer after an extension")
	}
	if ms < 0 || left > ttl+time.Millisecond || left < ttl-ttl/8-time.Since(asked) {
		return left, t.wrong(verb, "it ignores PX: asked for %v it lets the key live for %v", ttl, left)
	}
	return left, true
}

// try is what TryLock, Extend and Unlock do.
func (t *selfTest) try() bool {
	mine, other := t.entry(t.mine), t.entry(t.other)
	// No lock is asked for where no release works.
	if a, ok := t.do(Release, other, 0, WaiterFlag{}); !ok {
		return false
	} else if a.Status != Absent {
		return t.wrong(Release, "it says that it deleted a key that was never set")
	}

	short, asked := t.TTL-t.TTL/4, time.Now()
	a, ok := t.do(Acquire, mine, short, WaiterFlag{})
	switch {
	case !ok:
		return false
	case a.Holder == "OK":
		return t.wrong(Acquire, "it ignores GET of SET NX GET: the holder of a lock cannot be found out")
	case a.Status != Granted:
		return t.wrong(Acquire, "it does not grant a lock that is free")
	}
	if held, ok := t.holder(Acquire); !ok {
		return false
	} else if held != t.mine {
		return t.wrong(Acquire, "it stores nothing: it granted a lock, and then there was no key, or another value in it")
	}
	before, ok := t.lives(Acquire, short, asked, 0)
	if !ok {
		return false
	}

	a, ok = t.do(Acquire, other, short, WaiterFlag{})
	if !ok {
		return false
	}
	held, ok := t.holder(Acquire)
	switch {
	case !ok:
		return false
	case held != t.mine:
		return t.wrong(Acquire, "it ignores NX: a second lock replaced the first")
	case a.Status == Granted:
		return t.wrong(Acquire, "it ignores GET of SET NX GET: a second lock was granted while there was the first")
	case a.Status != Taken || a.Holder != t.mine:
		return t.wrong(Acquire, "it does not name the holder of a lock")
	}

	if a, ok = t.do(Extend, other, t.TTL, WaiterFlag{}); !ok {
		return false
	} else if a.Status != Taken {
		return t.wrong(Extend, "it does not compare: an extension by a client that does not hold the lock was not denied")
	}
	asked = time.Now()
	if a, ok = t.do(Extend, mine, t.TTL, WaiterFlag{}); !ok {
		return false
	} else if a.Status != Extended {
		return t.wrong(Extend, "it does not extend a lock that is held")
	}
	if _, ok = t.lives(Extend, t.TTL, asked, before); !ok {
		return false
	}
	if a, ok = t.do(Release, other, 0, WaiterFlag{}); !ok {
		return false
	} else if a.Status != Absent {
		return t.wrong(Release, "it does not compare: a client that did not hold the lock released it")
	}
	return t.release(mine, WaiterFlag{})
}

// release releases the lock, and checks that it is gone.
func (t *selfTest) release(entry Entry, flag WaiterFlag) bool {
	a, ok := t.do(Release, entry, 0, flag)
	if !ok {
		return false
	}
	held, ok := t.holder(Release)
	switch {
	case !ok:
		return false
	case held != "":
		return t.wrong(Release, "it does not delete: the key is there after it was released")
	case a.Status != Deleted:
		return t.wrong(Release, "it did not find the lock that it had granted")
	}
	return true
}

// The ids of two Lockers, and the waiter id of a caller of the second.
const (
	holderID, waiterID = "check-a", "check-b"
	callerID           = waiterID + ".1"
)

// wait is what Lock does: one client has the lock, the other waits and is notified of its
// release.
func (t *selfTest) wait() bool {
	verb, kept := AcquireOrFlag, t.TTL/2
	hold, queue := WaiterFlag{ID: holderID + ".1", TTL: kept}, WaiterFlag{ID: callerID, TTL: kept}
	release, channel := WaiterFlag{ID: holderID}, SideKey(t.key, "wake")
	if t.Fair {
		verb = AcquireInTurn
		hold = WaiterFlag{ID: holderID, TTL: kept, Position: QueuePosition{TTL: kept, Count: 1}}
		queue = WaiterFlag{ID: waiterID, TTL: kept, Position: QueuePosition{TTL: kept, Count: 1}}
		release.Position.TTL = kept
		channel += ":" + waiterID
	}
	mine := t.entry(t.mine)
	a, ok := t.do(verb, mine, t.TTL, hold)
	if !ok {
		return false
	} else if a.Status != Granted {
		return t.wrong(verb, "it does not grant a lock that is free")
	}
	if held, ok := t.holder(verb); !ok {
		return false
	} else if held != t.mine {
		return t.wrong(verb, "it stores nothing: it granted a lock, and then there was no key, or another value in it")
	}
	if t.Fair {
		queue.Position.Ticket = a.Last + 1
		queue.Position.Last = queue.Position.Ticket
	}
	if a, ok = t.do(verb, t.entry(t.other), t.TTL, queue); !ok {
		return false
	} else if a.Status != Taken || a.Holder != t.mine {
		return t.wrong(verb, "it does not name the holder of the lock to a waiter")
	}
	subscription, err := t.subscribe(channel)
	if t.facts.WakeUp.Err = err; subscription != nil {
		t.subscription = subscription
	}
	a, ok = t.do(Release, mine, 0, release)
	if !ok {
		t.freeConnection()
		return false
	}
	t.receive(a.NextWaiter != "")
	if a.Status != Deleted {
		return t.wrong(Release, "it did not find the lock that it had granted to a waiter")
	}
	if t.Fair {
		return t.followUp(queue)
	}
	return true
}

// receive records whether the message of the release arrived.
func (t *selfTest) receive(published bool) {
	w, subscription := &t.facts.WakeUp, t.subscription
	switch t.subscription = nil; {
	case subscription == nil:
	case !published:
		subscription.close()
	default:
		begun := time.Now()
		message, err := subscription.message(t.examination)
		*w = WakeUp{Tried: true, Received: err == nil && message != "", Waited: time.Since(begun)}
	}
}

// followUp grants the lock to the waiter in the queue.
func (t *selfTest) followUp(queue WaiterFlag) bool {
	next := t.entry(t.other)
	a, ok := t.do(AcquireInTurn, next, t.TTL, queue)
	if !ok {
		return false
	} else if a.Status != Granted {
		return t.wrong(AcquireInTurn, "it does not grant a lock to the first in its queue")
	}
	return t.release(next, WaiterFlag{ID: waiterID, Position: QueuePosition{TTL: t.TTL / 2, Ticket: queue.Position.Ticket}})
}

// freeConnection closes the subscription: the client has no other connection for a command.
func (x *examination) freeConnection() bool {
	if x.subscription == nil {
		return false
	}
	x.subscription.close()
	x.subscription = nil
	return true
}

// simpleRelease says how locks are released if scripts are refused, "" if they are not.
func (n *Node) simpleRelease() string {
	switch form(n.working[Release].Load()) {
	case short:
		return "a shorter script"
	case delex:
		return "DELEX"
	case delifeq:
		return "DELIFEQ"
	}
	return ""
}
