package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A stage is what faults happen to.
type stage struct {
	active  atomic.Int64 // faults that are at work
	fired   atomic.Int64
	cluster *cluster
	links   [][]*link // by worker and node
	clock   clock
	said    chan saying
	quit    chan struct{} // closed when the workers are not read any more

	leading     sync.Mutex // held by the fault that kills a leader
	workerLocks sync.Map   // a *sync.Mutex by worker: one fault at a time, also where one has come late

	mu      sync.Mutex // protects the rest
	workers []*process
}

// worker returns the one that lives.
func (s *stage) worker(i int) *process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.workers[i]
}

// play carries out faults, each when it is due, and notes in them what became of it. It
// returns when all are over and reverted; when ctx ends they end early, and those to come
// are left out.
func (s *stage) play(ctx context.Context, faults []Fault) {
	var all sync.WaitGroup
	defer all.Wait()
	for i := range faults {
		f := &faults[i]
		if !s.await(ctx, f.Begin) {
			return
		}
		all.Go(func() { s.carryOut(ctx, f) }) // ends with the fault
	}
}

// await returns at a time of the run, or false when ctx ended first.
func (s *stage) await(ctx context.Context, at time.Duration) bool {
	timer := time.NewTimer(at - s.clock.now())
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// awaitLeader returns the process that leads for a while, or otherwise when none does for long.
func (s *stage) awaitLeader(ctx context.Context, otherwise int) (process int) {
	for end := s.clock.now() + 10*time.Second; s.clock.now() < end; {
		before, ok := s.cluster.leader()
		if !s.await(ctx, s.clock.now()+100*time.Millisecond) {
			break
		}
		if now, still := s.cluster.leader(); ok && still && before == now {
			return now
		}
	}
	return otherwise
}

// carryOut does one fault. Its times become the real begin and end.
func (s *stage) carryOut(ctx context.Context, f *Fault) {
	length := f.End - f.Begin
	if f.Kind.ofServer() {
		// One after the other, also where one has come late: in order, so that two
		// faults of several servers do not wait for each other.
		for _, n := range slices.Sorted(slices.Values(f.Nodes)) {
			s.cluster.nodes[n].busy.Lock()
			defer s.cluster.nodes[n].busy.Unlock()
		}
	}
	if f.How == leading {
		s.leading.Lock() // each of them kills another leader
		defer s.leading.Unlock()
		if f.Process = s.awaitLeader(ctx, f.Process); ctx.Err() != nil {
			return
		}
	}
	if f.Kind.ofWorker() {
		lock, _ := s.workerLocks.LoadOrStore(f.Process, new(sync.Mutex))
		lock.(*sync.Mutex).Lock()
		defer lock.(*sync.Mutex).Unlock()
	}
	s.active.Add(1)
	defer s.active.Add(-1)
	f.Begin = s.clock.now()
	var felt atomic.Int64
	var errs [8]error // of each node
	switch {
	case f.Kind.ofServer():
		var all sync.WaitGroup
		for i, n := range f.Nodes {
			all.Go(func() { // ends with the fault
				var count int
				count, errs[i] = s.happenToServer(ctx, f, s.cluster.nodes[n], length)
				felt.Add(int64(count))
			})
		}
		all.Wait()
	case f.Kind == stop:
		worker := s.worker(f.Process).command.Process
		if errs[0] = stopProcess(worker); errs[0] == nil {
			felt.Add(1) // it was seen stopped
		}
		s.await(ctx, f.Begin+length)
		if err := continueProcess(worker); err != nil {
			errs[0] = err
		}
	case f.Kind == die:
		if errs[0] = s.kill(ctx, f, length); errs[0] == nil {
			felt.Add(1) // it ended by that signal
		}
	default:
		for _, n := range f.Nodes {
			s.links[f.Process][n].set(weatherOf(*f))
		}
		s.await(ctx, f.Begin+length)
		for _, n := range f.Nodes {
			felt.Add(int64(s.links[f.Process][n].set(weather{})))
		}
	}
	f.End, f.Felt = s.clock.now(), int(felt.Load())
	for _, err := range errs {
		if err != nil {
			f.Err = err.Error()
			return
		}
	}
	f.Fired = true
	s.fired.Add(1)
}

func weatherOf(f Fault) weather {
	w := weather{forgetful: f.How == lossy}
	switch f.Kind {
	case delay:
		w.delay = f.Slow
	case trickle:
		if f.How == requests {
			w.trickleUp = f.Slow
		} else {
			w.trickleDown = f.Slow
		}
	case torn:
		w.torn = true
	case double:
		w.double = f.Slow
	case cut:
		w.refuse = true
	case idleCut:
		w.idle = f.Slow
	case slowDial:
		w.dial = f.Slow
	case proxied:
		w.proxied = true
	case partition:
		w.holdUp, w.holdDown = true, true
	case noRequest:
		w.holdUp = true
	case noReply:
		w.holdDown = true
	}
	return w
}

// kill ends a worker at any moment of its work, and starts another one in its place after
// a time. What it was about is in what it has said; see step.
func (s *stage) kill(ctx context.Context, f *Fault, length time.Duration) error {
	p := s.worker(f.Process)
	p.killed.Store(true)
	dead := death{at: s.clock.now()}
	if err := p.command.Process.Kill(); err != nil {
		return err
	}
	select {
	case <-p.gone:
	case <-s.quit:
		return errors.New("the workers are not read any more")
	}
	if !killed(p.err) {
		return fmt.Errorf("worker %d ended unexpectedly: %w", f.Process+1, p.err)
	}
	resource := openResource(s.cluster.resource.Addr())
	err := errors.Join(resource.await(), resource.close())
	if err != nil {
		return err
	}
	dead.over = s.clock.now()
	select {
	case s.said <- saying{process: f.Process, dead: &dead}:
	case <-s.quit:
		return errors.New("the workers are not read any more")
	}
	s.await(ctx, f.Begin+length)
	t := p.task
	t.Life++
	next, err := startWorker(t, s.said, s.quit)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.workers[f.Process] = next
	return nil
}
