package node

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestAnAnswerNamesEveryKeyThatIsTaken(t *testing.T) {
	long, longer := strings.Repeat("x", longestValue), strings.Repeat("x", longestValue+1)
	entry := NewEntry("k", "v").And("l", "m", "n")
	for _, c := range []struct {
		name  string
		verb  Verb
		reply []any
		want  []Holding // nil if the reply is not of a node
	}{
		{"one", Acquire, []any{"h", int64(5), int64(2), []any{}}, []Holding{{1, "h"}}},
		{"all", Acquire, []any{"h", int64(5), int64(1), []any{int64(2), "", int64(3), long, int64(4), "i"}}, []Holding{{0, "h"}, {1, ""}, {2, long}, {3, "i"}}},
		{"in turn", AcquireInTurn, []any{"h", int64(5), int64(1), []any{int64(4), "i"}, int64(7), int64(6)}, []Holding{{0, "h"}, {3, "i"}}},
		{"a text that is no lock's", Acquire, []any{"h", int64(5), int64(1), []any{int64(2), longer, int64(3), "i"}}, []Holding{{0, "h"}, {2, "i"}}},
		{"half of one", Acquire, []any{"h", int64(5), int64(1), []any{int64(2)}}, nil},
		{"a key too far", Acquire, []any{"h", int64(5), int64(1), []any{int64(5), "i"}}, nil},
		{"key 0", Acquire, []any{"h", int64(5), int64(1), []any{int64(0), "i"}}, nil},
		{"more than there are", Acquire, []any{"h", int64(5), int64(1), []any{int64(1), "i", int64(2), "i", int64(3), "i", int64(4), "i"}}, nil},
		{"no list", Acquire, []any{"h", int64(5), int64(1), int64(0)}, nil},
		{"no text", Acquire, []any{"h", int64(5), int64(1), []any{int64(2), int64(3)}}, nil},
	} {
		a := NewRequest(c.verb, entry, time.Second, WaiterFlag{}).answer(c.reply, nil)
		if (a.Status == Taken) != (c.want != nil) {
			t.Errorf("%s: %+v", c.name, a)
			continue
		}
		if c.want == nil {
			if a.Err == nil || a.Others() != nil {
				t.Errorf("%s: %v, others %v", c.name, a.Err, a.Others())
			}
			continue
		}
		if got := append([]Holding{{a.Index, a.Holder}}, a.Others()...); !slices.Equal(got, c.want) {
			t.Errorf("%s: %.40v, want %.40v", c.name, got, c.want)
		}
	}
}

func TestAnAnswerSaysWhichOfSeveralFreeKeysHasOtherWaiters(t *testing.T) {
	entry := NewEntry("k", "v").And("l", "m")
	a := NewRequest(AcquireInTurn, entry, time.Second, WaiterFlag{}).answer([]any{"", int64(-2), int64(3), []any{}, int64(9), int64(4)}, nil)
	if a.Status != Queued || a.Index != 2 || a.Last != 9 || a.First != 4 {
		t.Errorf("%+v, want that waiters come first for the third key", a)
	}
	a = NewRequest(AcquireInTurn, entry, time.Second, WaiterFlag{}).answer([]any{"v", int64(1), int64(1), []any{}, int64(9), int64(0)}, nil)
	if a.Status != Granted || !a.Found || a.Last != 9 {
		t.Errorf("%+v, want that it had all keys before", a)
	}
}
