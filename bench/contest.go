package main

import (
	"fmt"
	"io"
	"runtime"
	"time"
)

// A scenario is one situation in which the contenders meet.
type scenario struct {
	Nodes   int
	Workers int
	// Frozen stops one server for the length of each measurement.
	Frozen bool
	// Away is how long a round trip to a server takes, beyond what it takes here.
	Away time.Duration
}

func (s scenario) String() string {
	text := fmt.Sprintf("n=%d, %d workers", s.Nodes, s.Workers)
	if s.Workers == 1 {
		text = fmt.Sprintf("n=%d, 1 worker", s.Nodes)
	}
	if s.Frozen {
		text += ", one server frozen"
	}
	if s.Away > 0 {
		text += fmt.Sprintf(", %v away", s.Away)
	}
	return text
}

// connections is how many of them a client's pool may have to each server.
func (s scenario) connections() int {
	if s.Away > 0 {
		return awayPoolSize(s.Workers)
	}
	return poolSize(s.Workers)
}

// An entry is one row of a scenario's table.
type entry struct {
	contender
	// healthy entries of a frozen scenario are measured before the freeze: what
	// the others are compared with.
	healthy bool
	rounds  []measurement
}

// entries returns the rows of a scenario, in the order of measuring.
func (s scenario) entries(clients []string) ([]*entry, error) {
	var all []*entry
	for _, client := range clients {
		on, err := contenders(client)
		if err != nil {
			return nil, err
		}
		if s.Frozen {
			all = append(all, &entry{contender: on[0], healthy: true})
		}
		for _, c := range on {
			if s.Nodes == 1 && c.lib == redsyncFailFast {
				continue // nothing to be faster than
			}
			if s.Nodes > 1 && c.lib == redislocks {
				continue // it knows no quorum
			}
			if s.Frozen && (c.lib == floor || c.lib == floorTogether) {
				continue // its stragglers would fill the pool of the frozen server
			}
			all = append(all, &entry{contender: c})
		}
	}
	return all, nil
}

// A frozen server is measured in fewer and longer rounds: a peer may wait for
// the end of the freeze in every call. So are servers that are far away.
const (
	freezes = 5
	freeze  = time.Second
	far     = 10 * time.Millisecond
	journey = 500 * time.Millisecond
)

// fit returns the contest with the rounds that the scenario needs.
func (c contest) fit(s scenario) *contest {
	switch {
	case s.Frozen:
		c.rounds, c.length = freezes, freeze
	case s.Away > 0:
		c.rounds, c.length = min(c.rounds, freezes), journey
	}
	return &c
}

// warmUp is long enough for connections to be made and stacks to have grown: a
// service has old ones.
const warmUp = 200 * time.Millisecond

// A contest runs scenarios.
type contest struct {
	clients  []string
	rounds   int
	length   time.Duration // of one measurement
	progress io.Writer
	record   func(any) error // of every measurement
}

// A record is one line of the raw output.
type record struct {
	Scenario scenario
	Round    int
	Lib      string
	Client   string
	Healthy  bool // although the scenario has a frozen server
	measurement
}

// run measures all entries in turn, round by round: a machine that becomes
// slower meanwhile becomes slower for all of them.
func (c *contest) run(s scenario) ([]*entry, error) {
	nodes, err := startServers(s.Nodes)
	if err != nil {
		return nil, err
	}
	defer nodes.stop()
	all, err := s.entries(c.clients)
	if err != nil {
		return nil, err
	}
	addrs := nodes.addrs()
	if s.Away > 0 {
		links, err := startLinks(addrs, s.Away)
		if err != nil {
			return nil, err
		}
		defer links.stop()
		addrs = links.addrs
	}
	c = c.fit(s)
	for round := range c.rounds {
		for _, e := range all {
			fmt.Fprintf(c.progress, "%v, round %d of %d: %v\n", s, round+1, c.rounds, e)
			m, err := c.measure(s, e, nodes, addrs, round)
			if err != nil {
				return nil, fmt.Errorf("%v: %v: %w", s, e, err)
			}
			e.rounds = append(e.rounds, m)
			if err := c.record(record{s, round + 1, e.lib, e.client, e.healthy, m}); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

// measure connects an entry anew, at these addresses, warms it up and measures it.
func (c *contest) measure(s scenario, e *entry, nodes servers, addrs []string, round int) (m measurement, err error) {
	if err := nodes.flush(); err != nil {
		return m, err
	}
	before := runtime.NumGoroutine()
	session, err := e.open(addrs, s.connections())
	if err != nil {
		return m, err
	}
	defer func() {
		if closed := session.close(); err == nil {
			err = closed
		}
		settle(before)
	}()
	// A new connection to a server that is away takes some round trips.
	measure(session, s.Workers, fmt.Sprintf("warm-up:%d", round), during(warmUp+40*s.Away))

	prefix := fmt.Sprintf("bench:%d", round)
	if !s.Frozen || e.healthy {
		return measure(session, s.Workers, prefix, during(c.length)), nil
	}
	last := nodes[len(nodes)-1]
	if err := last.Freeze(); err != nil {
		return m, err
	}
	// The freeze is as long as the measurement. A call that waits for the
	// frozen server ends with it, so no round is longer.
	thawed := make(chan error, 1)
	time.AfterFunc(c.length, func() { thawed <- last.Thaw() })
	m = measure(session, s.Workers, prefix, during(c.length))
	return m, <-thawed
}

// settle gives goroutines that a contender left behind time to end, so that
// they do not run on the next one's bill.
func settle(before int) {
	for end := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
}
