package pooltest

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// large is more than the buffers of both sockets take.
func large() string { return strings.Repeat("x", 8<<20) }

// submitsToFrozen thaws the server after the shorter deadline. Commands with the longer deadline
// must be answered then. The others must have an outcome.
func submitsToFrozen(tb testing.TB, open Opener) {
	const commands = 300
	d := newSubmitter(tb, open)
	d.s.on("SET", func(p *peer, _ []string) { p.reply(simple("OK")) })
	d.mustEcho("a connection")
	value := large()
	d.s.freeze()
	long, brief := d.context(patience), d.context(short)
	var must, may []*receipt
	d.atOnce(func() {
		must = append(must, d.echoes(long, "before", commands)...)
		must = append(must, d.submit(long, "SET", "key", value, "PX", int64(1000)))
		for i := range commands / 10 {
			may = append(may, d.echoes(brief, fmt.Sprint("behind, no longer, ", i), 5)...)
			must = append(must, d.echoes(long, fmt.Sprint("behind, ", i), 5)...)
		}
	})
	<-brief.Done()
	d.s.thaw()
	for _, r := range must {
		if o := d.outcome(r, patience+slack); o.err != nil {
			tb.Fatalf("%s: %v", r.command, o.err)
		}
	}
	for _, r := range may {
		d.outcome(r, grace)
	}
	d.mustEcho("after it")
	d.drain()
}

// receivesLate freezes a server that has one command, and the others in its socket.
func receivesLate(tb testing.TB, open Opener) {
	d := newSubmitter(tb, open)
	arrived, release := make(chan struct{}), make(chan struct{})
	d.s.on("SLOW", func(p *peer, args []string) {
		close(arrived)
		p.hold(release)
		p.reply(bulk(args[1]))
	})
	d.mustEcho("a connection")
	ctx := d.context(3 * short)
	all := []*receipt{d.submit(ctx, "SLOW", "the first")}
	all = append(all, d.echoes(ctx, "behind it", 10)...)
	select {
	case <-arrived:
	case <-ctx.Done():
		tb.Skip("the machine took longer than the deadline to deliver one command")
	}
	d.s.freeze()
	close(release)
	<-ctx.Done()
	select {
	case <-time.After(2 * short): // the case is about late replies
	case <-d.s.over:
	}
	d.s.thaw()
	for _, r := range all {
		d.answered(r)
	}
}

// notSentLate cannot know whether a pool sends a command while the server is frozen or another
// command is outstanding. But the pool's errors must be true.
func notSentLate(tb testing.TB, open Opener) {
	const commands = 20
	s := startServer(tb)
	s.stop()
	d := submitterTo(tb, open, s)
	ctx := d.context(short)
	d.echoes(ctx, "no server", commands)
	<-ctx.Done()
	s.listen()
	for _, r := range d.receipts {
		d.outcome(r, grace).neverSent(tb)
	}
	d.mustRecover()
	d.drain()

	s = startServer(tb)
	s.freeze()
	d = submitterTo(tb, open, s)
	ctx = d.context(short)
	d.echoes(ctx, "frozen", commands)
	<-ctx.Done()
	s.thaw()
	for _, r := range d.receipts {
		d.outcome(r, grace)
	}
	d.mustRecover()
	d.drain()

	d = newSubmitter(tb, open)
	release := make(chan struct{})
	d.s.on("SLOW", func(p *peer, args []string) {
		p.hold(release)
		p.reply(bulk(args[1]))
	})
	var calling sync.WaitGroup
	calling.Go(func() { _ = attempt(d.p, "SLOW", "the only connection") })
	eventually(tb, "a command does not arrive", func() bool { return d.s.count("SLOW") > 0 })
	ctx = d.context(short)
	d.echoes(ctx, "behind it", commands)
	<-ctx.Done()
	close(release)
	calling.Wait()
	for _, r := range d.receipts {
		d.outcome(r, grace)
	}
	d.mustRecover()
	d.drain()
}

// breaksOutstanding has a server that runs commands without a reply, and breaks the connection
// before it has read the others.
func breaksOutstanding(tb testing.TB, open Opener) {
	const commands, ran = 200, 50
	d := newSubmitter(tb, open)
	for i := range 20 { // since the connection breaks in any state of the pool
		name, end := fmt.Sprint("BREAK", i), []func(*peer){(*peer).reset, (*peer).hangUp}[i%2]
		var mu sync.Mutex // protects n
		n := 0
		d.s.on(name, func(p *peer, args []string) {
			mu.Lock()
			n++
			nth := n
			mu.Unlock()
			switch {
			case nth == ran:
				end(p)
			case nth > ran:
				p.reply(bulk(args[1]))
			}
		})
		d.mustEcho("a connection for " + name)
		ctx := d.context(patience)
		var all []*receipt
		for i := range commands {
			all = append(all, d.submit(ctx, name, fmt.Sprint(i)))
		}
		for _, r := range all {
			d.outcome(r, patience+grace)
		}
		// A receiver may submit again at once, so the pool must not use the broken connection.
		if o := d.outcome(d.submit(d.context(patience), "ECHO", "after "+name), patience); o.err != nil {
			tb.Fatalf("the first command after the outcomes of the broken connection: %v", o.err)
		}
	}
}

// letsGo has two servers, so that their waits overlap.
func letsGo(tb testing.TB, open Opener) {
	before := runtime.NumGoroutine()
	inner := &scope{TB: tb}
	defer inner.end()
	d := newSubmitter(inner, open)
	patient := newSubmitter(inner, open)
	value := large()
	var all []*receipt
	for _, d := range []*submitter{d, patient} {
		d.mustEcho("a connection")
		d.s.freeze()
	}
	// A command with a far deadline must not delay the commands after it.
	ctx := patient.context(3 * short)
	patient.submit(patient.context(4*patience), "ECHO", "takes its time")
	all = append(all, patient.echoes(ctx, "behind one that takes its time", 20)...)
	<-ctx.Done() // a large command keeps the machine busy, and these should be sent
	all = append(all, d.echoes(d.context(short), "frozen", 20)...)
	all = append(all, d.submit(d.context(short), "SET", "key", value, "PX", int64(1000)))
	all = append(all, d.echoes(d.context(short), "behind a large one", 20)...)
	end := time.Now().Add(grace)
	for _, r := range all {
		o := d.outcome(r, time.Until(end))
		if o.err == nil {
			tb.Errorf("%s: got %#v from a frozen server", r.command, o.reply)
		}
	}
	for _, d := range []*submitter{d, patient} {
		d.s.thaw()
		d.mustRecover()
		d.drain()
	}
	inner.end()
	eventually(tb, "goroutines are left", func() bool { return runtime.NumGoroutine() <= before })
}
