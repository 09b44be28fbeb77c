package main

import (
	"sync"
	"time"

	"github.com/quorumlock/quorumlock/internal/clock"
)

// A clientClock is that of one machine: both of its clocks run at a rate of their own,
// and the wall clock may be set. It implements [clock.Clock]. The rate is never above 0:
// timers follow the bubble, so a faster clock would show a later time than its own timers,
// which no machine's is.
type clientClock struct {
	now   func() time.Duration // of the run
	rate  int64                // parts per million that it is too fast: 0 or less
	begun time.Duration        // how long it ran before; no two ran as long

	mu   sync.Mutex
	step time.Duration // how far the wall clock was set
	set  bool          // ever
}

var midnight = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

// Read implements clock.Clock.
func (c *clientClock) Read() clock.Reading {
	now := c.now()
	mono := now + now/1000*time.Duration(c.rate)/1000
	c.mu.Lock()
	defer c.mu.Unlock()
	return clock.Reading{Mono: c.begun + mono, Wall: midnight.Add(mono + c.step)}
}

func (c *clientClock) jump(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.step += d
	c.set = true
}

// when is the time of the run at which the wall clock shows t, if it is not set.
func (c *clientClock) when(t time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	const million = 1_000_000
	mono := t.Sub(midnight) - c.step
	return mono/million*million*million/time.Duration(million+c.rate) + mono%million*million/time.Duration(million+c.rate)
}

func (c *clientClock) wasSet() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.set
}
