package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/quorumlock/quorumlock/internal/fakenode"
	"github.com/quorumlock/quorumlock/pool"
)

// A pickyNode pool refuses commands, and notes those that it was asked for.
type pickyNode struct {
	*fakenode.Node
	refuse func(args []any) error

	mu    sync.Mutex
	asked []string
}

func (p *pickyNode) Do(ctx context.Context, args ...any) (any, error) {
	p.mu.Lock()
	name := fmt.Sprint(args[0])
	switch {
	case slices.Contains(args, any("IFEQ")):
		name += " IFEQ"
	case name == "EVAL" || name == "EVALSHA":
		name += fmt.Sprint(" ", args[2])
	}
	p.asked = append(p.asked, name)
	err := p.refuse(args)
	p.mu.Unlock()
	if err != nil {
		return nil, err
	}
	key, _ := args[1].(string)
	switch name {
	case "DELEX IFEQ", "DELIFEQ":
		value := args[len(args)-1].(string)
		if p.Get(key) != value {
			return int64(0), nil
		}
		p.Delete(key)
		return int64(1), nil
	case "SET IFEQ":
		held := p.Get(key)
		switch held {
		case "":
			return nil, nil
		case args[4]:
			p.Hold(key, args[2].(string), ttl)
		}
		return held, nil
	}
	return p.Node.Do(ctx, args...)
}

// took returns what was asked for since the last time.
func (p *pickyNode) took() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	asked := strings.Join(p.asked, ", ")
	p.asked = nil
	return asked
}

func isScript(args []any) bool { return args[0] == "EVAL" || args[0] == "EVALSHA" }

// onPicky runs f on a node that nothing is known of, whose server refuses what refuse does,
// behind clients of either kind.
func onPicky(t *testing.T, refuse func(args []any) error, f func(t *testing.T, p *pickyNode, n *Node)) {
	t.Helper()
	for kind, client := range map[string]func(*pickyNode) pool.Pool{
		"plain":     func(p *pickyNode) pool.Pool { return p },
		"pipelined": func(p *pickyNode) pool.Pool { return submitting{p} },
	} {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &pickyNode{Node: fakenode.New("a"), refuse: refuse}
				n := New(client(p))
				t.Cleanup(n.Stop)
				f(t, p, n)
			})
		})
	}
}

type submitting struct{ *pickyNode }

func (s submitting) Submit(ctx context.Context, r pool.Receiver, args ...any) {
	go func() { r.Receive(s.Do(ctx, args...)) }() // ends when Do does
}

func askRequest(n *Node, request *Request) Answer {
	var r recorder
	deadline := MakeDeadline(context.Background(), timeout)
	return askFor(n, &Call{Request: request, Deadline: &deadline, Receiver: &r}, &r)
}

// What servers, services and proxies say about commands and scripts that they do not take.
var refusalsOfForms = []string{
	"ERR command eval not support for your account",
	"ERR unsupported command 'evalsha'",
	"ERR Command is not available: 'EVAL'. See the documentation",
	"ERR command not allowed",
	"ERR This instance does not support Lua scripting",
	"ERR unknown command 'EVAL', with args beginning with: 'LOADING' 'x'",
	"NOPERM User default has no permissions to run the 'eval' command",
	"NOPERM No permissions to access a key",
	"ERR bad lua script for redis cluster, all the keys that the script uses should be passed using the KEYS array",
	"ERR Error running script: @user_script:1: ERR script tried accessing undeclared key",
	"ERR Lua script attempted to access a non local key in a cluster node",
	"ERR Could not find scripting engine 'lua'",
	"backend says: ERR Unknown Redis command called from script",
}

