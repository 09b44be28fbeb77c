package redlock

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorumlock/quorumlock/internal/fakenode"
	"github.com/quorumlock/quorumlock/pool"
)

// scriptless is a node whose user may run no scripts, and may ask what it may do. It
// compares natively, as Valkey 9 does, if native is set.
type scriptless struct {
	*fakenode.Node
	native bool
}

func (n scriptless) Do(ctx context.Context, args ...any) (any, error) {
	compared := func(with any) bool { return n.Get(args[1].(string)) == with }
	switch {
	case args[0] == "ACL" && args[1] == "WHOAMI":
		return "app", nil
	case args[0] == "ACL":
		if args[3] == "EVAL" || args[3] == "EVALSHA" {
			return "User app has no permissions to run the '" + strings.ToLower(args[3].(string)) + "' command", nil
		}
		return "OK", nil
	case args[0] == "EVAL", args[0] == "EVALSHA":
		return nil, pool.Error("NOPERM User app has no permissions to run the '" + strings.ToLower(args[0].(string)) + "' command")
	case args[0] == "TIME": // what WithFencing and WithFair need besides is there
		return []any{"1000000000", "0"}, nil
	case args[0] == "DELIFEQ" && n.native:
		if !compared(args[2]) {
			return int64(0), nil
		}
		_, err := n.Node.Do(ctx, "DEL", args[1])
		return int64(1), err
	case args[0] == "SET" && args[3] == "IFEQ" && n.native:
		held := n.Get(args[1].(string))
		switch {
		case held == "":
			return nil, nil
		case compared(args[4]):
			if _, err := n.Node.Do(ctx, "SET", args[1], args[2], "PX", args[7]); err != nil {
				return nil, err
			}
		}
		return held, nil
	}
	return n.Node.Do(ctx, args...)
}

// What Check says about a user that may run no scripts is what happens to locks: a warning where
// newer servers lock without, an error where they cannot.
func TestAUserWithoutScriptsIsAnErrorExactlyWhereLocksFail(t *testing.T) {
	for name, c := range map[string]struct {
		native bool
		opts   []Option
		want   Severity
	}{
		"a native server":                {native: true, want: SeverityWarning},
		"a native server, held at least": {native: true, opts: []Option{WithMinHold(time.Second)}, want: SeverityWarning},
		"an older server":                {want: SeverityError},
		"fair":                           {native: true, opts: []Option{WithFair()}, want: SeverityError},
		"fencing":                        {native: true, opts: []Option{WithFencing()}, want: SeverityError},
		"guarded":                        {native: true, opts: []Option{WithRestartGuard(8 * time.Second)}, want: SeverityError},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				nodes, pools := fakenode.Pools(3)
				for i, n := range nodes {
					pools[i] = scriptless{n, c.native}
				}
				l, err := New(pools, c.opts...)
				if err != nil {
					t.Fatal(err)
				}
				defer l.Close(context.Background())
				found, err := l.Check(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				rights := findings(found, "rights")
				if len(rights) != 3 {
					t.Errorf("found %v", found)
				}
				for _, f := range rights {
					if f.Severity != c.want || !strings.Contains(f.Seen, "EVAL on the lock's key") || !strings.HasSuffix(f.Remedy, "+eval +evalsha") {
						t.Errorf("want %v, got %v", c.want, f)
					}
				}
				if s := findings(found, "scripts"); len(s) > 0 {
					t.Errorf("it says it twice: %v", s)
				}
				for i, n := range nodes {
					if keys := n.Keys(); len(keys) > 0 {
						t.Errorf("node %d still has %q", i, keys)
					}
				}

				lock, err := l.TryLock(t.Context(), "k")
				if works := err == nil; works != (c.want < SeverityError) {
					t.Errorf("Check finds %v, and TryLock: %v", c.want, err)
				}
				if err == nil {
					if err := errors.Join(lock.Extend(t.Context()), lock.Unlock(t.Context())); err != nil {
						t.Error(err)
					}
				}
				if waiting, err := l.Lock(t.Context(), "k", WithMaxWait(2*time.Second)); (err == nil) != (c.want < SeverityError) {
					t.Errorf("Check finds %v, and Lock: %v", c.want, err)
				} else if err == nil {
					_ = waiting.Unlock(t.Context())
				}
			})
		})
	}
}
