package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A keyspace is a server that is only listed.
type keyspace struct {
	keys   map[string]string // values of locks
	scan   func(cursor string) (any, error)
	eval   func(keys []string) (any, error)
	ended  int           // connections that ended while they were idle
	frozen chan struct{} // closed when a client that ignores its context returns
}

func (k *keyspace) String() string { return "node" }

func (k *keyspace) Do(_ context.Context, args ...any) (any, error) {
	if k.frozen != nil {
		<-k.frozen
		return nil, errors.New("it was frozen")
	}
	if k.ended > 0 {
		k.ended--
		return nil, io.EOF
	}
	switch args[0] {
	case "SCAN":
		if k.scan != nil {
			return k.scan(args[1].(string))
		}
		var names []any
		for key := range k.keys {
			names = append(names, key)
		}
		return []any{"0", names}, nil
	case "EVAL":
		var keys []string
		for _, key := range args[3 : 3+args[2].(int64)] {
			keys = append(keys, key.(string))
		}
		if k.eval != nil {
			return k.eval(keys)
		}
		var replies []any
		for i := 0; i < len(keys); i += 3 {
			replies = append(replies, k.keys[keys[i]], int64(7000), int64(2))
		}
		return replies, nil
	}
	return nil, fmt.Errorf("%v is not for listing", args)
}

func list(k *keyspace, most int) (map[string]Answer, error) {
	l := Listing{Prefix: "a", Patience: time.Second, Most: most, Lock: func(value string) bool { return value != "" }}
	return New(k).List(context.Background(), l, func() {})
}

func TestAListingIsOfWhatTheServerNamesWithThePrefixAndOfNoSideKeys(t *testing.T) {
	found, err := list(&keyspace{keys: map[string]string{"a": "v", "ab": "w", "b": "x", "{a}:wait": "y", "a no lock": ""}}, 10)
	if err != nil || len(found) != 2 || found["a"].Holder != "v" || found["ab"].TTL != 7*time.Second || found["a"].Waiting != 2 {
		t.Errorf("%v, %v", found, err)
	}
}

// A prefix that begins as side keys do lists locks all the same, and no side keys.
func TestAListingOfABraceHasNoSideKeys(t *testing.T) {
	l := Listing{Prefix: "{", Patience: time.Second, Most: 10, Lock: func(string) bool { return true }}
	k := &keyspace{keys: map[string]string{"{a}:wait": "v", "{a}:b": "v", "{t}:{{t}:b}:fence": "v"}}
	found, err := New(k).List(context.Background(), l, func() {})
	if _, there := found["{a}:b"]; !there || len(found) != 1 || err != nil {
		t.Errorf("%v, %v", found, err)
	}
}

func TestAListingGoesOnAfterConnectionsThatEndedWhileTheyWereIdle(t *testing.T) {
	k := &keyspace{keys: map[string]string{"a": "v"}, ended: 9}
	if found, err := list(k, 10); err != nil || len(found) != 1 {
		t.Errorf("%v, %v", found, err)
	}
	k.ended = 1 << 30
	if _, err := list(k, 10); !errors.Is(err, io.EOF) {
		t.Errorf("of a server that always hangs up: %v", err)
	}
}

func TestAListingOfTooManyNamesIsAnError(t *testing.T) {
	k := &keyspace{keys: make(map[string]string)}
	for i := range 1000 {
		k.keys[fmt.Sprint("a", i)] = "v"
	}
	if found, err := list(k, 999); !errors.Is(err, ErrTooMany) || found != nil {
		t.Errorf("%d, %v", len(found), err)
	}
	if found, err := list(k, 1000); err != nil || len(found) != 1000 {
		t.Errorf("%d, %v", len(found), err)
	}
}

// A script that has much to do leaves the rest.
func TestAListingAsksForWhatAScriptHasLeft(t *testing.T) {
	k := &keyspace{keys: map[string]string{"a1": "v", "a2": "v", "a3": "v"}}
	asked := 0
	k.eval = func(keys []string) (any, error) {
		asked++
		return []any{"v", int64(1), int64(0)}, nil // of the first only
	}
	if found, err := list(k, 10); err != nil || len(found) != 3 || asked != 3 {
		t.Errorf("%v, %v, asked %d times", found, err, asked)
	}
}

