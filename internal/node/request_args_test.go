package node

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/internal/node/lua"
)

// Every argument stands where its name stands in the spec: the values here are all different.
func TestArgumentsHaveTheirNamesOfTheSpec(t *testing.T) {
	position := QueuePosition{Ticket: 11, Next: 12, Last: 13, Count: 14, TTL: 15 * time.Millisecond}
	requeue := position
	requeue.Requeue = true
	flag := WaiterFlag{ID: "me", TTL: 16 * time.Millisecond, Position: position}
	inLine := map[string]any{"waiter": "me", "flagTTL": int64(16), "ticket": int64(11), "next": int64(12), "last": int64(13),
		"positionTTL": int64(15), "count": int64(14)}
	token := map[string]any{"token": int64(17), "tokenTTL": int64(18)}
	retake := map[string]any{"retake": "retake"}
	plain, guarded := NewEntry("k", "v").Replacing("f"), guardedScripts.NewEntry("k", "v").Replacing("f")
	fenced := func(l Entry) Entry { return l.Fenced(new(Fence), 17, 18*time.Millisecond) }
	reader := NewEntry("k", "v").Shared(false)
	queue := []string{"wait", "queue", "lease"}
	took := map[string]any{"value": "v", "ttl": int64(19)}

	seen := make(map[lua.Script]map[string]bool)
	for _, c := range []struct {
		verb   Verb
		form   form
		entry  Entry
		flag   WaiterFlag
		script lua.Script
		keys   []string
		args   []map[string]any
	}{
		{Acquire, evalsha, plain, flag, lua.Acquire, nil, []map[string]any{took}},
		{Acquire, evalsha, guarded, flag, lua.Acquire, nil, []map[string]any{took}},
		{Acquire, evalsha, fenced(plain), flag, lua.FencedAcquireOrFlag, []string{"fence"}, []map[string]any{took, token}},
		{Acquire, eval, fenced(guarded).Retake(), flag, lua.FencedAcquireOrFlag, []string{"fence"}, []map[string]any{took, token, retake, {"waiter": "", "flagTTL": int64(0)}}},
		{AcquireOrFlag, evalsha, plain, WaiterFlag{}, lua.AcquireOrFlag, nil, []map[string]any{took}},
		{AcquireOrFlag, evalsha, guarded, flag, lua.AcquireOrFlag, []string{"wait"}, []map[string]any{took, {"waiter": "me", "flagTTL": int64(16)}}},
		{AcquireOrFlag, short, plain, flag, lua.Acquire, nil, []map[string]any{took}},
		{AcquireOrFlag, eval, fenced(plain), flag, lua.FencedAcquireOrFlag, []string{"fence", "wait"}, []map[string]any{took, token, {"waiter": "me", "flagTTL": int64(16)}}},
		{AcquireOrFlag, evalsha, fenced(guarded).Retake(), flag, lua.FencedAcquireOrFlag, []string{"fence", "wait"}, []map[string]any{took, token, retake, {"waiter": "me", "flagTTL": int64(16)}}},
		{AcquireInTurn, evalsha, plain, flag, lua.AcquireInTurn, queue, []map[string]any{took, inLine}},
		{AcquireInTurn, evalsha, fenced(plain), flag, lua.FencedAcquireInTurn, append([]string{"fence"}, queue...), []map[string]any{took, token, inLine}},
		{AcquireInTurn, evalsha, fenced(guarded).Retake(), flag, lua.FencedAcquireInTurn, append([]string{"fence"}, queue...), []map[string]any{took, token, inLine, retake}},
		{Extend, evalsha, plain, flag, lua.Extend, nil, []map[string]any{took}},
		{Expire, evalsha, plain, flag, lua.Extend, nil, []map[string]any{took}},
		{Swap, evalsha, plain, flag, lua.Swap, nil, []map[string]any{took, {"former": "f"}}},
		{Release, evalsha, guarded, WaiterFlag{}, lua.Release, nil, []map[string]any{{"value": "v"}}},
		{Release, evalsha, plain, WaiterFlag{ID: "me"}, lua.Release, []string{"wait"}, []map[string]any{{"value": "v", "releaser": "me"}}},
		{Release, evalsha, plain, WaiterFlag{ID: "me", Position: QueuePosition{TTL: 1}}, lua.Release, queue, []map[string]any{{"value": "v", "releaser": "me"}}},
		{Release, evalsha, plain, flag, lua.Release, queue, []map[string]any{{"value": "v", "releaser": "me", "ticket": int64(11)}}},
		{Release, evalsha, plain, WaiterFlag{ID: "me", Position: requeue}, lua.Release, queue, []map[string]any{{"value": "v", "releaser": "me", "ticket": int64(11), "requeue": "requeue"}}},
		{AcquireOrFlag, evalsha, plain, WaiterFlag{ID: "me", TTL: 16 * time.Millisecond, Position: QueuePosition{Intent: true}}, lua.AcquireOrFlag, []string{"wait", "intent"}, []map[string]any{took, {"waiter": "me", "flagTTL": int64(16)}}},
		{Acquire, evalsha, reader, flag, lua.AcquireShared, []string{"intent", "fence"}, []map[string]any{took, {"fencing": int64(0)}}},
		{AcquireOrFlag, evalsha, reader, flag, lua.AcquireShared, []string{"intent", "fence", "wait"}, []map[string]any{took, {"fencing": int64(0)}, {"waiter": "me", "flagTTL": int64(16)}}},
		{AcquireOrFlag, evalsha, fenced(guarded).Shared(false), flag, lua.AcquireShared, []string{"intent", "fence", "wait"}, []map[string]any{took, {"fencing": int64(0)}, {"waiter": "me", "flagTTL": int64(16)}}},
		{AcquireInTurn, evalsha, reader, flag, lua.AcquireSharedInTurn, append([]string{"intent", "fence"}, queue...), []map[string]any{took, {"fencing": int64(0)}, inLine}},
		{Extend, evalsha, reader, flag, lua.ExtendShared, []string{"wait", "intent"}, []map[string]any{took}},
		{Expire, evalsha, reader, flag, lua.ExtendShared, nil, []map[string]any{took}},
		{Release, evalsha, reader, WaiterFlag{ID: "me", Position: requeue}, lua.ReleaseShared, queue, []map[string]any{{"value": "v", "releaser": "me", "ticket": int64(11), "requeue": "requeue"}}},
		{Release, evalsha, plain, WaiterFlag{ID: "me", Position: QueuePosition{Intent: true}}, lua.Release, append(queue[:3:3], "intent"), []map[string]any{{"value": "v", "releaser": "me"}}},
		{Release, short, plain, flag, lua.Short, nil, []map[string]any{{"value": "v"}}},
		{Inspect, evalsha, plain, flag, lua.Inspect, queue, []map[string]any{{"flagTTL": int64(16)}}},
	} {
		args := NewRequest(c.verb, c.entry, 19*time.Millisecond, c.flag).command(c.form)
		call := called(t, args)
		what := fmt.Sprintf("%s, guarded %t: %v", c.script, call.Guard != nil, args[2:])
		if call.Script != c.script {
			t.Errorf("it runs %s instead of %s", call.Script, what)
			continue
		}
		want := make(map[string]any)
		for _, some := range c.args {
			maps.Copy(want, some)
		}
		if len(call.Args()) != len(want) {
			t.Errorf("%d arguments are given, want %d: %s", len(call.Args()), len(want), what)
		}
		if seen[c.script] == nil {
			seen[c.script] = make(map[string]bool)
		}
		for name, value := range want {
			seen[c.script][name] = true
			if got := call.Arg(name); got != value {
				t.Errorf("%s is %v, want %v: %s", name, got, value, what)
			}
		}
		keys := []any{"k"}
		if call.Guard != nil {
			keys = append(keys, markerKey, quarantineKey)
			if call.Key("node") != markerKey || call.Key("quarantine") != quarantineKey {
				t.Errorf("the keys of the guard are wrong: %s", what)
			}
		}
		for _, name := range c.keys {
			keys = append(keys, SideKey("k", name))
			if call.Key(name) != SideKey("k", name) {
				t.Errorf("%s is %q: %s", name, call.Key(name), what)
			}
		}
		if !slices.Equal(call.Keys(), keys) {
			t.Errorf("the keys are not %v: %s", keys, what)
		}
	}
	for script := range lua.Count {
		for _, name := range script.Args() {
			if !slices.Contains(manyKeys, script) && !slices.Contains(publishedScripts, script) && !seen[script][name] {
				t.Errorf("no case gives %s its argument %s", script, name)
			}
		}
	}
}

