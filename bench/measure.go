package main

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A measurement is what one contender did in one round.
type measurement struct {
	Cycles  int    // locks that were granted
	Failed  int    // locks or unlocks that returned an error
	Error   string // the first of them
	Elapsed time.Duration

	// Of the whole client process, per cycle.
	CPU    time.Duration
	Allocs float64
	Bytes  float64

	Lock, Unlock latencies
}

// latencies are those of the calls that succeeded.
type latencies struct {
	P50, P99, Max time.Duration
	Percentiles   []time.Duration // the 1st to the 99th
}

// rate is in cycles per second.
func (m measurement) rate() float64 { return float64(m.Cycles) / m.Elapsed.Seconds() }

// samples are one worker's latencies.
type samples struct {
	lock, unlock []time.Duration
	failed       int
	err          error
}

// A limit says when a measurement ends.
type limit struct {
	more func() bool // asked before every cycle, by every worker
	end  time.Time   // calls that begin later do not count; zero: all count
}

// during is a limit in time.
func during(d time.Duration) limit {
	end := time.Now().Add(d)
	return limit{func() bool { return time.Now().Before(end) }, end}
}

// times is a limit on the cycles of all workers together.
func times(n int) limit {
	var asked atomic.Int64
	return limit{more: func() bool { return asked.Add(1) <= int64(n) }}
}

// measure lets so many workers lock and unlock keys of their own up to the
// limit. The keys begin with prefix.
func measure(s session, workers int, prefix string, l limit) measurement {
	w := make([]worker, workers)
	taken := make([]samples, workers)
	for i := range w {
		w[i] = s.worker(fmt.Sprintf("%s:%d", prefix, i))
		// Room for most runs, so that the harness does not allocate meanwhile.
		room := 1 + (1<<16)/workers
		taken[i].lock, taken[i].unlock = make([]time.Duration, 0, room), make([]time.Duration, 0, room)
	}
	start := make(chan struct{})
	var group sync.WaitGroup
	for i := range w {
		group.Go(func() {
			<-start
			for l.more() {
				taken[i].cycle(w[i], l.end)
			}
		})
	}
	runtime.GC()
	before := readUsage()
	close(start)
	group.Wait()
	return summarize(taken, readUsage().since(before))
}

// cycle is one lock and unlock. An Unlock that begins after the end is not
// counted: a Lock that hung as long as a server was frozen is followed by an
// Unlock on healthy servers.
func (s *samples) cycle(w worker, end time.Time) {
	t0 := time.Now()
	err := w.Lock()
	t1 := time.Now()
	if err != nil {
		s.fail(err)
		return
	}
	s.lock = append(s.lock, t1.Sub(t0))
	if err := w.Unlock(); err != nil {
		s.fail(err)
		return
	}
	if end.IsZero() || t1.Before(end) {
		s.unlock = append(s.unlock, time.Since(t1))
	}
}

func (s *samples) fail(err error) {
	s.failed++
	if s.err == nil {
		s.err = err
	}
}

func summarize(taken []samples, u usage) measurement {
	m := measurement{Elapsed: u.elapsed}
	var lock, unlock []time.Duration
	for _, s := range taken {
		lock, unlock = append(lock, s.lock...), append(unlock, s.unlock...)
		m.Failed += s.failed
		if m.Error == "" && s.err != nil {
			m.Error = s.err.Error()
		}
	}
	m.Cycles = len(lock)
	m.Lock, m.Unlock = latenciesOf(lock), latenciesOf(unlock)
	cycles := max(1, m.Cycles)
	m.CPU = u.cpu / time.Duration(cycles)
	m.Allocs, m.Bytes = float64(u.allocs)/float64(cycles), float64(u.bytes)/float64(cycles)
	return m
}

func latenciesOf(d []time.Duration) latencies {
	if len(d) == 0 {
		return latencies{}
	}
	slices.Sort(d)
	return latencies{P50: percentile(d, 50), P99: percentile(d, 99), Max: d[len(d)-1], Percentiles: percentiles(d)}
}

// percentiles are the 1st to the 99th of sorted values.
func percentiles(sorted []time.Duration) []time.Duration {
	all := make([]time.Duration, 99)
	for i := range all {
		all[i] = percentile(sorted, i+1)
	}
	return all
}
