package node

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/quorumlock/quorumlock/pool"
)

// An echo is how a server repeats arguments: %s stands for one.
type echo struct {
	text  string
	keeps string // what is to be left to read
	end   end
}

var echoes = []echo{
	{"ERR unknown command 'AUTH', with args beginning with: '%s' '%s' ", "ERR unknown command 'AUTH'", untilFixed},
	{"ERR unknown command `HELLO`, with args beginning with: `3`, `AUTH`, `%s`, `%s`, ", "ERR unknown command `HELLO`", untilFixed},
	{"ERR unknown command 'EVALSHA', with args beginning with: %s %s", "unknown command 'EVALSHA'", untilFixed},
	{"ERR unknown command `EVALSHA` %s", "unknown command `EVALSHA`", untilFixed},
	{"ERR unknown command AUTH %s %s", "unknown command AUTH", untilFixed},
	{"ERR unknown command: AUTH %s", "unknown command: AUTH", untilFixed},
	{"ERR unknown or unsupported command 'AUTH' '%s'", "command 'AUTH'", untilFixed},
	{"ERR unsupported command `AUTH` `%s`", "unsupported command `AUTH`", untilFixed},
	{"ERR unsupported command, with arguments beginning with: %s", "unsupported command", untilFixed},
	{"ERR backend said: ERR unknown command 'AUTH', with args beginning with: '%s' ", "backend said: ERR unknown command 'AUTH'", untilFixed},
	{"ERR unknown subcommand or wrong number of arguments for '%s'. Try ACL HELP.", "wrong number of arguments", lasts},
	{"ERR Unknown subcommand or wrong number of arguments for '%s'. Try CLIENT HELP.", "Unknown subcommand", lasts},
	{"ERR unknown subcommand '%s'. Try CLIENT HELP.", "ERR unknown subcommand", lasts},
	{"ERR Syntax error in HELLO option '%s'", "ERR Syntax error in HELLO option", lasts},
	{"ERR Unrecognized option or bad number of args for: '%s'", "ERR Unrecognized option", lasts},
	{"ERR Error in ACL SETUSER modifier '%s': Syntax error", "ACL SETUSER modifier", lasts},
	{"NOPERM User app has no permissions to access the '%s' key", "NOPERM User app has no permissions to access", untilFixed},
	{"NOPERM User app has no permissions to access the '%s' channel", "NOPERM User app", untilFixed},
	{"ERR Error running script (call to f_1): @user_script:1: user_script:1: bad argument \"%s\" to 'call'", "ERR Error running script (call to f_1)", lasts},
	{"ERR upstream \"%s\" said: READONLY You can't write against a read only replica.", "READONLY You can't write", passes},
	{"ERR command '%s' not support for your account", "not support for your account", lasts},
}

// fill inserts an argument everywhere it belongs.
func (e echo) fill(argument string) string { return strings.ReplaceAll(e.text, "%s", argument) }

// wrappings are errors that clients and adapters make of a reply.
var wrappings = []func(reply pool.Error) error{
	func(e pool.Error) error { return e },
	func(e pool.Error) error { return fmt.Errorf("%w: %w", pool.ErrNotSent, e) },
	func(e pool.Error) error {
		return fmt.Errorf("dial: %w (%q)", errors.Join(context.DeadlineExceeded, e), e)
	},
	func(e pool.Error) error { return fmt.Errorf("%w: %w", own{e}, pool.ErrNotSent) },
}

// own is an error with an As method.
type own struct{ reply pool.Error }

func (o own) Error() string { return "own: " + string(o.reply) }
func (o own) As(target any) bool {
	e, ok := target.(*pool.Error)
	if ok {
		*e = o.reply
	}
	return ok
}

func wantNothingOf(t *testing.T, secret string, err error) {
	t.Helper()
	var e pool.Error
	errors.As(err, &e)
	for _, text := range []string{err.Error(), fmt.Sprintf("%+v", err), string(e)} {
		if strings.Contains(text, secret) {
			t.Errorf("it says %q", text)
		}
	}
}

func TestNothingThatAServerEchoesOfArgumentsIsInAnError(t *testing.T) {
	const secret = "s3cR3t"
	for _, e := range echoes {
		reply := pool.Error(e.fill(secret))
		for i, wrap := range wrappings {
			before := wrap(reply)
			after := redact(before)
			wantNothingOf(t, secret, after)
			if !strings.Contains(after.Error(), e.keeps) {
				t.Errorf("of %q only %q is left", reply, after)
			}
			if got := causeOf(after).end; got != e.end {
				t.Errorf("%q counts as %d, want %d", after, got, e.end)
			}
			for _, s := range sentinels {
				if errors.Is(after, s) != errors.Is(before, s) {
					t.Errorf("wrapping %d of %q: %v: %v", i, reply, s, !errors.Is(before, s))
				}
			}
		}
	}
}

func TestAnErrorWithoutAnEchoIsLeftAsItIs(t *testing.T) {
	for _, text := range []string{
		"NOSCRIPT No matching script. Please use EVAL.",
		"NOPERM this user has no permissions to run the 'evalsha' command",
		"ERR wrong number of arguments for 'set' command",
		"ERR wrong number of arguments for 'client|setinfo' command",
		"ERR The user executing the script can't run this command or subcommand script: 93d6, on @user_script:3.",
		"ERR Unknown Redis command called from script script: 5b6f, on @user_script:1.",
		"ERR Unknown command called from script script: on @user_script:1.",
		"OOM command not allowed when used memory > 'maxmemory'.",
		"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
		"ERR Could not find scripting engine 'lua'",
		"ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?",
		"ERR unknown command 'FOO.BAR'",
	} {
		err := fmt.Errorf("wrapped: %w", pool.Error(text))
		if got := redact(err); got != err {
			t.Errorf("%q becomes %q", text, got)
		}
	}
	for _, err := range []error{nil, noAnswer{}, errors.New(`dial tcp: lookup "r1": no such host`)} {
		if got := redact(err); got != err {
			t.Errorf("%v becomes %v", err, got)
		}
	}
}

func TestALongErrorReplyIsCutBetweenCharacters(t *testing.T) {
	got := redact(pool.Error("DENIED " + strings.Repeat("é", maxText))).Error()
	if len(got) > maxText+len(cutOff) || strings.ToValidUTF8(got, "?") != got || !strings.HasPrefix(got, "DENIED é") {
		t.Errorf("%q", got)
	}
}

// Whatever stands around a secret in an argument, it is not shown.
func FuzzEchoedArguments(f *testing.F) {
	for i := range echoes {
		for _, around := range []string{"", "'", "\"", "`", " ", "set' ", "' 'set", "' command '", ".", "'. ", "unknown command 'x", "rl1:00ff:", "\n", "é", "%s", "called ", "or ", "x args beginning with: "} {
			f.Add(byte(i), byte(i), around, around)
		}
	}
	f.Fuzz(func(t *testing.T, which, how byte, before, after string) {
		const secret = "s3cR3t"
		e := echoes[int(which)%len(echoes)]
		if strings.Contains(before+after, secret) || strings.Contains(e.text, before+secret) {
			t.Skip("twice")
		}
		err := redact(wrappings[int(how)%len(wrappings)](pool.Error(e.fill(before + secret + after))))
		wantNothingOf(t, secret, err)
	})
}
