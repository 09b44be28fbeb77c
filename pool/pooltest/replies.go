package pooltest

import (
	"fmt"
	"reflect"
	"sort"
	"strings"
	"testing"

	"github.com/quorumlock/quorumlock/pool"
)

func everyKind(tb testing.TB, open Opener) {
	kinds := []struct {
		name string
		sent any
		want any
	}{
		{"a simple string", simple("OK"), "OK"},
		{"another simple string", simple("QUEUED"), "QUEUED"},
		{"a bulk string", bulk("hello"), "hello"},
		{"an empty bulk string", bulk(""), ""},
		{"a bulk string with line ends and bytes that are no UTF-8", bulk("a\r\n\x00\xff$-1\r\n"), "a\r\n\x00\xff$-1\r\n"},
		{"an integer", integer(42), int64(42)},
		{"zero", integer(0), int64(0)},
		{"the smallest integer", integer(-1 << 63), int64(-1 << 63)},
		{"null", null{}, nil},
		{"a null array", nullArray{}, nil},
		{"an array", array{bulk("a"), integer(1), simple("b"), null{}}, []any{"a", int64(1), "b", nil}},
		{"an empty array", array{}, []any{}},
		{"arrays in an array", array{array{bulk("a"), array{}}, array{nullArray{}, integer(2)}}, []any{[]any{"a", []any{}}, []any{nil, int64(2)}}},
		{"a map", pairs{bulk("one"), integer(1), bulk("none"), null{}}, flat{"one": int64(1), "none": nil}},
		{"a map of maps", pairs{bulk("in"), pairs{bulk("k"), array{bulk("v")}}}, []any{"in", []any{"k", []any{"v"}}}},
		{"an empty map", pairs{}, []any{}},
		{"a set", set{bulk("a"), integer(2)}, []any{"a", int64(2)}},
		{"a double", double("3.25"), "3.25"},
		{"infinity", double("-inf"), "-inf"},
		{"true", boolean(true), int64(1)},
		{"false", boolean(false), int64(0)},
		{"booleans and doubles in an array", array{boolean(true), double("0.5")}, []any{int64(1), "0.5"}},
		{"a big number", bigNumber("-3492890328409238509324850943850943825024385"), "-3492890328409238509324850943850943825024385"},
		{"a verbatim string", verbatim("some text"), "some text"},
	}
	s, p := setup(tb, open)
	for i, kind := range kinds {
		name := fmt.Sprintf("KIND%d", i)
		s.on(name, func(p *peer, _ []string) { p.reply(kind.sent) })
		got := call(tb, p, name)
		if want, isMap := kind.want.(flat); isMap {
			if !want.matches(got) {
				tb.Errorf("%s: got %#v, want key, value, ... of %v", kind.name, got, want)
			}
		} else if !reflect.DeepEqual(got, kind.want) {
			tb.Errorf("%s: got %#v, want %#v", kind.name, got, kind.want)
		}
	}
	// Every reply was read to its end.
	mustEcho(tb, p, "after all of them")
}

// flat is a map whose pairs may come in any order.
type flat map[string]any

func (want flat) matches(got any) bool {
	values, ok := got.([]any)
	if !ok || len(values) != 2*len(want) {
		return false
	}
	lines := func(m map[string]any) (all []string) {
		for k, v := range m {
			all = append(all, fmt.Sprintf("%s=%#v", k, v))
		}
		sort.Strings(all)
		return all
	}
	have := make(map[string]any)
	for i := 0; i < len(values); i += 2 {
		key, ok := values[i].(string)
		if !ok {
			return false
		}
		have[key] = values[i+1]
	}
	return reflect.DeepEqual(lines(have), lines(want))
}

func serverErrors(tb testing.TB, open Opener) {
	texts := []string{
		"ERR unknown command 'NOSUCH', with args beginning with: 'a' ",
		"NOSCRIPT No matching script. Please use EVAL.",
		"proxy upstream said: NOSCRIPT No matching script. Please use EVAL.",
		"WRONGTYPE Operation against a key holding the wrong kind of value",
		"READONLY You can't write against a read only replica.",
		"NOAUTH Authentication required.",
		"WRONGPASS invalid username-password pair or user is disabled.",
		"NOPERM this user has no permissions to run the 'evalsha' command",
		"OOM command not allowed when used memory > 'maxmemory'.",
		"LOADING Redis is loading the dataset in memory",
		"BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
		"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
		"CLUSTERDOWN Hash slot not served",
		"TRYAGAIN Multiple keys request during rehashing of slot",
		"NOREPLICAS Not enough good replicas to write.",
		"MOVED 3999 127.0.0.1:6381",
		"ASK 3999 127.0.0.1:6381",
		"MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
		"ERR max number of clients reached",
		"ERR Error running script (call to f_x): @user_script:1: -READONLY You can't write against a read only replica.",
	}
	s, p := setup(tb, open)
	for i, text := range texts {
		name := fmt.Sprintf("FAIL%d", i)
		s.on(name, func(p *peer, _ []string) { p.reply(failure(text)) })
		o := attempt(p, name)
		o.refusedWith(tb, text)
		o.maybeSent(tb)
		if n := s.count(name); n != 1 {
			tb.Errorf("%q: the command was sent %d times, want once", text, n)
		}
	}
	mustEcho(tb, p, "after all of them")
}

func errorInArray(tb testing.TB, open Opener) {
	s, p := setup(tb, open)
	s.on("MIXED", func(p *peer, _ []string) {
		p.reply(array{integer(1), failure("ERR in the middle"), array{failure("WRONGTYPE further in")}, bulk("end")})
	})
	got := call(tb, p, "MIXED")
	want := []any{int64(1), pool.Error("ERR in the middle"), []any{pool.Error("WRONGTYPE further in")}, "end"}
	if !reflect.DeepEqual(got, want) {
		tb.Errorf("got %#v, want %#v", got, want)
	}
	mustEcho(tb, p, "after it")
}

func largeReply(tb testing.TB, open Opener) {
	s, p := setup(tb, open)
	value := strings.Repeat("0123456789abcdef", 1<<20/16)
	s.on("LARGE", func(p *peer, _ []string) { p.reply(array{bulk(value), integer(7), bulk(value)}) })
	got, ok := call(tb, p, "LARGE").([]any)
	if !ok || len(got) != 3 || got[0] != value || got[1] != int64(7) || got[2] != value {
		tb.Errorf("two values of %d bytes did not arrive as they were sent", len(value))
	}
	mustEcho(tb, p, "after it")
}
