package pooltest

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/quorumlock/quorumlock/pool"
)

func concurrently(tb testing.TB, open Opener) {
	const goroutines, calls = 64, 30
	_, p := setup(tb, open)
	var all sync.WaitGroup
	for g := range goroutines {
		all.Go(func() {
			for i := range calls {
				if err := echo(p, fmt.Sprintf("%d of %d", i, g)); err != nil {
					tb.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}

func named(tb testing.TB, open Opener) {
	s, p := setup(tb, open)
	name := p.String()
	if name == "" || strings.ContainsAny(name, "\r\n") || len(name) > 256 {
		tb.Errorf("the name is %q", name)
	}
	mustEcho(tb, p, "a connection")
	texts := []string{name}
	fail := func(o outcome) {
		if o.err != nil {
			texts = append(texts, o.err.Error())
		}
	}
	fail(attempt(p, "NOSUCH"))
	s.stop()
	fail(attempt(p, "ECHO", "frozen"))
	if again := p.String(); again != name {
		tb.Errorf("the name was %q and is now %q", name, again)
	}
	for _, secret := range s.passwords() {
		for _, text := range texts {
			if secret != "" && strings.Contains(text, secret) {
				tb.Errorf("%q shows the password %q", text, secret)
			}
		}
	}
}

// leavesNothing counts the goroutines of the process, so it also waits for other goroutines that
// are ending.
func leavesNothing(tb testing.TB, open Opener) {
	before := runtime.NumGoroutine()
	inner := &scope{TB: tb}
	defer inner.end()
	s := startServer(inner)
	p := open(inner, s.addr)
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			if err := echo(p, "all is well"); err != nil {
				tb.Error(err)
			}
		})
	}
	all.Wait()
	s.freeze()
	abandon(tb, p)
	inner.end()
	eventually(tb, "goroutines are left", func() bool { return runtime.NumGoroutine() <= before })
}

// abandon makes calls that end by their deadlines and by cancellation, with small and large
// commands.
func abandon(tb testing.TB, p pool.Pool) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), short)
	defer cancel()
	cancelled, cancelNow := context.WithTimeout(context.Background(), 2*short)
	defer cancelNow()
	large := strings.Repeat("x", 16<<20)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() { _, _ = p.Do(ctx, "ECHO", "frozen") })
		all.Go(func() { _, _ = p.Do(cancelled, "ECHO", "frozen") })
	}
	all.Go(func() { _, _ = p.Do(ctx, "ECHO", large) })
	<-ctx.Done()
	cancelNow()
	within(tb, short+slack, &all)
}
