package servers_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/internal/node/lua"
	"github.com/quorumlock/quorumlock/redlock"
)

// A lookalike changes some commands on their way to a real server, or answers them
// itself.
type lookalike func(args []string) (reply string, instead []string)

func (l lookalike) made() func(args []string) (string, []string) { return l }

// without sends a command without some of its words.
func without(words ...string) lookalike {
	return func(args []string) (string, []string) {
		if strings.ToUpper(args[0]) != "SET" {
			return "", nil
		}
		kept := slices.DeleteFunc(slices.Clone(args[3:]), func(word string) bool { return slices.Contains(words, word) })
		if slices.Contains(words, "PX") && len(kept) > 0 { // with its number
			kept = slices.DeleteFunc(kept, func(word string) bool { _, err := strconv.Atoi(word); return err == nil })
		}
		return "", slices.Concat(args[:3], kept)
	}
}

// always gives one reply to a command with that beginning.
func always(reply string, begin ...string) lookalike {
	return func(args []string) (string, []string) {
		if len(args) >= len(begin) && slices.EqualFunc(args[:len(begin)], begin, strings.EqualFold) {
			return reply, nil
		}
		return "", nil
	}
}

// scripts changes what the scripts do, which go out as text every time.
func scripts(from, to string) lookalike {
	return func(args []string) (string, []string) {
		switch strings.ToUpper(args[0]) {
		case "EVALSHA":
			return "-NOSCRIPT No matching script.\r\n", nil
		case "EVAL":
			return "", slices.Concat(args[:1], []string{strings.ReplaceAll(args[1], from, to)}, args[2:])
		}
		return "", nil
	}
}

var lookalikes = map[string]struct {
	lookalike
	says string
}{
	"ignores NX":                     {without("NX"), "ignores NX"},
	"ignores GET":                    {without("GET"), "ignores GET"},
	"ignores PX":                     {without("PX"), "ignores PX"},
	"stores nothing":                 {always("$-1\r\n", "SET"), "stores nothing"},
	"keeps a lock that was released": {scripts("redis.call('DEL', KEYS[1])", ""), "does not delete"},
	"ignores PEXPIRE":                {scripts("redis.call('PEXPIRE', KEYS[1], ARGV[2])", ""), "ignores PEXPIRE"},
	"compares nothing":               {scripts("held == ARGV[1]", "true"), "deleted a key that was never set"},
	"grants to every caller": {func(args []string) (string, []string) {
		if args[0] == "SET" && slices.Contains(args, "NX") {
			return "$-1\r\n", []string{"GET", args[1]}
		}
		return "", nil
	}, "stores nothing"},
}

// Such a server grants a lock twice, or for ever, and each of its answers looks right.
func TestCheckFindsAServerThatDoesOtherwiseThanItSays(t *testing.T) {
	t.Parallel()
	all := startServers(t, 3, durable)
	for name, c := range lookalikes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			odd := all[:1].filtered(t, c.made)
			for _, opts := range [][]redlock.Option{nil, {redlock.WithFair()}} {
				locker := viaGoRedis.Locker(t, append(odd, all[1:].addrs()...), append(opts, patient)...)
				found := slices.DeleteFunc(check(t, locker), func(f redlock.Finding) bool { return f.Severity != redlock.SeverityError })
				wantFound(t, found, redlock.SeverityError, "self-test", odd[0], c.says, "endangers exclusion")
			}
		})
	}
}

// Of every option, in every client: no key stays, no quarantine begins.
func TestCheckTriesWhatTheOptionsOfTheLockerUse(t *testing.T) {
	t.Parallel()
	withEach(t, func(t *testing.T, lib library) {
		t.Parallel()
		all := startServers(t, 3, durable)
		for name, opts := range modes {
			found, err := lib.Locker(t, all.addrs(), append(opts, patient)...).Check(within20(t))
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range found {
				switch {
				case f.Check == "guard" && name == "guard": // that no lock was taken there
				case f.Severity > redlock.SeverityNote:
					t.Errorf("%s: %v", name, f)
				case f.Check == "summary":
					wantTexts(t, f, "found to be there and gone", "a waiter was notified", "database 0")
				}
			}
			if keys := all.keys(t); len(keys) > 0 {
				t.Errorf("%s: it left %q", name, keys)
			}
		}
	})
}

// Scripts that touch keys which are not among their KEYS are refused by some servers. Ours
// name all. Here a server refuses one option's script alone, and the others work.
func TestCheckFindsThatTheScriptsOfAnOptionAreRefused(t *testing.T) {
	t.Parallel()
	all := startServers(t, 1, durable)
	for name, c := range map[string]struct {
		part string // of the script
		opts []redlock.Option
		says string
	}{
		"fair":    {"ZADD", []redlock.Option{redlock.WithFair()}, "WithFair"},
		"fencing": {"86400000000", []redlock.Option{redlock.WithFencing()}, "WithFencing"},
		"guard":   {"GUARDMISMATCH", []redlock.Option{redlock.WithRestartGuard(8 * time.Second)}, "WithRestartGuard"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addrs := all.filtered(t, refuse("ERR script tried accessing undeclared key", func(args []string) bool {
				if args[0] != "EVAL" || !strings.Contains(args[1], c.part) {
					return false
				}
				script, _ := lua.Find(args[1])
				return script.Script != lua.Release
			}))
			found := slices.DeleteFunc(check(t, viaGoRedis.Locker(t, addrs, append(c.opts, patient)...)), func(f redlock.Finding) bool { return f.Check == "guard" })
			wantFound(t, found, redlock.SeverityError, "scripts", addrs[0], "with "+c.says, "undeclared key", "locks with "+c.says, "remedy: "+c.says+" needs scripts")
			if found := check(t, viaGoRedis.Locker(t, addrs, patient)); len(found) > 0 {
				t.Errorf("without it: %v", found)
			}
		})
	}
}

func TestCheckFindsThatMessagesDoNotArrive(t *testing.T) {
	t.Parallel()
	all := startServers(t, 1, durable)
	addrs := all.filtered(t, scripts("'wake'", "'elsewhere'").made) // it publishes without subscribers
	for _, opts := range [][]redlock.Option{{patient}, {redlock.WithFair(), patient}} {
		wantFound(t, check(t, viaGoRedis.Locker(t, addrs, opts...)), redlock.SeverityWarning, "pubsub", addrs[0], "did not arrive", "retry after their delay")
	}
	addrs = all.filtered(t, refuse("ERR unsupported command 'subscribe'", func(args []string) bool { return strings.EqualFold(args[0], "SUBSCRIBE") }))
	wantFound(t, check(t, viaGoRedis.Locker(t, addrs, patient)), redlock.SeverityWarning, "pubsub", addrs[0], "unsupported command")
}

func TestCheckSeesAnEvenNumberOfNodes(t *testing.T) {
	t.Parallel()
	all := startServers(t, 2, durable)
	for n, want := range map[int]int{1: 0, 2: 1} {
		found, err := viaGoRedis.Locker(t, all[:n].addrs()).Check(within20(t))
		if err != nil {
			t.Fatal(err)
		}
		found = slices.DeleteFunc(found, func(f redlock.Finding) bool { return f.Check != "even" })
		if len(found) != want {
			t.Errorf("%d nodes: %v", n, found)
		}
		for _, f := range found {
			wantTexts(t, f, "note: all nodes: even", fmt.Sprintf("%d nodes tolerate no more failures than %d would", n, n-1))
		}
	}
}