func TestALongScriptThatIsRefusedIsReplacedByAShortOneAndThatIsRemembered(t *testing.T) {
	for _, text := range refusalsOfForms {
		long := func(args []any) error {
			if isScript(args) && args[2] != int64(1) {
				return pool.Error(text)
			}
			return nil
		}
		onPicky(t, long, func(t *testing.T, p *pickyNode, n *Node) {
			wantStatus(t, ask(t, n, AcquireOrFlag, "k", "v"), Granted)
			wantStatus(t, ask(t, n, AcquireOrFlag, "k", "w"), Taken)
			wantStatus(t, ask(t, n, Release, "k", "w"), Absent)
			wantStatus(t, ask(t, n, Release, "k", "v"), Deleted)
			p.took()
			wantStatus(t, ask(t, n, AcquireOrFlag, "k", "v"), Granted)
			wantStatus(t, ask(t, n, Release, "k", "v"), Deleted)
			if got, want := p.took(), "SET, EVALSHA 1"; got != want {
				t.Errorf("%s: it was asked for %s, want %s", text, got, want)
			}
			p.FlushScripts() // as after a restart: all is tried again
			p.refuse = func([]any) error { return nil }
			wantStatus(t, ask(t, n, Release, "k", "v"), Absent)
			wantStatus(t, ask(t, n, Release, "k", "v"), Absent)
			if got, want := p.took(), "EVALSHA 1, EVAL 2, EVALSHA 2"; got != want {
				t.Errorf("%s: it was asked for %s, want %s", text, got, want)
			}
		})
	}
}

func TestWithoutScriptsALockIsTakenExtendedAndReleasedByNativeCommands(t *testing.T) {
	for _, text := range refusalsOfForms {
		for _, native := range []string{"DELEX", "DELIFEQ"} {
			refuse := func(args []any) error {
				if isScript(args) || (args[0] == "DELEX" || args[0] == "DELIFEQ") && args[0] != native {
					return pool.Error(text)
				}
				return nil
			}
			onPicky(t, refuse, func(t *testing.T, p *pickyNode, n *Node) {
				for range 2 {
					wantStatus(t, ask(t, n, Acquire, "k", "v"), Granted)
					wantStatus(t, ask(t, n, AcquireOrFlag, "k", "w"), Taken)
					wantStatus(t, ask(t, n, Extend, "k", "v"), Extended)
					wantStatus(t, ask(t, n, Extend, "k", "w"), Taken)
					wantStatus(t, ask(t, n, Release, "k", "w"), Absent)
					p.took()
					wantStatus(t, ask(t, n, Release, "k", "v"), Deleted)
					if got := p.took(); got != native && got != native+" IFEQ" {
						t.Errorf("%s: it was asked for %s", text, got)
					}
					wantStatus(t, ask(t, n, Extend, "k", "v"), Absent)
				}
			})
		}
	}
}

func TestWithoutScriptsAValueIsSwappedAndLeftToExpireByNativeCommands(t *testing.T) {
	for _, text := range refusalsOfForms {
		refuse := func(args []any) error {
			if isScript(args) {
				return pool.Error(text)
			}
			return nil
		}
		onPicky(t, refuse, func(t *testing.T, p *pickyNode, n *Node) {
			put := func(verb Verb, value, former string, want Status) {
				t.Helper()
				wantStatus(t, askRequest(n, NewRequest(verb, NewEntry("k", value).Replacing(former), ttl/2, WaiterFlag{})), want)
			}
			for range 2 {
				put(Swap, "new", "v", Absent)
				put(Expire, "v", "", Absent)
				p.Hold("k", "v", ttl)
				put(Swap, "new", "other", Taken)
				put(Expire, "new", "", Absent)
				put(Swap, "new", "v", Granted)
				put(Swap, "new", "v", Granted) // again, since the reply was lost
				put(Swap, "newer", "v", Taken)
				put(Expire, "new", "", Deleted)
				if p.Get("k") != "new" {
					t.Errorf("%s: the key is %q", text, p.Get("k"))
				}
				p.Delete("k")
			}
		})
	}
}

func TestWhereEveryReleaseIsRefusedNothingIsLocked(t *testing.T) {
	for _, text := range refusalsOfForms {
		refuse := func(args []any) error {
			if args[0] != "SET" || slices.Contains(args, any("IFEQ")) {
				return pool.Error(text)
			}
			return nil
		}
		onPicky(t, refuse, func(t *testing.T, p *pickyNode, n *Node) {
			for _, verb := range []Verb{Acquire, AcquireOrFlag, AcquireInTurn} {
				a := ask(t, n, verb, "k", "v")
				wantStatus(t, a, Failed)
				if !ends(a.Err) || Remedy(a.Err) == "" || !errors.Is(a.Err, pool.ErrNotSent) || !a.Answered() {
					t.Errorf("%v, permanent %t, remedy %q", a.Err, ends(a.Err), Remedy(a.Err))
				}
				if !strings.Contains(a.Err.Error(), shorten(text)) {
					t.Errorf("%v does not say %q", a.Err, text)
				}
			}
			if p.Get("k") != "" || strings.Contains(p.took(), "SET") {
				t.Errorf("%s: it was asked for a lock", text)
			}
		})
	}
}

