package node

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/internal/node/lua"
)

func TestEverySlotHasItsKeysAndTheSemaphoreItsQueueInTheSpecsOrder(t *testing.T) {
	s := NewSlots("s/", "s/0", "s/1", "s/2")
	plain, guarded := NewEntry("", "v").AnyOf(s, 2), guardedScripts.NewEntry("", "v").AnyOf(s, 2)
	fenced := guarded.Fenced(new(Fence), 17, 18*time.Millisecond)
	flag := WaiterFlag{ID: "me", TTL: 16 * time.Millisecond}
	inTurn := flag
	inTurn.Position = QueuePosition{Ticket: 11, Next: 12, Last: 13, TTL: 14 * time.Millisecond, Count: 15}
	took := map[string]any{"locks": int64(3), "value": "v", "ttl": int64(19), "first": int64(2)}
	leaves, silent := map[string]any{"waiter": "me", "flagTTL": int64(16)}, map[string]any{"waiter": "", "flagTTL": int64(0)}
	token := map[string]any{"token": int64(17), "tokenTTL": int64(18)}
	waits := map[string]any{"ticket": int64(11), "next": int64(12), "last": int64(13), "positionTTL": int64(14), "count": int64(15)}
	gives := map[string]any{"locks": int64(3), "value": "v"}
	queue := []string{"wait", "queue", "lease"}
	for _, c := range []struct {
		verb   Verb
		entry  Entry
		flag   WaiterFlag
		script lua.Script
		once   []string
		args   []map[string]any
	}{
		{Acquire, plain, flag, lua.AcquireAny, queue[:1], []map[string]any{took, silent}},
		{AcquireOrFlag, guarded, flag, lua.AcquireAny, queue[:1], []map[string]any{took, leaves}},
		{Acquire, fenced, flag, lua.FencedAcquireAny, queue[:1], []map[string]any{took, token, silent}},
		{AcquireInTurn, plain, inTurn, lua.AcquireAnyInTurn, queue, []map[string]any{took, leaves, waits}},
		{AcquireInTurn, fenced, inTurn, lua.FencedAcquireAnyInTurn, queue, []map[string]any{took, token, leaves, waits}},
		{Release, fenced, WaiterFlag{}, lua.ReleaseAny, queue, []map[string]any{gives}},
		{Release, plain, WaiterFlag{ID: "me", Position: QueuePosition{Ticket: 11, Requeue: true}}, lua.ReleaseAny, queue, []map[string]any{gives, {"releaser": "me", "ticket": int64(11), "requeue": "requeue"}}},
	} {
		call := called(t, NewRequest(c.verb, c.entry, 19*time.Millisecond, c.flag).command(evalsha))
		want, got := make(map[string]any), make(map[string]any)
		for _, some := range c.args {
			maps.Copy(want, some)
		}
		for _, name := range call.Script.Args() {
			if arg := call.Arg(name); arg != nil {
				got[name] = arg
			}
		}
		if call.Script != c.script || !maps.Equal(got, want) {
			t.Errorf("it runs %s with %v, want %s with %v", call.Script, got, c.script, want)
			continue
		}
		for i, one := range call.Locks() {
			if key := s.keys[i].(string); one.Key("lock") != key || one.Key("fence") != "" && one.Key("fence") != SideKey(key, "fence") {
				t.Errorf("%s: slot %d is %q, its counter %q", c.script, i, one.Key("lock"), one.Key("fence"))
			}
		}
		for _, side := range queue {
			if key := call.Key(side); slices.Contains(c.once, side) && key != SideKey("s/", side) {
				t.Errorf("%s: %s is %q", c.script, side, key)
			}
		}
		if call.Guard != nil && (call.Key("node") != markerKey || call.Key("quarantine") != quarantineKey) {
			t.Errorf("%s: the keys of the guard are %q", c.script, call.Keys())
		}
	}
	if one := NewEntry("", "v").AnyOf(NewSlots("s/", "s/0"), 0); one.Grant() != OneKey || one.Key() != "s/0" {
		t.Errorf("of one slot: %v %q", one.Grant(), one.Key())
	}
}
