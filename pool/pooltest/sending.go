package pooltest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/quorumlock/quorumlock/internal/port"
	"github.com/quorumlock/quorumlock/pool"
)

func sentOnce(tb testing.TB, open Opener) {
	s, p := setup(tb, open)
	breaks := map[string]func(*peer){"RESET": (*peer).reset, "HANGUP": (*peer).hangUp}
	for name, end := range breaks {
		s.on(name, func(p *peer, _ []string) { end(p) })
		mustEcho(tb, p, "a connection")
		o := attempt(p, name)
		if o.err == nil {
			tb.Fatalf("%s: got %#v from a server that sent nothing", name, o.reply)
		}
		o.maybeSent(tb)
		o.inTime(tb)
		if n := s.count(name); n != 1 {
			tb.Errorf("%s: the command was sent %d times, want once", name, n)
		}
	}
	mustEcho(tb, p, "after it")
}

func cutReply(tb testing.TB, open Opener) {
	s, p := setup(tb, open)
	for i, part := range []string{"$10\r\nhalf", "$10\r\n", "*2\r\n:1\r\n", "+O", ":1", "-ERR ha", "$2\r\nOK"} {
		name := fmt.Sprintf("CUT%d", i)
		s.on(name, func(p *peer, _ []string) {
			p.reply(raw(part))
			p.hangUp()
		})
		o := attempt(p, name)
		if o.err == nil {
			tb.Fatalf("%q, and then the end, was taken for the reply %#v", part, o.reply)
		}
		if refusal := pool.Error(""); errors.As(o.err, &refusal) {
			tb.Errorf("%q, and then the end, was taken for the error %q", part, string(refusal))
		}
		o.maybeSent(tb)
		if n := s.count(name); n != 1 {
			tb.Errorf("%q: the command was sent %d times, want once", part, n)
		}
	}
	mustEcho(tb, p, "after it")
}

func nonsense(tb testing.TB, open Opener) {
	s, p := setup(tb, open)
	for i, text := range []string{"HTTP/1.1 400 Bad Request\r\n\r\n$2\r\nOK\r\n", "$ten\r\n", "?\r\n"} {
		name := fmt.Sprintf("NONSENSE%d", i)
		s.on(name, func(p *peer, _ []string) { p.reply(raw(text)) })
		o := attempt(p, name)
		if o.err == nil {
			tb.Fatalf("%q was taken for the reply %#v", text, o.reply)
		}
		o.maybeSent(tb)
		mustEcho(tb, p, "after it")
	}
}

func refused(tb testing.TB, open Opener) {
	reserved, err := port.Reserve()
	if err != nil {
		tb.Fatal(err)
	}
	defer reserved.Release()
	p := open(tb, reserved.Addr())
	o := attempt(p, "SET", "key", "value")
	if o.err == nil {
		tb.Fatalf("got %#v from a port without a server", o.reply)
	}
	o.neverSent(tb)
	o.inTime(tb)
	// The same, if the client is still trying at the deadline.
	tooLate(tb, p, "SET", "key", "value").neverSent(tb)
}

func closedAtOnce(tb testing.TB, open Opener) {
	s, p := setup(tb, open)
	for _, name := range []string{"HELLO", "AUTH", "SELECT", "CLIENT"} {
		s.on(name, func(p *peer, _ []string) { p.hangUp() })
	}
	s.on("SET", func(p *peer, _ []string) { p.hangUp() })
	o := attempt(p, "SET", "key", "value")
	if o.err == nil {
		tb.Fatalf("got %#v from a server that sent nothing", o.reply)
	}
	n := s.count("SET")
	if n > 1 {
		tb.Errorf("the command was sent %d times", n)
	}
	if n > 0 {
		o.maybeSent(tb)
	}
}

func comesBack(tb testing.TB, open Opener) {
	s, p := setup(tb, open)
	mustEcho(tb, p, "a connection")
	s.stop()
	for range 3 {
		o := tooLate(tb, p, "ECHO", "frozen")
		if o.err == nil {
			tb.Fatalf("got %#v from a server that is gone", o.reply)
		}
	}
	s.listen()
	eventually(tb, "the server is back, but the pool is not", func() bool {
		return echo(p, "after it") == nil
	})
}
