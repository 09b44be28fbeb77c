package pooltest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

func endedBefore(tb testing.TB, open Opener) {
	s, p := setup(tb, open)
	mustEcho(tb, p, "a connection")
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	past, cancel := context.WithDeadline(context.Background(), time.Now().Add(-time.Second))
	defer cancel()
	nearlyPast, cancel := context.WithTimeout(context.Background(), time.Nanosecond)
	defer cancel()
	for _, ctx := range []context.Context{cancelled, past, nearlyPast} {
		reply, err := p.Do(ctx, "SET", "key", "no caller")
		o := outcome{reply: reply, err: err}
		<-ctx.Done()
		o.endedBy(tb, ctx.Err())
		o.neverSent(tb)
	}
	mustEcho(tb, p, "after it")
	if n := s.count("SET"); n > 0 {
		tb.Errorf("the server got %d commands whose contexts had ended before", n)
	}
}

func cancelledDuring(tb testing.TB, open Opener) {
	s, p := setup(tb, open)
	arrived := make(chan struct{})
	s.on("WAIT", func(p *peer, _ []string) {
		close(arrived)
		p.hold(nil)
	})
	// Connect first, so that the deadline is for the command only.
	mustEcho(tb, p, "a connection")
	ctx, cancel := context.WithTimeout(context.Background(), 3*short)
	defer cancel()
	go func() {
		select {
		case <-arrived:
			cancel()
		case <-s.over:
		}
	}()
	o := overdue(tb, p, ctx, "WAIT")
	if !errors.Is(ctx.Err(), context.Canceled) {
		tb.Skip("the machine took longer than the deadline to deliver one command")
	}
	o.endedBy(tb, context.Canceled)
	o.maybeSent(tb)
	mustEcho(tb, p, "after it")
}

func cancelledAfter(tb testing.TB, open Opener) {
	_, p := setup(tb, open)
	for i := range 20 {
		mustEcho(tb, p, fmt.Sprint(i))
	}
}

func anyDeadline(tb testing.TB, open Opener) {
	_, p := setup(tb, open)
	mustEcho(tb, p, "a connection")
	for timeout := time.Second; timeout < 48*time.Hour; timeout += timeout / 3 {
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		err := echoWith(ctx, p, timeout.String())
		cancel()
		if err != nil {
			tb.Fatal(err)
		}
	}
}

func slowButInTime(tb testing.TB, open Opener) {
	s, p := setup(tb, open)
	s.on("SLOW", func(p *peer, _ []string) {
		time.Sleep(short) // the case is about a slow server
		p.reply(simple("DONE"))
	})
	if reply := call(tb, p, "SLOW"); reply != "DONE" {
		tb.Errorf("got %#v, want DONE", reply)
	}
}

func withoutDeadline(tb testing.TB, open Opener) {
	_, p := setup(tb, open)
	cancellable, cancel := context.WithCancel(context.Background())
	defer cancel()
	for _, ctx := range []context.Context{context.Background(), cancellable} {
		if err := echoWith(ctx, p, "text"); err != nil {
			tb.Errorf("%v: %v", ctx, err)
		}
	}
}