func TestAListingTakesNoReplyThatMakesNoSense(t *testing.T) {
	for what, reply := range map[string]any{
		"nothing": nil, "a text": "0", "one element": []any{"0"}, "a number": []any{int64(0), []any{}},
		"no names": []any{"0", "a"}, "the same cursor": []any{"17", []any{}},
	} {
		k := &keyspace{scan: func(cursor string) (any, error) {
			if what == "the same cursor" && cursor == "0" {
				return []any{"17", []any{}}, nil
			}
			return reply, nil
		}}
		if _, err := list(k, 10); err == nil || !strings.Contains(err.Error(), "is this a Redis server?") {
			t.Errorf("%s to SCAN: %v", what, err)
		}
	}
	for what, reply := range map[string]any{
		"nothing": nil, "no elements": []any{}, "two elements": []any{"v", int64(1)}, "no numbers": []any{"v", "1", int64(1)},
		"more than asked for": []any{"v", int64(1), int64(0), "v", int64(1), int64(0)}, "no text": []any{int64(1), int64(1), int64(1)},
	} {
		k := &keyspace{keys: map[string]string{"a": "v"}, eval: func([]string) (any, error) { return reply, nil }}
		if _, err := list(k, 10); err == nil || !strings.Contains(err.Error(), "is this a Redis server?") {
			t.Errorf("%s to EVAL: %v", what, err)
		}
	}
}

// A listing does not wait for it, and it has one call, however often a listing is asked for.
func TestAClientThatDoesNotReturnHoldsOneListing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &keyspace{frozen: make(chan struct{})}
		n := New(k)
		ended := 0
		l := Listing{Patience: time.Second, Most: 10}
		for i := range 3 {
			begun := time.Now()
			_, err := n.List(context.Background(), l, func() { ended++ })
			if took := time.Since(begun); took > 2*time.Second || err == nil {
				t.Errorf("listing %d took %v: %v", i, took, err)
			}
			if i > 0 && !errors.Is(err, errListing) {
				t.Errorf("listing %d: %v", i, err)
			}
		}
		if ended != 2 {
			t.Errorf("%d listings have ended, and the client has not returned", ended)
		}
		close(k.frozen)
		synctest.Wait()
		if ended != 3 {
			t.Errorf("%d listings have ended", ended)
		}
		k.frozen = nil
		if _, err := n.List(context.Background(), l, func() {}); err != nil {
			t.Error(err)
		}
	})
}

// matches is how a server matches a pattern (stringmatchlen in its util.c), without
// classes: none may be left.
func matches(t *testing.T, pattern, text string) bool {
	for len(pattern) > 0 {
		switch pattern[0] {
		case '*':
			if len(pattern) == 1 {
				return true
			}
			for i := range len(text) + 1 {
				if matches(t, pattern[1:], text[i:]) {
					return true
				}
			}
			return false
		case '[':
			t.Fatalf("the pattern has a class")
		case '?':
			if text == "" {
				return false
			}
			pattern, text = pattern[1:], text[1:]
			continue
		case '\\':
			if len(pattern) > 1 {
				pattern = pattern[1:]
			}
		}
		if text == "" || text[0] != pattern[0] {
			return false
		}
		pattern, text = pattern[1:], text[1:]
	}
	return text == ""
}

func FuzzAPrefixMatchesWordForWord(f *testing.F) {
	for _, seed := range [][2]string{
		{"", "x"}, {"app:", "app:x"}, {"a*", "abc"}, {"a?", "ab"}, {"[a]", "a"}, {`\`, `\x`}, {`\*`, `*`}, {`a\`, `a\b`}, {"[^a-", "b"}, {"*?[]\\", "*?[]\\*"}, {"\x00\xff", "\x00\xffz"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, prefix, text string) {
		if strings.Count(prefix, "*") > 8 { // each that was left would be a loop
			return
		}
		for _, key := range []string{text, prefix + text, prefix} {
			if got, want := matches(t, Glob(prefix), key), strings.HasPrefix(key, prefix); got != want {
				t.Errorf("the pattern %q of the prefix %q: %q matches: %v, want %v", Glob(prefix), prefix, key, got, want)
			}
		}
	})
}
