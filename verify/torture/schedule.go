package main

import (
	"math/rand/v2"
	"slices"
	"time"
)

// mostDown is how many servers are down at a time: a minority, or nothing would be granted
// for long. How many are frozen, paused or cut off knows no bound.
const mostDown = 2

// schedule draws the faults of a run. It is a pure function of r: a seed gives the
// same story again, as far as processes and their timing allow.
//
// Kinds are dealt from a deck, so that each has come before one comes more often than its
// weight. Servers have one fault at a time, since a second one could end the first; so
// have workers, and links.
func schedule(r Run) []Fault {
	if r.Kills > 0 {
		return leadersAreKilled(r)
	}
	rng := rand.New(rand.NewPCG(r.Seed, 0x746f7274757265))
	d := newDealer(rng, r)
	processes := len(d.stopped)
	var faults []Fault
	// Acts of some TTLs each: in some several faults are at work at once, and hardly a
	// lock is granted; in others there is time between them, and a holder is hit by one.
	at, act, pace := r.TTL/4, time.Duration(0), 0.0
	for at < r.Length {
		if at >= act {
			act = at + r.TTL*time.Duration(3+rng.IntN(6))
			pace = []float64{0.25, 0.5, 0.5, 1}[rng.IntN(4)]
			if len(r.Elections) > 0 && rng.IntN(4) == 0 {
				// A quiet act: a leader is killed, and observers have the time to be told.
				f := Fault{Kind: die, How: leading, Process: rng.IntN(processes), Begin: at + r.TTL, End: at + r.TTL*3/2}
				act = f.Begin + noneBound(r.TTL) + r.TTL
				if act < r.Length {
					faults = append(faults, f)
				}
				at = act
				continue
			}
		}
		if f, ok := d.deal(at); ok {
			faults = append(faults, f)
		}
		at += time.Duration(rng.ExpFloat64() * pace * float64(r.TTL))
	}
	return faults
}

// A dealer deals faults, and knows until when what is busy.
type dealer struct {
	rng     *rand.Rand
	run     Run
	only    []int // the servers that faults may touch now, and then no worker is hit; nil: all
	deck    []kind
	server  []time.Duration   // until when each has a fault
	down    []time.Duration   // until when servers are down
	stopped []time.Duration   // by worker; or killed
	link    [][]time.Duration // by worker and node
}

func newDealer(rng *rand.Rand, r Run) *dealer {
	processes := len(byProcess(r.Clients))
	d := &dealer{rng: rng, run: r, server: make([]time.Duration, r.Nodes), stopped: make([]time.Duration, processes), link: make([][]time.Duration, processes)}
	for p := range d.link {
		d.link[p] = make([]time.Duration, r.Nodes)
	}
	return d
}

func (d *dealer) deal(at time.Duration) (Fault, bool) {
	if len(d.deck) == 0 {
		for _, k := range order {
			if k == lateEmpty && d.run.values() && !d.run.Outside {
				continue // it has forgotten values that are kept for a day, and no guard brings them back
			}
			if k.ofWorker() && d.only != nil {
				continue // one that never fits would keep the deck from being dealt again
			}
			for range inside[k] {
				d.deck = append(d.deck, k)
			}
			if d.run.Outside {
				for range outside[k] {
					d.deck = append(d.deck, k)
				}
			}
		}
		d.rng.Shuffle(len(d.deck), func(i, j int) { d.deck[i], d.deck[j] = d.deck[j], d.deck[i] })
	}
	// The first that fits; one that does not fit now is dealt later.
	for i, k := range d.deck {
		f, ok := d.target(k, at)
		if ok {
			d.deck = append(d.deck[:i], d.deck[i+1:]...)
			return f, true
		}
	}
	return Fault{}, false
}