// manyKeys are the scripts about several locks.
var manyKeys = []lua.Script{lua.AcquireAll, lua.FencedAcquireAll, lua.AcquireAllInTurn, lua.FencedAcquireAllInTurn, lua.ExtendAll, lua.ExpireAll, lua.ReleaseAll, lua.SwapAll, lua.List,
	lua.AcquireAny, lua.FencedAcquireAny, lua.AcquireAnyInTurn, lua.FencedAcquireAnyInTurn, lua.ReleaseAny}

func TestEveryLockOfSeveralHasItsKeysInTheSpecsOrder(t *testing.T) {
	flag := WaiterFlag{ID: "me", TTL: 16 * time.Millisecond}
	plain, guarded := NewEntry("k", "v").And("l", "m").Replacing("f"), guardedScripts.NewEntry("k", "v").And("l", "m")
	fenced := guarded.Fenced(new(Fence), 17, 18*time.Millisecond)
	took := map[string]any{"locks": int64(3), "value": "v", "ttl": int64(19)}
	leaves := map[string]any{"waiter": "me", "flagTTL": int64(16)}
	token := map[string]any{"token": int64(17), "tokenTTL": int64(18)}
	inTurn := WaiterFlag{ID: "me", TTL: 16 * time.Millisecond, Position: QueuePosition{Ticket: 11, Next: 12, Last: 13, TTL: 14 * time.Millisecond, Count: 15}}
	waits := map[string]any{"ticket": int64(11), "next": int64(12), "last": int64(13), "positionTTL": int64(14), "count": int64(15)}
	for _, c := range []struct {
		verb   Verb
		entry  Entry
		flag   WaiterFlag
		script lua.Script
		side   []string
		args   []map[string]any
	}{
		{Acquire, plain, flag, lua.AcquireAll, nil, []map[string]any{took}},
		{AcquireOrFlag, guarded, flag, lua.AcquireAll, []string{"wait"}, []map[string]any{took, leaves}},
		{Acquire, fenced, flag, lua.FencedAcquireAll, []string{"fence"}, []map[string]any{took, token}},
		{Acquire, fenced.Retake(), flag, lua.FencedAcquireAll, []string{"fence"}, []map[string]any{took, token, {"waiter": "", "flagTTL": int64(0), "retake": "retake"}}},
		{AcquireOrFlag, fenced, flag, lua.FencedAcquireAll, []string{"fence", "wait"}, []map[string]any{took, token, leaves}},
		{AcquireInTurn, guarded, inTurn, lua.AcquireAllInTurn, []string{"wait", "queue", "lease"}, []map[string]any{took, leaves, waits}},
		{AcquireInTurn, fenced, inTurn, lua.FencedAcquireAllInTurn, []string{"fence", "wait", "queue", "lease"}, []map[string]any{took, token, leaves, waits}},
		{Extend, guarded, flag, lua.ExtendAll, nil, []map[string]any{took}},
		{Expire, plain, flag, lua.ExpireAll, nil, []map[string]any{took}},
		{Swap, plain, flag, lua.SwapAll, nil, []map[string]any{took, {"former": "f"}}},
		{Release, guarded, WaiterFlag{}, lua.ReleaseAll, nil, []map[string]any{{"locks": int64(3), "value": "v"}}},
		{Release, plain, WaiterFlag{ID: "me"}, lua.ReleaseAll, []string{"wait"}, []map[string]any{{"locks": int64(3), "value": "v", "releaser": "me"}}},
	} {
		call := called(t, NewRequest(c.verb, c.entry, 19*time.Millisecond, c.flag).command(evalsha))
		want := make(map[string]any)
		for _, some := range c.args {
			maps.Copy(want, some)
		}
		got := make(map[string]any)
		for _, name := range call.Script.Args() {
			if arg := call.Arg(name); arg != nil {
				got[name] = arg
			}
		}
		if call.Script != c.script || !maps.Equal(got, want) {
			t.Errorf("it runs %s with %v, want %s with %v", call.Script, got, c.script, want)
			continue
		}
		locks := call.Locks()
		if len(locks) != 3 {
			t.Fatalf("%s is about %d locks", c.script, len(locks))
		}
		for i, key := range []string{"k", "l", "m"} {
			if locks[i].Key("lock") != key {
				t.Errorf("%s: lock %d is %q, want %q", c.script, i, locks[i].Key("lock"), key)
			}
			for _, side := range []string{"fence", "wait", "queue", "lease"} {
				want := ""
				if slices.Contains(c.side, side) {
					want = SideKey(key, side)
				}
				if got := locks[i].Key(side); got != want {
					t.Errorf("%s: %s of %s is %q, want %q", c.script, side, key, got, want)
				}
			}
		}
		if call.Guard != nil && (call.Key("node") != markerKey || call.Key("quarantine") != quarantineKey) {
			t.Errorf("%s: the keys of the guard are %q", c.script, call.Keys())
		}
	}
}

// With a fencing token the first attempt has the memory of one without: see Request.room.
func TestAFirstAttemptWithATokenFitsTheMemoryOfARequest(t *testing.T) {
	r := NewRequest(Acquire, NewEntry("k", "v").Fenced(new(Fence), 1, time.Hour), time.Second, WaiterFlag{})
	if len(r.preferredArgs) > len(r.buf) || &r.preferredArgs[0] != &r.buf[0] {
		t.Errorf("%d arguments have no room: %v", len(r.preferredArgs), r.preferredArgs)
	}
}
