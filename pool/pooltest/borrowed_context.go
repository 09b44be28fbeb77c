package pooltest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"
)

// notUsedLater submits commands that end in all ways. Then it ends the contexts and waits, so that a
// pool that still has a context uses it.
func notUsedLater(tb testing.TB, open Opener) {
	d := newSubmitter(tb, open)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	d.mustEcho("a connection")
	d.s.on("BREAK", func(p *peer, _ []string) { p.hangUp() })
	var all []*receipt
	tell := func(more ...*receipt) {
		for _, r := range more {
			d.outcome(r, patience)
		}
		all = append(all, more...)
	}
	tell(d.echoes(ctx, "answered", 20)...)
	tell(append(d.echoes(ctx, "before it breaks", 5), d.submit(ctx, "BREAK", "the connection"))...)
	d.mustRecover()
	ended, end := context.WithCancel(context.Background())
	end()
	tell(d.echoes(ended, "ended before", 5)...)
	cancel()
	brief := d.context(short)
	d.s.freeze()
	late := append(d.echoes(brief, "late", 5), d.submit(brief, "SET", "key", large(), "PX", int64(1000)))
	late = append(late, d.echoes(brief, "behind a large one", 5)...)
	<-brief.Done()
	d.s.thaw()
	tell(late...)
	d.mustRecover()
	select {
	case <-time.After(short): // the case is about use after the outcome
	case <-d.s.over:
	}
	for _, r := range all {
		if use := r.ctx.misused(); use != "" {
			tb.Fatalf("%s: %s", r.command, use)
		}
	}
}

// A borrowed context must not be used after its receiver was called. It is not a type of package
// context, like the context of the lock: a context derived from it watches it with a goroutine.
type borrowed struct {
	inner context.Context
	done  chan struct{} // closed when inner ends

	mu   sync.Mutex // protects the rest
	over bool       // the receiver was called
	use  string     // the first use after that
}

func borrow(inner context.Context) *borrowed {
	l := &borrowed{inner: inner, done: make(chan struct{})}
	context.AfterFunc(inner, func() { close(l.done) })
	return l
}

func (l *borrowed) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
}

func (l *borrowed) note(method string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over && l.use == "" {
		l.use = fmt.Sprintf("%s of its context was called after the receiver", method)
	}
}

// misused describes the first use after the end, or returns "".
func (l *borrowed) misused() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.use
}

func (l *borrowed) Deadline() (time.Time, bool) {
	l.note("Deadline")
	return l.inner.Deadline()
}

func (l *borrowed) Done() <-chan struct{} {
	l.note("Done")
	return l.done
}

func (l *borrowed) Err() error {
	l.note("Err")
	return l.inner.Err()
}

func (l *borrowed) Value(key any) any {
	l.note("Value")
	return l.inner.Value(key)
}
