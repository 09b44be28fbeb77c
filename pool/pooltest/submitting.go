package pooltest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/pool"
)

func endsAsWithDo(tb testing.TB, open Opener) {
	d := newSubmitter(tb, open)
	ctx := d.context(patience)
	for i, kind := range []any{
		simple("OK"), bulk("text"), bulk(""), integer(42), null{}, nullArray{}, double("3.25"), boolean(true),
		array{bulk("a"), integer(1), null{}, failure("ERR in the middle"), array{}},
		failure("NOSCRIPT No matching script. Please use EVAL."),
		failure("WRONGTYPE Operation against a key holding the wrong kind of value"),
	} {
		name := fmt.Sprint("KIND", i)
		d.s.on(name, func(p *peer, _ []string) { p.reply(kind) })
		o := d.outcome(d.submit(ctx, name, "submitted", int64(i)), patience)
		o.like(tb, fmt.Sprintf("%T", kind), attempt(d.p, name, "called", int64(i)))
	}
	d.outcome(d.submit(ctx), patience).like(tb, "an empty command", attempt(d.p))
	d.mustEcho("after all of them")
	// Some pools close the connection after this reply, but the receiver gets the reply.
	const text = "READONLY You can't write against a read only replica."
	d.s.on("DEMOTED", func(p *peer, _ []string) { p.reply(failure(text)) })
	d.outcome(d.submit(ctx, "DEMOTED"), patience).like(tb, text, outcome{err: pool.Error(text)})
	d.mustRecover()

	s := startServer(tb)
	s.stop()
	d = submitterTo(tb, open, s)
	d.outcome(d.submit(d.context(patience), "SET", "key", "value"), patience).neverSent(tb)
}

// like fails the test unless both outcomes mean the same to the lock.
func (o outcome) like(tb testing.TB, what string, want outcome) {
	tb.Helper()
	var text, wanted pool.Error
	errors.As(o.err, &text)
	errors.As(want.err, &wanted)
	if !reflect.DeepEqual(o.reply, want.reply) || (o.err == nil) != (want.err == nil) || text != wanted ||
		errors.Is(o.err, pool.ErrNotSent) != errors.Is(want.err, pool.ErrNotSent) {
		tb.Errorf("%s: got %#v and error %v, want %#v and error %v", what, o.reply, o.err, want.reply, want.err)
	}
}

// holding submits commands while it holds a mutex that their receivers need, and returns the
// outcomes.
func (d *submitter) holding(ctx context.Context, text string) []outcome {
	d.tb.Helper()
	const commands = 8
	var lock sync.Mutex
	lock.Lock()
	back := make(chan []*receipt, 1)
	go func() {
		all := make([]*receipt, commands)
		for i := range all {
			all[i] = d.submitHolding(ctx, &lock, "ECHO", fmt.Sprintf("%s, %d", text, i))
			if i == 0 { // so that its reply comes while the others are submitted
				<-time.After(short / 10)
			}
		}
		back <- all
	}()
	var all []*receipt
	select {
	case all = <-back:
		lock.Unlock()
	case <-time.After(slack):
		lock.Unlock() // so that the call ends
		d.tb.Fatalf("%s: Submit calls the receiver, or waits for it", text)
	}
	outcomes := make([]outcome, commands)
	for i, r := range all {
		outcomes[i] = d.outcome(r, patience)
	}
	return outcomes
}

func holdingALock(tb testing.TB, open Opener) {
	d := newSubmitter(tb, open)
	ctx := d.context(patience)
	for _, state := range []string{"a new connection", "a connection"} {
		for _, o := range d.holding(ctx, state) {
			if o.err != nil {
				tb.Errorf("%s: %v", state, o.err)
			}
		}
	}
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	for text, over := range map[string]context.Context{
		"cancelled":      cancelled,
		"past":           d.context(-time.Second),
		"past very soon": d.context(time.Nanosecond),
	} {
		for _, o := range d.holding(over, text) {
			<-over.Done()
			o.endedBy(tb, over.Err())
			o.neverSent(tb)
		}
	}
	d.mustEcho("after the ended contexts")
	for i := range 10 {
		end := []func(*peer){(*peer).reset, (*peer).hangUp}[i%2]
		for _, p := range d.s.peers() {
			end(p)
		}
		d.holding(ctx, fmt.Sprint("a connection that just broke, ", i))
		d.mustRecover()
	}
	d.inner.end()
	d.holding(ctx, "a pool that was closed")

	s := startServer(tb)
	s.stop()
	d = submitterTo(tb, open, s)
	for _, text := range []string{"no server", "no server, and that is known"} {
		for _, o := range d.holding(d.context(patience), text) {
			o.neverSent(tb)
		}
	}
}

// inOrder has a server that is slow at times, so that a command on another connection would
// overtake.
func inOrder(tb testing.TB, open Opener) {
	const goroutines, commands = 4, 150
	d := newSubmitter(tb, open)
	var mu sync.Mutex // protects ran
	var ran [goroutines][]int
	d.s.on("NOTE", func(p *peer, args []string) {
		var i, g int
		_, _ = fmt.Sscanf(args[1], "%d of %d", &i, &g)
		if i%50 == 0 {
			time.Sleep(short / 20) // a command on another connection overtakes now
		}
		mu.Lock()
		ran[g] = append(ran[g], i)
		mu.Unlock()
		p.reply(bulk(args[1]))
	})
	ctx := d.context(patience)
	var all sync.WaitGroup
	for g := range goroutines {
		all.Go(func() {
			for i := range commands {
				d.submit(ctx, "NOTE", fmt.Sprintf("%d of %d", i, g))
			}
		})
	}
	all.Wait()
	for _, r := range d.receipts {
		d.answered(r)
	}
	mu.Lock()
	defer mu.Unlock()
	for g, order := range ran {
		for i, got := range order {
			if got != i {
				tb.Errorf("goroutine %d: the server ran %v", g, order)
				break
			}
		}
	}
}

func submittedConcurrently(tb testing.TB, open Opener) {
	const goroutines, calls = 64, 30
	d := newSubmitter(tb, open)
	ctx := d.context(patience)
	var all sync.WaitGroup
	for g := range goroutines {
		all.Go(func() {
			for i := range calls {
				d.submit(ctx, "ECHO", fmt.Sprintf("%d of %d", i, g))
				if i%5 > 0 {
					continue
				}
				if err := echo(d.p, fmt.Sprintf("called, %d of %d", i, g)); err != nil {
					tb.Error(err)
				}
			}
		})
	}
	all.Wait()
	for _, r := range d.receipts {
		d.answered(r)
	}
}