// target finds the servers, link or worker that a fault hits, if it fits.
func (d *dealer) target(k kind, at time.Duration) (Fault, bool) {
	f := Fault{Kind: k, Process: -1, Begin: at, End: min(at+d.length(k), d.run.Length)}
	if k == lateEmpty {
		f.End = at + d.length(k) // shortened it would be forget
	}
	switch {
	case f.End > d.run.Length, f.End-at < 10*time.Millisecond:
		return f, false
	case k.ofWorker():
		f.Process = d.rng.IntN(len(d.stopped))
		return f, claim(&d.stopped[f.Process], f)
	case k.ofServer():
		return d.placeOnServers(f)
	}
	f.Process = d.rng.IntN(len(d.link))
	switch k {
	case delay:
		f.Slow = time.Millisecond + time.Duration(d.rng.Int64N(int64(d.run.TTL/8)))
	case trickle: // a reply has some fifty bytes
		f.Slow = time.Millisecond + time.Duration(d.rng.Int64N(int64(d.run.TTL/400)))
		f.How = []string{requests, replies}[d.rng.IntN(2)]
	case double:
		f.Slow = d.length(double)
	case idleCut:
		f.Slow = d.run.TTL/400 + time.Duration(d.rng.Int64N(int64(d.run.TTL/20)))
	case slowDial: // more than a node gets, or less
		f.Slow = d.run.TTL/50 + time.Duration(d.rng.Int64N(int64(d.run.TTL/4)))
	case partition, noRequest, noReply:
		f.How = []string{late, lossy}[d.rng.IntN(2)]
	}
	for _, n := range d.some(1 + d.rng.IntN(d.run.Nodes)) {
		if claim(&d.link[f.Process][n], f) {
			f.Nodes = append(f.Nodes, n)
		}
	}
	return f, len(f.Nodes) > 0
}

func (d *dealer) placeOnServers(f Fault) (Fault, bool) {
	if f.Kind == pause {
		f.How = []string{"ALL", "WRITE"}[d.rng.IntN(2)]
	}
	many := 1
	switch {
	case outside[f.Kind] > 0:
		many = 1 + d.rng.IntN(d.run.Nodes)
	case !f.Kind.takesDown() && d.rng.IntN(4) == 0:
		many = 1 + d.rng.IntN(d.run.Nodes) // a majority, even all
	case f.Kind.takesDown() && d.rng.IntN(3) == 0:
		many = mostDown
	}
	for _, n := range d.some(many) {
		if f.Kind.takesDown() && outside[f.Kind] == 0 && d.downAt(f.Begin) >= mostDown {
			break
		}
		if claim(&d.server[n], f) {
			f.Nodes = append(f.Nodes, n)
			if f.Kind.takesDown() {
				d.down = append(d.down, f.End+restart)
			}
		}
	}
	return f, len(f.Nodes) > 0
}

// restart is for how long after its end the servers of a fault are left alone: to come back,
// or to be asked whether they felt it.
const restart = 300 * time.Millisecond

// claim takes something for the time of a fault, if it is free.
func claim(busy *time.Duration, f Fault) bool {
	if *busy > f.Begin {
		return false
	}
	*busy = f.End + restart
	return true
}

func (d *dealer) downAt(at time.Duration) (n int) {
	for _, until := range d.down {
		if until > at {
			n++
		}
	}
	return n
}

func (d *dealer) some(n int) []int {
	all := d.rng.Perm(d.run.Nodes)
	if d.only != nil {
		all = slices.DeleteFunc(all, func(i int) bool { return !slices.Contains(d.only, i) })
	}
	return all[:min(n, len(all))]
}

// length is how long a fault takes.
func (d *dealer) length(k kind) time.Duration {
	ttl := d.run.TTL
	between := func(shortest, longest time.Duration) time.Duration { // rather short
		u := d.rng.Float64()
		return shortest + time.Duration(u*u*float64(longest-shortest))
	}
	switch k {
	case lateEmpty:
		// What it acknowledged last has expired: TTL and drift, and the
		// time that it takes a busy machine to kill a process and to start one.
		return ttl + ttl/20 + 200*time.Millisecond
	case forget, tail:
		return between(10*time.Millisecond, ttl/4)
	case flush, wipe:
		return 20 * time.Millisecond
	case stop:
		if d.rng.IntN(4) == 0 {
			return between(ttl/10, ttl)
		}
		return between(ttl*11/10, ttl*3)
	case sleep, die: // it is away for so long
		return between(ttl/20, ttl)
	}
	return between(ttl/10, ttl*3/2)
}
