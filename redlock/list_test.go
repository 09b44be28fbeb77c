package redlock

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/quorumlock/quorumlock/internal/node"
	"github.com/quorumlock/quorumlock/pool"
)

// manyLocks is a server with very many locks.
type manyLocks struct{ names []any }

func (*manyLocks) String() string { return "node" }

func (m *manyLocks) Do(_ context.Context, args ...any) (any, error) {
	if args[0] == "SCAN" {
		return []any{"0", m.names}, nil
	}
	replies := make([]any, 0, 1000)
	for range args[2].(int64) / 3 {
		replies = append(replies, "rl1:0:me", int64(1), int64(0))
	}
	return replies, nil
}

func TestAListOfTooManyNamesIsAnErrorAndNoPart(t *testing.T) {
	m := new(manyLocks)
	for i := range MaxListed + 1 {
		m.names = append(m.names, fmt.Sprint("job", i))
	}
	l, err := New([]pool.Pool{m})
	if err != nil {
		t.Fatal(err)
	}
	found, err := l.List(context.Background(), "job")
	wantIs(t, err, ErrTooMany)
	if found.Locks != nil || !strings.Contains(fmt.Sprint(err), "ask for a longer prefix") {
		t.Errorf("%d locks, %v", len(found.Locks), err)
	}
	m.names = m.names[:9]
	if found, err = l.List(context.Background(), "job"); err != nil || len(found.Locks) != 9 {
		t.Errorf("%d locks, %v", len(found.Locks), err)
	}
	if err := l.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestValuesOfLocksAreKnownByTheirForm(t *testing.T) {
	long := newValue(strings.Repeat("x", maxLabel))
	if len(long) > node.LongestOurs {
		t.Errorf("a value may have %d bytes, and those of %d are listed", len(long), node.LongestOurs)
	}
	for value, want := range map[string]bool{
		long: true, newValue("me"): true, "rl1:0123:short": true,
		"sdQjHT8xvB8xm1kxBCcV/A==": true, "Zm9vYmFyYmF6cXV4MTIzNA": true, "0f8fad5bd9cb469fa16570867728950e": true,
		"0f8fad5b-d9cb-469f-a165-70867728950e": true, "0f8fad5bd9cb469fa16570867728950e0f8fad5b": true,
		"": false, "42": false, "rl1": false, "true": false, `{"a":1}`: false, "sdQjHT8xvB8xm1kxBCcV/A=": false,
		"Zm9vYmFyYmF6cXV4MTIzNA\n": false, "0f8fad5bd9cb469fa16570867728950": false, "a b c d e f g h i j k l": false,
		"2026-11-29T23:08:15Z, a text of any length": false,
	} {
		if isLockValue(value) != want {
			t.Errorf("%q is a lock's: %v", value, !want)
		}
	}
}
