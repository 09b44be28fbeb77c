package pooltest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// greetings are the commands of a client that connects.
var greetings = []string{"HELLO", "AUTH", "SELECT", "CLIENT"}

// opensSlowly has a server that answers each command of a greeting after the deadline of any
// call. A client without a greeting passes at once.
func opensSlowly(tb testing.TB, open Opener) {
	s, p := setup(tb, open)
	for _, name := range greetings {
		s.on(name, func(p *peer, args []string) {
			select {
			case <-time.After(2 * short): // the case is about a slow greeting
			case <-s.over:
			}
			greet(p, args)
		})
	}
	calls := 0
	eventually(tb, "no call ever got a connection: each opening ends with its call", func() bool {
		text := fmt.Sprint("call ", calls)
		calls++
		o := tooLate(tb, p, "ECHO", text)
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

// greetingRefused is skipped for a client without a password.
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
	o.refusedWith(tb, text)
	if n := s.count("ECHO"); n > 0 {
		tb.Errorf("the command was sent %d times", n)
	}
}
