package pooltest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"
)

// givesBack submits commands that end in all ways, and gives whoever still has a
// context the time to use it, and the occasion: it ends.
func givesBack(tb testing.TB, open Opener) {
	d := submitting(tb, open)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	d.mustEcho("a connection")
	d.s.on("BREAK", func(p *peer, _ []string) { p.hangUp() })
	var all []*receipt
	tell := func(more ...*receipt) {
		for _, r := range more {
			d.told(r, patience)
		}
		all = append(all, more...)
	}
	tell(d.echoes(ctx, "answered", 20)...)
	tell(append(d.echoes(ctx, "before it breaks", 5), d.submit(ctx, "BREAK", "the connection"))...)
	d.mustEchoAgain()
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
	d.mustEchoAgain()
	select {
	case <-time.After(short): // the case is about what comes after all is over
	case <-d.s.over:
	}
	for _, r := range all {
		if use := r.ctx.misused(); use != "" {
			tb.Fatalf("%s: %s", r.command, use)
		}
	}
}

// A lent context is one that is taken back when the receiver is told. It is of no
// package's kind, as that of the lock: what is derived from it watches it from outside.
type lent struct {
	inner context.Context
	done  chan struct{} // closed when inner ends

	mu   sync.Mutex // protects the rest
	back bool
	use  string // the first one after that
}

func lend(inner context.Context) *lent {
	l := &lent{inner: inner, done: make(chan struct{})}
	context.AfterFunc(inner, func() { close(l.done) })
	return l
}

func (l *lent) takeBack() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.back = true
}

func (l *lent) note(method string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.back && l.use == "" {
		l.use = fmt.Sprintf("%s of its context was called after the receiver was told", method)
	}
}

// misused says how it was used when that was over, or "".
func (l *lent) misused() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.use
}

func (l *lent) Deadline() (time.Time, bool) {
	l.note("Deadline")
	return l.inner.Deadline()
}

func (l *lent) Done() <-chan struct{} {
	l.note("Done")
	return l.done
}

func (l *lent) Err() error {
	l.note("Err")
	return l.inner.Err()
}

func (l *lent) Value(key any) any {
	l.note("Value")
	return l.inner.Value(key)
}