func TestReleaseMustWorkOnceBeforeTheFirstLock(t *testing.T) {
	onPicky(t, func([]any) error { return nil }, func(t *testing.T, p *pickyNode, n *Node) {
		p.Hold("k", "v", ttl) // that one's own value is not touched by it either
		wantStatus(t, ask(t, n, Acquire, "k", "v"), Granted)
		wantStatus(t, ask(t, n, Acquire, "k", "w"), Taken)
		if got, want := p.took(), "EVAL 2, SET, SET"; got != want {
			t.Errorf("it was asked for %s, want %s", got, want)
		}
		wantStatus(t, ask(t, n, Release, "k", "v"), Deleted)
		if got, want := p.took(), "EVALSHA 2"; got != want {
			t.Errorf("it was asked for %s, want %s", got, want)
		}
	})
}

// A server that fails for a while is no server without scripts.
func TestAStateOfTheServerIsNoRefusalOfTheForm(t *testing.T) {
	for _, text := range []string{
		"LOADING Redis is loading the dataset in memory",
		"OOM command not allowed when used memory > 'maxmemory'.",
		"BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
		"MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. Commands that may modify the data set are disabled",
		"READONLY You can't write against a read only replica.",
		"WRONGPASS invalid username-password pair or user is disabled.",
		"ERR Connection timed out",
		"ERR max number of clients reached",
	} {
		onPicky(t, func(args []any) error { return pool.Error(text) }, func(t *testing.T, p *pickyNode, n *Node) {
			a := ask(t, n, Acquire, "k", "v")
			wantStatus(t, a, Failed)
			if got := p.took(); got != "EVAL 2" || ends(a.Err) != ends(pool.Error(text)) || Remedy(a.Err) != Remedy(pool.Error(text)) {
				t.Errorf("%s: %v after %s", text, a.Err, got)
			}
			p.refuse = func([]any) error { return nil }
			wantStatus(t, ask(t, n, Release, "k", "v"), Absent)
			if got := p.took(); got != "EVAL 2" {
				t.Errorf("%s: afterwards it was asked for %s", text, got)
			}
		})
	}
}

func TestWhereOnlyTheHashIsRefusedTheTextIsSentFromThenOn(t *testing.T) {
	refuse := func(args []any) error {
		if args[0] == "EVALSHA" {
			return pool.Error("ERR unsupported command 'evalsha'")
		}
		return nil
	}
	onPicky(t, refuse, func(t *testing.T, p *pickyNode, n *Node) {
		for range 3 {
			wantStatus(t, ask(t, n, AcquireOrFlag, "k", "v"), Granted)
			wantStatus(t, ask(t, n, Release, "k", "v"), Deleted)
		}
		if got, want := p.took(), "EVAL 2, EVAL 2, EVALSHA 2, EVAL 2, EVAL 2, EVAL 2, EVAL 2, EVAL 2"; got != want {
			t.Errorf("it was asked for %s, want %s", got, want)
		}
	})
}

