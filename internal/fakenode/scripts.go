package fakenode

import (
	"slices"
	"strings"
	"time"

	"github.com/quorumlock/quorumlock/internal/node/lua"
	"github.com/quorumlock/quorumlock/pool"
)

// run does what the scripts of the lock are documented to do.
func (n *Node) run(verb string, script lua.Call, f Faults) (any, error) {
	c := Command{Verb: verb, Key: script.Key("lock")} // the first one of several
	c.Value, _ = script.Arg("value").(string)
	switch script.Script {
	case lua.Acquire:
		c.Does = "acquire"
		return n.acquire(n.note(c), script.Arg("ttl"))
	case lua.AcquireOrFlag, lua.FencedAcquireOrFlag:
		c.Does, c.Waits = "acquire", script.Key("wait") != ""
		return n.wait(n.note(c), script, f)
	case lua.Extend:
		c.Does = "extend"
		return n.replace(n.note(c), script)
	case lua.Swap:
		c.Does = "swap"
		return n.replace(n.note(c), script)
	case lua.Release, lua.Short:
		c.Does = "release"
		return n.release(n.note(c), script)
	case lua.AcquireInTurn, lua.FencedAcquireInTurn:
		c.Does = "acquire"
		return n.inTurn(n.note(c), script, f)
	case lua.Read, lua.ReadLed:
		return n.read(script, f)
	case lua.Publish, lua.PublishHeld:
		return n.publishValue(script)
	case lua.AcquireShared, lua.AcquireSharedInTurn, lua.ExtendShared, lua.ReleaseShared:
		c.Does = map[lua.Script]string{lua.ExtendShared: "extend", lua.ReleaseShared: "release"}[script.Script]
		if c.Does == "" {
			c.Does = "acquire"
		}
		return n.shared(n.note(c), script)
	case lua.AcquireAny, lua.FencedAcquireAny, lua.AcquireAnyInTurn, lua.FencedAcquireAnyInTurn:
		return n.takeSlot(verb, script, f), nil
	case lua.ReleaseAny:
		return n.giveSlot(verb, script), nil
	case lua.AcquireAll, lua.ExtendAll, lua.ReleaseAll, lua.SwapAll:
		return n.several(verb, script)
	case lua.Inspect:
		c.Does = "inspect"
		return n.inspect(n.note(c), script)
	}
	return nil, pool.Error("ERR this model does not know the script: " + script.Script.String())
}

func (n *Node) acquire(c Command, ttl any) (any, error) {
	if held, exists := n.get(c.Key); exists {
		return held.value, nil
	}
	n.set(c.Key, c.Value, ttl)
	return nil, nil
}

// wait is an acquire that leaves the waiter flag, and may come with a fencing token.
func (n *Node) wait(c Command, script lua.Call, f Faults) (any, error) {
	held, exists := n.get(c.Key)
	if exists && held.value != c.Value && c.Waits {
		waiter := script.Arg("waiter").(string)
		if script.Key("queue") != "" {
			waiter += "."
		}
		n.flag(script.Key("wait"), waiter, script.Arg("flagTTL").(int64))
	}
	if intent := script.Key("intent"); intent != "" {
		if held.readers != nil {
			n.set(intent, script.Arg("waiter").(string), script.Arg("flagTTL"))
		}
	}
	if script.Key("fence") != "" {
		return n.fencedWait(c, fenceOf(script, f.Ahead), script.Arg("ttl"))
	}
	if exists {
		return []any{held.value, time.Until(held.expires).Milliseconds()}, nil
	}
	n.set(c.Key, c.Value, script.Arg("ttl"))
	return nil, nil
}

// inTurn is a wait of a node that knows no wait queue: nobody comes first. The largest ticket is
// as it was said to be.
func (n *Node) inTurn(c Command, script lua.Call, f Faults) (any, error) {
	c.Waits = script.Arg("flagTTL") != int64(0)
	reply, err := n.wait(c, script, f)
	last := max(script.Arg("last").(int64), script.Arg("ticket").(int64))
	switch reply := reply.(type) {
	case nil:
		return last, err
	case int64:
		return []any{last, reply}, err
	case []any:
		return slices.Insert(reply, 2, any(last), any(script.Arg("ticket"))), err
	}
	return reply, err
}

// replace is extend, which keeps the value, and swap, which has a former one.
func (n *Node) replace(c Command, script lua.Call) (any, error) {
	held, exists := n.get(c.Key)
	switch {
	case !exists:
		return int64(0), nil
	case held.value != c.Value && held.value != script.Arg("former"):
		return held.value, nil
	}
	n.set(c.Key, c.Value, script.Arg("ttl"))
	return int64(1), nil
}

// release knows no wait queue: a ticket says nothing here.
func (n *Node) release(c Command, script lua.Call) (any, error) {
	held, exists := n.get(c.Key)
	if !exists || held.value != c.Value {
		return int64(0), nil
	}
	delete(n.keys, c.Key)
	delete(n.keys, script.Key("intent"))
	flag, flagged := n.get(script.Key("wait"))
	releaser, notifies := script.Arg("releaser").(string)
	if !flagged || !notifies {
		return int64(1), nil
	}
	channel := strings.TrimSuffix(script.Key("wait"), "wait") + "wake"
	if first, queued := strings.CutSuffix(flag.value, "."); queued {
		n.publish(channel, first)
		n.publish(channel+":"+first, first)
		if first == releaser {
			return int64(1), nil
		}
		return first, nil
	}
	if flag.value == "*" || strings.HasPrefix(flag.value, releaser+".") {
		n.publish(channel, "")
		return int64(1), nil
	}
	n.publish(channel, flag.value)
	return flag.value, nil
}

func (n *Node) inspect(c Command, script lua.Call) (any, error) {
	if ttl := script.Arg("flagTTL").(int64); ttl != 0 {
		value := "*"
		if flag, flagged := n.get(script.Key("wait")); flagged {
			value = flag.value
		}
		n.flag(script.Key("wait"), value, ttl)
	}
	held, exists := n.get(c.Key)
	if !exists {
		return []any{"", int64(lua.Free), int64(0)}, nil
	}
	return []any{held.value, time.Until(held.expires).Milliseconds(), int64(0)}, nil
}
