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

// submitsToFrozen thaws the server after the shorter deadline. What may wait for
// longer is answered then, and of the rest it is enough to know what became of it.
func submitsToFrozen(tb testing.TB, open Opener) {
	const commands = 300
	d := submitting(tb, open)
	d.s.on("SET", func(p *peer, _ []string) { p.reply(simple("OK")) })
	d.mustEcho("a connection")
	value := large()
	d.s.freeze()
	long, brief := d.context(patience), d.context(short)
	var must, may []*receipt
	d.promptly(func() {
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
		if o := d.told(r, patience+slack); o.err != nil {
			tb.Fatalf("%s: %v", r.command, o.err)
		}
	}
	for _, r := range may {
		d.told(r, grace)
	}
	d.mustEcho("after it")
	d.drain()
}

// receivesLate freezes a server that has one command, and the others in its socket.
func receivesLate(tb testing.TB, open Opener) {
	d := submitting(tb, open)
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
	case <-time.After(2 * short): // the case is about what comes late
	case <-d.s.over:
	}
	d.s.thaw()
	for _, r := range all {
		d.answered(r)
	}
}

// notSentLate cannot know whether a pool has room for a command while the server
// is frozen or another command is under way. But whatever it says must be true.
func notSentLate(tb testing.TB, open Opener) {
	const commands = 20
	s := startServer(tb)
	s.stop()
	d := submittingTo(tb, open, s)
	ctx := d.context(short)
	d.echoes(ctx, "nobody listens", commands)
	<-ctx.Done()
	s.listen()
	for _, r := range d.receipts {
		d.told(r, grace).neverSent(tb)
	}
	d.mustEchoAgain()
	d.drain()

	s = startServer(tb)
	s.freeze()
	d = submittingTo(tb, open, s)
	ctx = d.context(short)
	d.echoes(ctx, "nobody is there", commands)
	<-ctx.Done()
	s.thaw()
	for _, r := range d.receipts {
		d.told(r, grace)
	}
	d.mustEchoAgain()
	d.drain()

	d = submitting(tb, open)
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
		d.told(r, grace)
	}
	d.mustEchoAgain()
	d.drain()
}

// breaksOutstanding has a server that runs commands without a reply, and then breaks
// the connection before it has read the others.
func breaksOutstanding(tb testing.TB, open Opener) {
	const commands, ran = 200, 50
	d := submitting(tb, open)
	for i := range 20 { // since it breaks at any time of the pool's
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
			d.told(r, patience+grace)
		}
		// Who is told may submit again at once: by then the pool knows it, too.
		if o := d.told(d.submit(d.context(patience), "ECHO", "after "+name), patience); o.err != nil {
			tb.Fatalf("the first command after the receivers were told that the connection broke: %v", o.err)
		}
	}
}

// letsGo has two servers, so that it waits once.
func letsGo(tb testing.TB, open Opener) {
	before := runtime.NumGoroutine()
	inner := &scope{TB: tb}
	defer inner.end()
	d := submitting(inner, open)
	patient := submitting(inner, open)
	value := large()
	var all []*receipt
	for _, d := range []*desk{d, patient} {
		d.mustEcho("a connection")
		d.s.freeze()
	}
	// A deadline that is far away must not hold up the commands behind it.
	ctx := patient.context(3 * short)
	patient.submit(patient.context(4*patience), "ECHO", "takes its time")
	all = append(all, patient.echoes(ctx, "behind one that takes its time", 20)...)
	<-ctx.Done() // a large command keeps the machine busy, and these should be sent
	all = append(all, d.echoes(d.context(short), "nobody is there", 20)...)
	all = append(all, d.submit(d.context(short), "SET", "key", value, "PX", int64(1000)))
	all = append(all, d.echoes(d.context(short), "behind a large one", 20)...)
	end := time.Now().Add(grace)
	for _, r := range all {
		o := d.told(r, time.Until(end))
		if o.err == nil {
			tb.Errorf("%s: got %#v from a frozen server", r.command, o.reply)
		}
	}
	for _, d := range []*desk{d, patient} {
		d.s.thaw()
		d.mustEchoAgain()
		d.drain()
	}
	inner.end()
	eventually(tb, "goroutines are left", func() bool { return runtime.NumGoroutine() <= before })
}
