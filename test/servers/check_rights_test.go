package servers_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/redlock"
)

// A user of a check: what may be done, and what is found.
type checkedUser struct {
	name   string
	rights []string // in place of all
	opts   []redlock.Option
	want   redlock.Severity // of the finding about rights; it is no error to lack none
	lacks  []string         // that are named
	not    []string         // that are not
}

var checkedUsers = []checkedUser{
	{name: "no scripts", rights: []string{"-eval", "-evalsha"}, want: redlock.SeverityError, lacks: []string{"eval"}, not: []string{"PUBLISH"}},
	{name: "no DEL", rights: []string{"-del"}, want: redlock.SeverityError, lacks: []string{"+del"}},
	{name: "no SET", rights: []string{"-set"}, want: redlock.SeverityError, lacks: []string{"+set"}},
	{name: "no SET, and nothing that deletes", rights: []string{"-set", "-del", "-hdel"}, want: redlock.SeverityError, lacks: []string{"'set'"}},
	{name: "no channels", rights: []string{"resetchannels"}, want: redlock.SeverityWarning, lacks: []string{"PUBLISH on channel", "SUBSCRIBE on channel", "&{app:*}:wake*"}},
	{name: "no side keys", rights: []string{"resetkeys", "~app:*"}, want: redlock.SeverityWarning, lacks: []string{"SET on {key}:wait", "~{app:*}:*"}},
	{name: "no ZREM", rights: []string{"-zrem"}, want: redlock.SeverityNote, lacks: []string{"ZREM on {key}:queue"}, not: []string{"ZADD on"}},
	{name: "no ZREM for WithFair", rights: []string{"-zrem"}, opts: []redlock.Option{redlock.WithFair()}, want: redlock.SeverityError, lacks: []string{"ZREM on {key}:queue"}},
	{name: "no TIME for WithFencing", rights: []string{"-time"}, opts: []redlock.Option{redlock.WithFencing()}, want: redlock.SeverityError, lacks: []string{"TIME", "WithFencing", "+time"}},
	{name: "no counters for WithFencing", rights: []string{"resetkeys", "~app:*", "~{app:*}:wait", "~{app:*}:queue", "~{app:*}:lease"},
		opts: []redlock.Option{redlock.WithFencing()}, want: redlock.SeverityError, lacks: []string{"GET on {key}:fence", "SET on {key}:fence", "~{app:*}:*"}, not: []string{"TIME"}},
	{name: "no marker for the guard", rights: []string{"resetkeys", "~app:*", "~{app:*}:*"}, opts: []redlock.Option{redlock.WithRestartGuard(8 * time.Second)},
		want: redlock.SeverityError, lacks: []string{"GET on redlock:node", "PTTL on redlock:quarantine", "WithRestartGuard", "~redlock:node"}},
}

// Both ways to find out: by asking, and by trying, for users that may not ask.
func TestCheckNamesTheRightsThatAreMissing(t *testing.T) {
	t.Parallel()
	withEach(t, func(t *testing.T, lib library) {
		t.Parallel()
		all := startServers(t, 3, durable)
		for _, way := range []string{"asked", "tried"} {
			for _, c := range checkedUsers {
				t.Run(way+": "+c.name, func(t *testing.T) {
					if c.name == "no scripts" && all.compareNatively() { // locks work all the same
						if c.want = redlock.SeverityWarning; way == "tried" {
							t.Skip("no right is missing that a lock has to have")
						}
					}
					rules := append([]string{"ACL", "SETUSER", "app", "reset", "on", ">" + secret, "~*", "&*", "+@all"}, c.rights...)
					if way == "tried" {
						rules = append(rules, "-acl")
					}
					all.must(t, rules...)
					found := check(t, lockerAs(t, lib, all.addrs(), "app", secret, append(c.opts, redlock.WithPrefix("app:"))...))
					seen := 0
					for _, f := range found {
						if f.Check != "rights" {
							if f.Severity > redlock.SeverityNote {
								t.Errorf("%v", f)
							}
							continue
						}
						if f.Severity < c.want { // without SET, for instance, waiting fails, too
							continue
						}
						if f.Severity > c.want {
							t.Errorf("%v, want %v", f, c.want)
						}
						seen++
						wantTexts(t, f, c.lacks...)
						for _, text := range c.not {
							if strings.Contains(f.Seen, text) {
								t.Errorf("%q is not missing: %v", text, f)
							}
						}
					}
					if seen != 3 {
						t.Errorf("it is missing on 3 servers, and named on %d: %v", seen, found)
					}
					if keys := all.keys(t); len(keys) > 0 && !slices.Contains(c.rights, "-del") { // that go by themselves
						t.Errorf("it left %q", keys)
					}
					for _, key := range all.keys(t) {
						name, _, _ := strings.Cut(key, " ")
						for _, s := range all {
							if left, _ := s.Do("PTTL", name); left == int64(-1) {
								t.Errorf("%s would stay for ever", name)
							}
						}
					}
					all.must(t, "FLUSHALL")
				})
			}
		}
	})
}

