package main

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"
)

// A theatre is what a run needs: servers, links and workers.
type theatre struct {
	stage   stage
	leave   func() // closes stage.quit, once
	history History
	going   map[int]*going // tries that are not over, by client
	asking  map[int]Use    // writes of values that are not over, by client
	killed  int            // leaders, while they led
	enough  func()         // ends the faults soon: as many are killed as the run wants
}

// perform does a run with these faults and returns what was seen, not yet checked. It
// leaves nothing running. When ctx ends the faults end, and the rest goes on.
func perform(ctx context.Context, run Run, faults []Fault, progress io.Writer) (*History, error) {
	t := &theatre{history: History{Run: run, Faults: faults}, going: make(map[int]*going), asking: make(map[int]Use)}
	t.stage.said, t.stage.quit = make(chan saying, 1024), make(chan struct{})
	t.leave = sync.OnceFunc(func() { close(t.stage.quit) })
	defer t.close()
	if err := t.open(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	t.enough = sync.OnceFunc(func() { time.AfterFunc(noneBound(run.TTL), cancel) })
	over := make(chan struct{})
	begun := t.stage.clock.now() // all has started
	for i := range faults {
		faults[i].Begin += begun
		faults[i].End += begun
	}
	go func() { // ends with the faults, and they with ctx
		defer close(over)
		t.stage.play(ctx, faults)
		t.stage.await(ctx, begun+run.Length)
	}()
	err := t.listen(over, progress)
	if err != nil {
		t.leave()
	}
	cancel()
	<-over
	if err != nil {
		return nil, err
	}
	return &t.history, t.look()
}

func (t *theatre) open() (err error) {
	run := &t.history.Run
	if t.stage.cluster, err = startCluster(run.Nodes); err != nil {
		return err
	}
	if run.Server, err = t.stage.cluster.nodes[0].info("server", "redis_version"); err != nil {
		return err
	}
	if t.stage.clock, err = newClock(); err != nil {
		return err
	}
	for i, clients := range byProcess(run.Clients) {
		var links []*link
		var addrs []string
		for _, addr := range t.stage.cluster.addrs() {
			l, err := openLink(addr)
			if err != nil {
				return err
			}
			links, addrs = append(links, l), append(addrs, l.addr())
		}
		t.stage.links = append(t.stage.links, links)
		p, err := startWorker(task{
			Process: i, Clients: clients, Run: *run, Nodes: addrs,
			Resource: t.stage.cluster.resource.Addr(), Origin: t.stage.clock.origin,
		}, t.stage.said, t.stage.quit)
		if err != nil {
			return err
		}
		t.stage.workers = append(t.stage.workers, p)
	}
	for range t.stage.workers {
		if s := <-t.stage.said; s.ended {
			return fmt.Errorf("worker %d did not start", s.process+1)
		}
	}
	return nil
}

// byProcess lists the clients of each worker.
func byProcess(clients []Client) (all [][]int) {
	for i, c := range clients {
		for len(all) <= c.Process {
			all = append(all, nil)
		}
		all[c.Process] = append(all[c.Process], i)
	}
	return all
}

func (t *theatre) close() {
	t.leave()
	for _, p := range t.stage.workers {
		p.end()
	}
	for _, links := range t.stage.links {
		for _, l := range links {
			l.close()
		}
	}
	if t.stage.cluster != nil {
		t.stage.cluster.close()
	}
}

// listen collects what the workers say. When the faults are over it has them get each lock
// once more and close, and returns when they have.
func (t *theatre) listen(over <-chan struct{}, progress io.Writer) error {
	ticker := time.NewTicker(2 * time.Second)
	defer ticker.Stop()
	var limit <-chan time.Time
	closed := make([]bool, len(t.stage.workers))
	for left := len(closed); left > 0; {
		select {
		case <-over:
			over = nil
			run := t.history.Run
			t.history.Calm = Calm{Begun: t.stage.clock.now(), Bound: calmBound(run)}
			if run.Kills > 0 {
				t.history.Run.Length = t.history.Calm.Begun
			}
			for _, p := range t.stage.workers {
				if err := p.relax(); err != nil {
					return err
				}
			}
			// For what it was about, for each lock, to read one, for some at once, and for settling its
			// pending releases.
			timer := time.NewTimer(time.Duration(len(run.names())+4)*calmBound(run) + closeBound(run.TTL))
			defer timer.Stop()
			limit = timer.C
		case s := <-t.stage.said:
			switch {
			case s.killed: // and then it is dead
			case s.ended:
				return fmt.Errorf("worker %d ended before its time", s.process+1)
			case s.dead != nil:
				if err := t.bury(s.process, *s.dead); err != nil {
					return err
				}
				if wanted := t.history.Run.Kills; wanted > 0 && t.killed >= wanted {
					t.enough()
				}
			case s.Going != nil:
				t.note(*s.Going)
			case s.Asking != nil:
				t.asking[s.Asking.Client] = *s.Asking
			case s.Use != nil:
				if s.Use.Kind.writes() {
					delete(t.asking, s.Use.Client)
				}
				t.history.Uses = append(t.history.Uses, *s.Use)
			case s.Try != nil:
				delete(t.going, s.Try.Client)
				t.history.Tries = append(t.history.Tries, *s.Try)
			case s.Closed:
				closed[s.process] = true
				left--
				if s.Unsettled != "" {
					t.history.Calm.Unclosed = append(t.history.Calm.Unclosed, fmt.Sprintf("worker %d: %s", s.process+1, s.Unsettled))
				}
			}
		case <-ticker.C:
			t.report(progress, over == nil)
		case <-limit:
			for i, done := range closed {
				if !done {
					t.history.Calm.Unclosed = append(t.history.Calm.Unclosed, fmt.Sprintf("worker %d does not end", i+1))
				}
			}
			return nil
		}
	}
	for _, p := range t.stage.workers {
		if err := p.finish(); err != nil {
			return fmt.Errorf("a worker failed: %w", err)
		}
	}
	return nil
}

func (t *theatre) report(progress io.Writer, calm bool) {
	grants, lost := 0, 0
	for _, try := range t.history.Tries {
		if try.granted() {
			grants++
		}
		if try.Lost != "" {
			lost++
		}
	}
	what := fmt.Sprintf("%d faults at work, %d over", t.stage.active.Load(), t.stage.fired.Load())
	if calm {
		what = "calm"
	}
	if t.history.Run.Kills > 0 {
		what += fmt.Sprintf(", %d leaders killed", t.killed)
	}
	fmt.Fprintf(progress, "%4.0fs  %s; %d grants, %d lost\n", t.stage.clock.now().Seconds(), what, grants, lost)
}

// look notes what is left when all have closed: counters, and keys of locks.
func (t *theatre) look() error {
	run, calm := t.history.Run, &t.history.Calm
	got := make(map[string]bool)
	for _, try := range t.history.Tries {
		if try.Calm && try.granted() {
			got[fmt.Sprint(try.Client, try.asked(), try.Reader)] = true
			calm.Slowest = max(calm.Slowest, try.Return-try.Call)
		}
	}
	for i := range run.Clients {
		for _, try := range run.lastOf(i) {
			if !got[fmt.Sprint(i, try.Name, try.Reader)] {
				calm.Missing = append(calm.Missing, fmt.Sprintf("%s did not get %q", t.history.holderOf(try), try.Name))
			}
		}
	}
	resource := openResource(t.stage.cluster.resource.Addr())
	defer resource.close()
	for _, name := range run.counted() {
		f, err := resource.final(name)
		if err != nil {
			return err
		}
		t.history.Finals = append(t.history.Finals, f)
	}
	return t.lookForKeys()
}
