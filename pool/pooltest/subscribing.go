package pooltest

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/pool"
)

// silence is longer than a short read timeout.
const silence = 700 * time.Millisecond

func messages(tb testing.TB, open Opener) {
	s, p := setup(tb, open)
	l := subscribe(tb, p)
	texts := []string{"", "text", "line\r\nline\r\n", "\x00\xff$5\r\n", "", strings.Repeat("x", 100_000), "$-1", "-ERR", "last"}
	s.on("SUBSCRIBE", func(p *peer, args []string) { p.subscribe(args[1:], texts...) })
	l.sendJoin("{my key}:\r\n\x00")
	l.want(pool.Joined, "{my key}:\r\n\x00", "")
	for _, text := range texts {
		l.want(pool.Message, "{my key}:\r\n\x00", text)
	}
	for i := range 100 {
		s.publish("{my key}:\r\n\x00", fmt.Sprint(i))
		s.publish("{my key}", "for others")
	}
	for i := range 100 {
		l.want(pool.Message, "{my key}:\r\n\x00", fmt.Sprint(i))
	}
	l.end()
}

func manyChannels(tb testing.TB, open Opener) {
	const channels = 50
	s, p := setup(tb, open)
	l := subscribe(tb, p)
	name := func(i int) string { return fmt.Sprintf("channel %d", i) }
	for i := range channels {
		l.join(name(i))
	}
	for i := range channels {
		s.publish(name(i), fmt.Sprint(i))
	}
	for i := range channels {
		l.want(pool.Message, name(i), fmt.Sprint(i))
	}
	if n := len(s.subscribers()); n != 1 {
		tb.Errorf("one subscription has %d connections", n)
	}
	l.end()
}

func leaving(tb testing.TB, open Opener) {
	s, p := setup(tb, open)
	l := subscribe(tb, p)
	l.join("left")
	l.join("kept")
	for range 2 {
		l.leave("left")
		eventually(tb, "a channel still has a subscriber after Leave", func() bool { return s.publish("left", "no subscriber") == 0 })
		s.publish("left", "no subscriber")
		s.publish("kept", "message")
		for { // messages from before the Leave are allowed
			e := l.next()
			if e == (pool.Event{Kind: pool.Message, Channel: "kept", Message: "message"}) {
				break
			}
			if e != (pool.Event{Kind: pool.Message, Channel: "left", Message: "no subscriber"}) {
				tb.Fatalf("received %q", show(e))
			}
		}
		l.join("left")
		s.publish("left", "received again")
		l.want(pool.Message, "left", "received again")
	}
	l.end()
}

func silent(tb testing.TB, open Opener) {
	s, p := setup(tb, open)
	l := subscribe(tb, p)
	l.join("channel")
	for range 2 { // a timeout may come after the second silence only
		select {
		case <-l.broken:
			tb.Fatalf("Receive, after silence: %v", l.err)
		case <-time.After(silence):
		}
		for len(l.events) > 0 {
			<-l.events
		}
		l.ask(l.s.Ping)
		if e := l.any(); e.Kind != pool.Other {
			tb.Errorf("the answer to a ping is the event %q", show(e))
		}
	}
	s.publish("channel", "message")
	l.want(pool.Message, "channel", "message")
	l.end()
}

func joinWhileReceiving(tb testing.TB, open Opener) {
	s, p := setup(tb, open)
	l := subscribe(tb, p)
	const messages = 200
	l.join("channel")
	var publishing sync.WaitGroup
	publishing.Go(func() {
		for i := range messages {
			s.publish("channel", fmt.Sprint(i))
		}
	})
	defer publishing.Wait()
	for i := range messages {
		l.sendJoin(fmt.Sprint("other ", i))
		l.ask(l.s.Ping)
		l.leave(fmt.Sprint("other ", i))
	}
	for heard, joined := 0, 0; heard < messages || joined < messages; {
		e := l.next()
		switch {
		case e == pool.Event{Kind: pool.Joined, Channel: fmt.Sprint("other ", joined)}:
			joined++
		case e == pool.Event{Kind: pool.Message, Channel: "channel", Message: fmt.Sprint(heard)}:
			heard++
		default:
			tb.Fatalf("received %q after %d messages and %d joins", show(e), heard, joined)
		}
	}
	// Now while no messages come: until here Receive never waited long.
	for i := range 10 {
		select {
		case <-l.broken:
			tb.Fatalf("Receive: %v", l.err)
		case <-time.After(short / 10):
		}
		l.join(fmt.Sprint("in silence ", i))
	}
	l.end()
}

func commandsMeanwhile(tb testing.TB, open Opener) {
	s, p := setup(tb, open)
	mustEcho(tb, p, "a connection")
	l := subscribe(tb, p)
	l.join("channel")
	var all sync.WaitGroup
	for g := range 16 {
		all.Go(func() {
			for i := range 10 {
				if err := echo(p, fmt.Sprintf("%d of %d", i, g)); err != nil {
					tb.Error(err)
					return
				}
			}
		})
	}
	within(tb, patience+slack, &all)
	s.publish("channel", "message")
	l.want(pool.Message, "channel", "message")
	l.end()
	mustEcho(tb, p, "after it")
}