// What is missing of the keys is seen when the commands are allowed, so it may take the
// remedy twice. Servers refuse a pattern for a user with all keys. A check takes a second, so
// all users make theirs at once.
func TestTheRemediesOfACheckGiveTheRights(t *testing.T) {
	t.Parallel()
	all := startServers(t, 1, durable)
	type asking struct {
		name, user string
		locker     *redlock.Locker
		found      []redlock.Finding
		err        error
	}
	var users []*asking
	for _, way := range []string{"asked", "tried"} {
		for _, c := range checkedUsers {
			u := &asking{name: way + ": " + c.name, user: fmt.Sprintf("app%d", len(users))}
			rules := append([]string{"ACL", "SETUSER", u.user, "on", ">" + secret, "~*", "&*", "+@all"}, c.rights...)
			if way == "tried" {
				rules = append(rules, "-acl")
			}
			all.must(t, rules...)
			u.locker = lockerAs(t, viaGoRedis, all.addrs(), u.user, secret, append(c.opts, redlock.WithPrefix("app:"))...)
			users = append(users, u)
		}
	}
	ctx := within20(t)
	for range 3 {
		var checks sync.WaitGroup
		for _, u := range users {
			checks.Go(func() { u.found, u.err = u.locker.Check(ctx) })
		}
		checks.Wait()
		users = slices.DeleteFunc(users, func(u *asking) bool {
			u.found = slices.DeleteFunc(u.found, func(f redlock.Finding) bool { return f.Check != "rights" })
			return u.err == nil && len(u.found) == 0
		})
		for _, u := range users {
			for _, f := range u.found {
				all.must(t, strings.Fields(strings.ReplaceAll(f.Remedy, "<user>", u.user))...)
			}
		}
	}
	for _, u := range users {
		t.Errorf("%s: still missing: %v (%v)", u.name, u.found, u.err)
	}
}

// The rights in SECURITY.md are enough for a check that finds none missing: what it
// cannot see, it says.
func TestCheckWithTheRightsInSecurity(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	withTwo(t, func(t *testing.T, lib library) {
		t.Parallel()
		all := startServers(t, 3, durable)
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSpace(line); strings.HasPrefix(line, "ACL SETUSER app ") {
				all.must(t, strings.Fields(line)...)
			}
		}
		_, more, _ := strings.Cut(string(text), "- `RLock` needs `")
		more, _, _ = strings.Cut(more, "`")
		all.must(t, append([]string{"ACL", "SETUSER", "app"}, strings.Fields(more)...)...)
		found := check(t, lockerAs(t, lib, all.addrs(), "app", "secret", redlock.WithPrefix("app:"), redlock.WithFair(), redlock.WithFencing()))
		if len(found) != 3 {
			t.Fatalf("found %v", found)
		}
		for i, f := range found {
			wantFound(t, found[i:i+1], redlock.SeverityWarning, "unknown", all[i].Addr(), "INFO: NOPERM", "CONFIG GET: NOPERM", "+info")
			if strings.Contains(fmt.Sprint(f), "app:") {
				t.Errorf("it tried what it should not: %v", f)
			}
		}
		if keys := all.keys(t); len(keys) > 0 {
			t.Errorf("it left %q", keys)
		}
		if log, err := all[0].Do("ACL", "LOG"); err != nil || strings.Contains(fmt.Sprint(log), "app:") {
			t.Errorf("the server denied more than it had to: %v, %v", log, err)
		}
	})
}

func TestCheckFindsThatScriptsAreDisabled(t *testing.T) {
	t.Parallel()
	withTwo(t, func(t *testing.T, lib library) {
		t.Parallel()
		opts := durable
		opts.Args = append(slices.Clone(opts.Args), "--rename-command", "EVAL", "")
		all := startServers(t, 1, opts)
		want, says := redlock.SeverityError, []string{"failed to unlock", "unknown command"}
		if all.compareNatively() {
			want, says = redlock.SeverityWarning, []string{"locks are released by DEL"}
		}
		found := slices.DeleteFunc(check(t, lib.Locker(t, all.addrs())), func(f redlock.Finding) bool { return f.Severity < redlock.SeverityWarning })
		wantFound(t, found, want, "scripts", all[0].Addr(), append(says, "allow EVAL and EVALSHA")...)
		if keys := all.keys(t); len(keys) > 0 {
			t.Errorf("it left %q", keys)
		}
	})
}

// Before Redis 7 there are no keys that may only be read.
func TestCheckFindsAMarkerThatTheGuardMayOnlyRead(t *testing.T) {
	t.Parallel()
	all := startServers(t, 1, durable)
	if _, err := all[0].Do("ACL", "SETUSER", "app", "reset", "on", ">"+secret, "~app:*", "~{app:*}:*", "%R~redlock:*", "&*", "+@all"); err != nil {
		return
	}
	l := lockerAs(t, viaGoRedis, all.addrs(), "app", secret, redlock.WithPrefix("app:"), redlock.WithRestartGuard(8*time.Second))
	for _, f := range check(t, l) {
		if f.Check == "rights" {
			wantTexts(t, f, "SET on redlock:node", "SET on redlock:quarantine", "WithRestartGuard", "~redlock:node ~redlock:quarantine")
			return
		}
	}
	_, err := l.TryLock(context.Background(), "job")
	t.Errorf("no right is missing, and a lock is refused: %v", err)
}