// Fair locks, fencing and the guard have no other form.
func TestRefusedScriptsNameTheOptionThatNeedsThem(t *testing.T) {
	guarded := Guard{Nodes: 3, Longest: ttl, Quarantine: 2 * ttl}.Scripts()
	for option, c := range map[string]struct {
		verb  Verb
		entry Entry
	}{
		"WithFair":         {AcquireInTurn, NewEntry("k", "v")},
		"WithFencing":      {AcquireOrFlag, NewEntry("k", "v").Fenced(new(Fence), 7, ttl)},
		"WithRestartGuard": {Acquire, guarded.NewEntry("k", "v")},
	} {
		for _, text := range refusalsOfForms {
			refuse := func(args []any) error {
				if isScript(args) && args[2] != int64(1) {
					return pool.Error(text)
				}
				return nil
			}
			onPicky(t, refuse, func(t *testing.T, p *pickyNode, n *Node) {
				a := askRequest(n, NewRequest(c.verb, c.entry, ttl, WaiterFlag{ID: "me", TTL: ttl}))
				wantStatus(t, a, Failed)
				want := option
				if strings.HasPrefix(text, "NOPERM") {
					want = "SECURITY.md"
				}
				if !ends(a.Err) || !strings.Contains(Remedy(a.Err), want) {
					t.Errorf("%s: %v, permanent %t: %s", option, a.Err, ends(a.Err), Remedy(a.Err))
				}
			})
		}
	}
}

// What a published value needs is said whatever command of it is refused, with a script or without.
func TestAValueThatMayNotBeReadNamesTheRights(t *testing.T) {
	const key = "{path}:value"
	for name, r := range map[string]*Request{"version": NewReadVersion(key), "value": NewRead(key), "publish": NewPublish(key, nil, Publication{})} {
		for _, text := range refusalsOfForms {
			refuse := func(args []any) error {
				if args[0] == "GETRANGE" || isScript(args) {
					return pool.Error(text)
				}
				return nil
			}
			onPicky(t, refuse, func(t *testing.T, p *pickyNode, n *Node) {
				a := askRequest(n, r)
				wantStatus(t, a, Failed)
				want := "a published value"
				if strings.HasPrefix(text, "NOPERM") {
					want = "+getrange"
				}
				if !ends(a.Err) || !strings.Contains(Remedy(a.Err), want) {
					t.Errorf("%s: %v, permanent %t: %s", name, a.Err, ends(a.Err), Remedy(a.Err))
				}
			})
		}
	}
}

// A text of megabytes under a lock's name is read once, and is no holder.
func TestALongTextUnderALocksNameIsDataAndIsNotReadAgain(t *testing.T) {
	onPicky(t, func([]any) error { return nil }, func(t *testing.T, p *pickyNode, n *Node) {
		p.Hold("k", strings.Repeat("x", longestValue+1), ttl)
		for range 3 {
			a := ask(t, n, Acquire, "k", "v")
			wantStatus(t, a, Failed)
			if !ends(a.Err) || !strings.Contains(Remedy(a.Err), "data key") {
				t.Errorf("%v: %s", a.Err, Remedy(a.Err))
			}
		}
		if got, want := p.took(), "EVAL 2, SET, EVAL 1, EVALSHA 1"; got != want {
			t.Errorf("it was asked for %s, want %s", got, want)
		}
		p.Hold("k", strings.Repeat("x", longestValue), ttl)
		wantStatus(t, ask(t, n, Acquire, "k", "v"), Taken)
		wantStatus(t, ask(t, n, AcquireOrFlag, "k", "v"), Taken)
	})
}

// ends reports whether a node that has never answered well ends a wait with the error.
func ends(err error) bool { return causeOf(err).end >= untilFixed }

// One script covers all keys, or none are taken: no other command does that.
func TestSeveralKeysAreTakenByNoCommandOtherThanTheirScript(t *testing.T) {
	refuse := func(args []any) error {
		if isScript(args) {
			return pool.Error("ERR unknown command 'EVAL', with args beginning with: 'x'")
		}
		return nil
	}
	onPicky(t, refuse, func(t *testing.T, p *pickyNode, n *Node) {
		for _, name := range []string{"the release before it", "the acquire"} {
			entry := NewEntry("k", "v").And("l")
			a := askRequest(n, NewRequest(Acquire, entry, ttl, WaiterFlag{}))
			remedy := Remedy(a.Err)
			if a.Status != Failed || !strings.Contains(remedy, "a lock on several names needs scripts") || !NothingDone(AcquireOrFlag, a.Err) {
				t.Errorf("%s: %+v, remedy %q", name, a, remedy)
			}
			if asked := p.took(); strings.Contains(asked, "SET") || strings.Contains(asked, "DEL") {
				t.Errorf("%s: it asked %s", name, asked)
			}
			n.Trust()
		}
	})
}
