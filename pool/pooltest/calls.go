package pooltest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/pool"
)

// call sends a command that must be answered.
func call(tb testing.TB, p pool.Pool, args ...any) any {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	reply, err := p.Do(ctx, args...)
	if err != nil {
		tb.Fatalf("%v: %v", args, err)
	}
	return reply
}

// echo sends a text that the server sends back, and returns an error if it does not come
// back. It may be called from any goroutine.
func echo(p pool.Pool, text string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return echoWith(ctx, p, text)
}

func echoWith(ctx context.Context, p pool.Pool, text string) error {
	reply, err := p.Do(ctx, "ECHO", text)
	if err != nil {
		return fmt.Errorf("ECHO %q: %w", text, err)
	}
	if reply != text {
		return fmt.Errorf("ECHO %q was answered with %#v", text, reply)
	}
	return nil
}

// mustEcho fails the test unless an echo succeeds. Afterwards the pool has a connection.
func mustEcho(tb testing.TB, p pool.Pool, text string) {
	tb.Helper()
	if err := echo(p, text); err != nil {
		tb.Fatal(err)
	}
}

// outcome is how a call ended.
type outcome struct {
	reply any
	err   error
	took  time.Duration
}

// overdue sends a command that gets no answer before ctx ends. It fails the test unless the
// call returns soon after the deadline. It does not wait for a call that never returns: that
// ends with the server.
func overdue(tb testing.TB, p pool.Pool, ctx context.Context, args ...any) outcome {
	tb.Helper()
	at, ok := ctx.Deadline()
	if !ok {
		tb.Fatal("the test's own context has no deadline")
	}
	back := make(chan outcome, 1)
	begun := time.Now()
	go func() {
		reply, err := p.Do(ctx, args...)
		back <- outcome{reply, err, time.Since(begun)}
	}()
	select {
	case o := <-back:
		return o
	case <-time.After(time.Until(at) + slack):
		tb.Fatalf("Do has not returned %v after its deadline", slack)
		return outcome{}
	}
}

// tooLate is overdue with a deadline that the call cannot meet.
func tooLate(tb testing.TB, p pool.Pool, args ...any) outcome {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), short)
	defer cancel()
	return overdue(tb, p, ctx, args...)
}

// within fails the test unless all calls return before the limit.
func within(tb testing.TB, limit time.Duration, all *sync.WaitGroup) {
	tb.Helper()
	back := make(chan struct{})
	go func() {
		all.Wait()
		close(back)
	}()
	select {
	case <-back:
	case <-time.After(limit):
		tb.Fatalf("not all calls are back %v after their deadline", slack)
	}
}

// endedBy fails the test unless the call failed with an error of its context.
func (o outcome) endedBy(tb testing.TB, want error) {
	tb.Helper()
	if o.err == nil {
		tb.Fatalf("got the reply %#v, want an error that matches %v", o.reply, want)
	}
	if !errors.Is(o.err, want) {
		tb.Errorf("error %q does not match %q", o.err, want)
	}
	if refusal := pool.Error(""); errors.As(o.err, &refusal) {
		tb.Errorf("error %q matches pool.Error, but the server sent none", o.err)
	}
}

// maybeSent fails the test if the error says that the command was not sent.
func (o outcome) maybeSent(tb testing.TB) {
	tb.Helper()
	if errors.Is(o.err, pool.ErrNotSent) {
		tb.Errorf("the server has the command, but the error %q says that it was not sent", o.err)
	}
}

// neverSent fails the test unless the error says that the command was not sent.
func (o outcome) neverSent(tb testing.TB) {
	tb.Helper()
	if !errors.Is(o.err, pool.ErrNotSent) {
		tb.Errorf("error %v does not say that the command was not sent", o.err)
	}
}

// refusedWith fails the test unless the error is the server's text.
func (o outcome) refusedWith(tb testing.TB, text string) {
	tb.Helper()
	if refusal := pool.Error(""); !errors.As(o.err, &refusal) || string(refusal) != text {
		tb.Fatalf("the server said %q, and the outcome is %#v and error %v", text, o.reply, o.err)
	}
}

// inTime fails the test if the error matches a deadline that was far away.
func (o outcome) inTime(tb testing.TB) {
	tb.Helper()
	if errors.Is(o.err, context.DeadlineExceeded) {
		tb.Errorf("error %q matches %q, and the deadline has not come", o.err, context.DeadlineExceeded)
	}
}

// A scope is a test within a test. What was opened in it can be closed before the test ends.
type scope struct {
	testing.TB
	cleanups []func()
}

func (s *scope) Cleanup(f func()) { s.cleanups = append(s.cleanups, f) }

// end runs the cleanups, the last one first.
func (s *scope) end() {
	for len(s.cleanups) > 0 {
		last := len(s.cleanups) - 1
		f := s.cleanups[last]
		s.cleanups = s.cleanups[:last]
		f()
	}
}
