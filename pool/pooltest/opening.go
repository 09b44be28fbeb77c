package pooltest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/pool"
)

// greetings are the commands of a client that connects.
var greetings = []string{"HELLO", "AUTH", "SELECT", "CLIENT"}

// opensSlowly has a server that answers each command of a greeting later than any call
// waits. A client that does not greet has nothing to wait for.
func opensSlowly(tb testing.TB, open Opener) {
	s, p := setup(tb, open)
	for _, name := range greetings {
		s.on(name, func(p *peer, args []string) {
			select {
			case <-time.After(2 * short): // the case is about a server that takes its time
			case <-s.over:
			}
			greet(p, args)
		})
	}
	calls := 0
	eventually(tb, "no call ever got a connection: each opening ends with the call that began it", func() bool {
		text := fmt.Sprint("call ", calls)
		calls++
		ctx, cancel := context.WithTimeout(context.Background(), short)
		defer cancel()
		o := overdue(tb, p, ctx, "ECHO", text)
		if o.err == nil {
			return true
		}
		o.endedBy(tb, context.DeadlineExceeded)
		if s.count("ECHO "+text) > 0 {
			o.maybeSent(tb)
		}
		return false
	})
}

// greetingRefused is over at once for a client without a password.
func greetingRefused(tb testing.TB, open Opener) {
	const text = "WRONGPASS invalid username-password pair or user is disabled."
	s, p := setup(tb, open)
	wrong := func(p *peer, args []string) {
		if slices.ContainsFunc(args, func(arg string) bool { return strings.EqualFold(arg, "AUTH") }) {
			p.reply(failure(text))
			return
		}
		greet(p, args)
	}
	s.on("AUTH", wrong)
	s.on("HELLO", wrong)
	o := attempt(p, "ECHO", "text")
	if s.count("AUTH") == 0 && o.err == nil {
		tb.Skip("the client has no password")
	}
	o.neverSent(tb)
	if refusal := pool.Error(""); !errors.As(o.err, &refusal) || string(refusal) != text {
		tb.Errorf("the server said %q and Do %v", text, o.err)
	}
	if n := s.count("ECHO"); n > 0 {
		tb.Errorf("the command was sent %d times", n)
	}
}
