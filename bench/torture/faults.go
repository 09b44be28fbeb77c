package main

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A stage is what faults happen to.
type stage struct {
	cluster *cluster
	links   [][]*link // by worker and node
	workers []*process
	clock   clock
	active  atomic.Int64 // faults that are at work
	fired   atomic.Int64
}

// play carries out faults, each when it is due, and notes in them what became of it. It
// returns when all are over and undone; when ctx ends they end early, and those to come
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

// carryOut does one fault. Its times become those at which it really began and ended.
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
	s.active.Add(1)
	defer s.active.Add(-1)
	f.Begin = s.clock.now()
	var felt atomic.Int64
	var errs [8]error // of each node
	if f.Kind.ofServer() {
		var all sync.WaitGroup
		for i, n := range f.Nodes {
			all.Go(func() { // ends with the fault
				var count int
				count, errs[i] = s.happenToServer(ctx, f, s.cluster.nodes[n], length)
				felt.Add(int64(count))
			})
		}
		all.Wait()
	} else if f.Kind == stop {
		worker := s.workers[f.Process].command.Process
		if errs[0] = stopProcess(worker); errs[0] == nil {
			felt.Add(1) // it was seen to stand still
		}
		s.await(ctx, f.Begin+length)
		if err := continueProcess(worker); err != nil {
			errs[0] = err
		}
	} else {
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
	case cut:
		w.refuse = true
	case partition:
		w.holdUp, w.holdDown = true, true
	case noRequest:
		w.holdUp = true
	case noReply:
		w.holdDown = true
	}
	return w
}

// happenToServer does a fault to one server for a time and undoes it. felt is 1 if the
// server, asked past the links, behaved as it should under the fault.
func (s *stage) happenToServer(ctx context.Context, f *Fault, n *node, length time.Duration) (felt int, err error) {
	over := func() { s.await(ctx, f.Begin+length) }
	switch f.Kind {
	case freeze:
		err := n.server.Freeze()
		if err != nil {
			return 0, err
		}
		answered := s.ask(n)
		over()
		if err := n.server.Thaw(); err != nil {
			return 0, err
		}
		return lateBy(<-answered, length/2), nil

	case kill, lateEmpty, forget:
		n.server.Kill()
		if conn, err := net.Dial("tcp", n.server.Addr()); err != nil {
			felt = 1
		} else {
			conn.Close()
		}
		if f.Kind == lateEmpty {
			time.Sleep(length) // after the kill, and whatever ends meanwhile: sooner would be forgetting
		} else {
			over()
		}
		return felt, n.restart(f.Kind == kill)

	case pause:
		if _, err := n.server.Do("CLIENT", "PAUSE", strconv.FormatInt(length.Milliseconds(), 10), f.How); err != nil {
			return 0, err
		}
		answered := s.ask(n)
		over()
		_, err := n.server.Do("CLIENT", "UNPAUSE")
		return lateBy(<-answered, length/2), err

	case sleep:
		done := make(chan error, 1)
		go func() { // ends with the nap
			_, err := n.server.Do("DEBUG", "SLEEP", fmt.Sprintf("%.3f", length.Seconds()))
			done <- err
		}()
		begun := s.clock.now()
		err := <-done
		return lateBy(s.clock.now()-begun, length), err

	case memory:
		if _, err := n.server.Do("CONFIG", "SET", "maxmemory", "1"); err != nil {
			return 0, err
		}
		if _, err := n.server.Do("SET", witness, "here"); err != nil && strings.HasPrefix(err.Error(), "OOM ") {
			felt = 1
		}
		over()
		_, err := n.server.Do("CONFIG", "SET", "maxmemory", "0")
		return felt, err

	case wipe:
		if _, err := n.server.Do("FLUSHALL"); err != nil {
			return 0, err
		}
		return 1, n.testify()

	case flush:
		if scripts, err := n.info("memory", "number_of_cached_scripts"); err != nil {
			return 0, err
		} else if scripts != "0" {
			felt = 1
		}
		_, err := n.server.Do("SCRIPT", "FLUSH")
		return felt, err
	}
	return 0, fmt.Errorf("torture: %s cannot happen to a server", f.Kind)
}

// ask has the server do a write that changes nothing, and tells how long that took.
func (s *stage) ask(n *node) <-chan time.Duration {
	took := make(chan time.Duration, 1)
	begun := s.clock.now()
	go func() { // ends with the answer, or the timeout of the server's Do
		_, _ = n.server.Do("DEL", "torture:nothing")
		took <- s.clock.now() - begun
	}()
	return took
}

func lateBy(took, least time.Duration) int {
	if took >= least {
		return 1
	}
	return 0
}
