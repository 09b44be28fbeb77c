package node

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/internal/node/lua"
)

// What goes out is what the caller asked for: strings and int64s, as pools want them,
// and times that are whole milliseconds and never shorter.
func FuzzArgumentsOfEveryVerb(f *testing.F) {
	for verb := Acquire; verb <= ping; verb++ {
		for form := native; form <= eval; form++ {
			f.Add(byte(verb), byte(form), "key", "value", int64(8*time.Second), int64(1), int64(2*time.Second+1), int64(7))
		}
	}
	f.Add(byte(AcquireInTurn), byte(evalsha), "{t}k}", "", int64(1<<63-1), int64(1<<63-1), int64(1<<63-1), int64(-1))
	f.Fuzz(func(t *testing.T, v, by byte, key, value string, ttl, flag, entry, ticket int64) {
		verb, as := Verb(v)%(ping+1), form(by)%(eval+1)
		if verb == Read || verb == Publish {
			return // TestAPublishedValueIsSentByTheNamesOfTheSpec
		}
		if ttl <= 0 || flag <= 0 || entry <= 0 || as == native && preferred[verb] != native || as != native && verb == ping {
			t.Skip("never sent")
		}
		fenced := verb.Takes() && as != native && ticket%2 != 0
		again := ticket%4 == 1
		position := QueuePosition{Ticket: ticket, TTL: time.Duration(entry)}
		m := WaiterFlag{ID: "me", TTL: time.Duration(flag), Position: position}
		var r Request
		l := NewEntry(key, value).Replacing("former")
		if fenced {
			l = l.Fenced(new(Fence), ticket, time.Duration(entry))
		}
		if again {
			l = l.Retake()
		}
		r.Set(verb, NewEntry(key, "before").Replacing("earlier").Fenced(new(Fence), 1, time.Minute), time.Minute, m)
		r.Set(verb, l, time.Duration(ttl), m) // in the same memory
		args := r.command(as)
		for i, arg := range args {
			switch arg.(type) {
			case string, int64:
			default:
				t.Fatalf("argument %d of %v is a %T", i, verb, arg)
			}
		}
		if verb == ping {
			return
		}
		if as == native {
			if args[1] != key || args[2] != value {
				t.Fatalf("%v: %v", verb, args)
			}
			wantMillis(t, args[6], ttl)
			return
		}
		call := called(t, args)
		if want := wantKeys(verb, key, fenced, m); !slices.Equal(call.Keys(), want) {
			t.Fatalf("%v: the keys are %q, want %q", verb, call.Keys(), want)
		}
		if retake := call.Arg("retake") != nil; fenced && retake != again {
			t.Fatalf("%v with the token %d: %v", verb, ticket, args)
		}
		wantMillis := func(name string, ns int64) {
			t.Helper()
			wantMillis(t, call.Arg(name), ns)
		}
		if fenced {
			if got := call.Arg("token"); got != ticket {
				t.Fatalf("%v: the token is %v, want %d", verb, got, ticket)
			}
			wantMillis("tokenTTL", entry)
		}
		if verb == Inspect {
			wantMillis("flagTTL", flag)
			return
		}
		if got := call.Arg("value"); got != value {
			t.Fatalf("%v, form %d: the value is %q, want %q", verb, as, got, value)
		}
		if verb != Release {
			wantMillis("ttl", ttl)
		}
		switch {
		case verb == AcquireInTurn:
			wantMillis("positionTTL", entry)
			fallthrough
		case verb == AcquireOrFlag:
			wantMillis("flagTTL", flag)
		case verb == Acquire && !fenced && len(call.Args()) != 2:
			t.Fatalf("it leaves a flag: %v", args)
		case verb == Swap && call.Arg("former") != "former":
			t.Fatalf("it replaces another value: %v", args)
		}
	})
}

// called reads a command as a node does that knows all scripts.
func called(t *testing.T, args []any) lua.Call {
	t.Helper()
	for _, scripts := range []*Scripts{unguarded, guardedScripts} {
		for _, text := range scripts.all {
			if args[1] == text.Text || args[1] == text.SHA {
				known, ok := lua.Find(text.Text.(string))
				if !ok {
					t.Fatalf("no script is this: %v", args)
				}
				return known.Call(args[3:3+args[2].(int64)], args[3+args[2].(int64):])
			}
		}
	}
	t.Fatalf("it runs no script: %v", args)
	return lua.Call{}
}

var guardedScripts = Guard{Nodes: 3, Longest: time.Second, Quarantine: time.Second}.Scripts()

// wantKeys is every key that a script touches.
func wantKeys(verb Verb, key string, fenced bool, m WaiterFlag) []any {
	keys := []any{key}
	if fenced {
		keys = append(keys, SideKey(key, "fence"))
	}
	switch {
	case verb == Acquire || verb == Extend || verb == Expire || verb == Swap:
		return keys
	case verb == AcquireOrFlag, verb == Release && m.Position.TTL == 0 && m.Position.Ticket <= 0:
		return append(keys, SideKey(key, "wait"))
	}
	return append(keys, SideKey(key, "wait"), SideKey(key, "queue"), SideKey(key, "lease"))
}

// wantMillis compares what goes out with nanoseconds, rounded up.
func wantMillis(t *testing.T, got any, ns int64) {
	t.Helper()
	want := ns / 1e6
	if ns%1e6 > 0 {
		want++
	}
	if got != want {
		t.Fatalf("%d ns go out as %d ms, want %d", ns, got, want)
	}
}

// hashed is the part of a key that decides about its slot: of the first brace to the
// first that closes after it, if something is between them, or else all of it.
func hashed(key string) string {
	if _, after, found := strings.Cut(key, "{"); found {
		if tag, _, closed := strings.Cut(after, "}"); closed && tag != "" {
			return tag
		}
	}
	return key
}

// Side keys are known as such, end as they should, name the lock that they belong to, and
// share its slot. The last is not to be had for keys with a "}" before or without a
// hash tag, as in "}" or "{}x": no tag can have the slot of those.
func FuzzSideKey(f *testing.F) {
	for _, key := range []string{"job", "u:{7}", "{7}", "{}", "}", "{", "{a", "a}b", "{}x{y}", "}{y}", "a{b{c}d}e", "{a}:wait", "", "\xff{\x00}"} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		for _, what := range []string{"fence", "lease", "queue", "wait", "wake"} {
			side := SideKey(key, what)
			if !IsSideKey(side) {
				t.Fatalf("%q of %q could be a lock", side, key)
			}
			if !strings.HasSuffix(side, "{"+key+"}:"+what) {
				t.Fatalf("%q does not tell that it belongs to %q", side, key)
			}
			if own := hashed(key); !strings.Contains(own, "}") && key != "" && hashed(side) != own {
				t.Fatalf("%q is hashed by %q, and its side key %q by %q", key, own, side, hashed(side))
			}
		}
		if IsSideKey(key) && key[0] != '{' && !strings.HasPrefix(key, "redlock:") {
			t.Fatalf("%q counts as a side key", key)
		}
	})
}
