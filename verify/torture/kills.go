package main

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// leadersAreKilled is a schedule in which leaders are killed soon after they were elected, one
// after the other. Meanwhile some minority of the servers, and the links to it, fail in all ways.
// It is another minority after every ten TTLs, and there are times enough in which observers can
// be expected to be told.
//
// It is longer than it has to be: it ends when as many leaders are killed as are wanted, and some
// resign before they can be.
func leadersAreKilled(r Run) (faults []Fault) {
	rng := rand.New(rand.NewPCG(r.Seed, 0x6b696c6c73))
	ttl, processes := r.TTL, len(byProcess(r.Clients))
	upTo := func(d time.Duration) time.Duration { return time.Duration(rng.Int64N(int64(d))) }
	last := r.Length - noneBound(ttl)
	hit := func(k kind, n int, begin, length time.Duration) {
		faults = append(faults, Fault{Kind: k, How: leading, Process: n % processes, Begin: begin, End: begin + length})
	}
	for at, n := ttl/2, 1; at < last; n++ {
		hit(die, n, at, ttl*3/20)
		at += ttl*5/4 + upTo(ttl)
		switch n % 16 {
		case 3: // stopped until its lease is over: it must not go on when it wakes
			if at < last {
				hit(stop, n, at, ttl*11/10+upTo(ttl))
			}
			at += 3 * ttl
		case 8, 0: // the next one may lead for long
			at += 5 * ttl
		}
	}
	d := newDealer(rng, r)
	for at := ttl / 4; at < last; at += upTo(ttl) {
		first := 2 * int(at/(10*ttl)) % r.Nodes
		d.only = []int{first, (first + 1) % r.Nodes}
		if f, ok := d.deal(at); ok {
			faults = append(faults, f)
		}
	}
	slices.SortStableFunc(faults, func(a, b Fault) int { return cmp.Compare(a.Begin, b.Begin) })
	return faults
}

// killsLength is how long a run may take that kills so many leaders. Mostly it takes half of it.
func killsLength(kills int, ttl time.Duration) time.Duration {
	return time.Duration(kills+5)*4*ttl + noneBound(ttl)
}

// A killCount says what a history shows about leaders that were killed.
type killCount struct {
	killed    int    // while they led
	leaders   int    // all
	overlaps  int    // times at which two led
	lacking   string // leaders without the value that was acknowledged last, if that was checked
	inherited int    // leaders that found what one that was killed had proclaimed after its first value
	told      int    // of a leader, all observers
	back      int    // of an earlier one
	long      int    // times that an observer was in a position to be told of a leader that led for long
	missed    int    // and was not
	ends      ends
}

func countKills(h *History, verdicts []Verdict) (c killCount) {
	killed := make(map[uint64]bool)
	for _, t := range h.Tries {
		if t.diedLeading() {
			c.killed++
			killed[t.Token] = true
		}
	}
	for _, t := range h.Tries {
		if !t.campaigned() || !t.granted() {
			continue
		}
		c.leaders++
		if before := t.Led.Previous; before != nil && before.Seq > 0 && killed[before.Term] {
			c.inherited++
		}
	}
	for _, v := range verdicts {
		switch v.Claim {
		case "E1":
			c.overlaps = len(v.Marks)
		case "E3":
			c.lacking = fmt.Sprint(len(v.Marks))
			if v.State == unclear {
				c.lacking = string(unclear)
			}
		}
	}
	for _, name := range h.Run.Elections {
		c.back += len(backwards(h, name, observe, &c.told))
	}
	long, missed := h.leadersTold()
	c.long, c.missed = long, len(missed)
	c.ends = h.endsTold()
	return c
}

// lacks says what a run that was to kill leaders has not shown, "" if nothing.
func (c killCount) lacks(r Run) string {
	switch {
	case c.killed < r.Kills:
		return fmt.Sprintf("only %d leaders were killed while they led, %d were to be", c.killed, r.Kills)
	case r.Kills > 0 && !r.Outside && c.inherited == 0:
		return "no leader followed one that was killed and had proclaimed something"
	case r.Kills > 0 && c.ends.count == 0:
		return "no observer was in a position to be told that a leader was killed"
	}
	return ""
}

func (c killCount) String() string {
	return fmt.Sprintf(`leaders killed while they led           %d
leaders in all                          %d
times that two led                      %d
without the last acknowledged value     %s; %d found one of a leader that was killed
observers told of a leader              %d times
observers that went back                %d times
observers told of one that led for 5s   %d of %d times
observers told that one was killed      %d of %d times in time; %d within the TTL and one wake-up, the slowest after %v
`, c.killed, c.leaders, c.overlaps, c.lacking, c.inherited, c.told, c.back, c.long-c.missed, c.long, c.ends.inTime, c.ends.count, c.ends.prompt, c.ends.slowest.Round(time.Millisecond))
}
