package diagnosis

import (
	"fmt"
	"slices"
	"time"

	"github.com/quorumlock/quorumlock/internal/node"
	"github.com/quorumlock/quorumlock/internal/quorum"
)

// A server reads its clock at an unknown time between sending and receiving. So everything here
// about clocks is an interval, and a finding holds for every such time.

// apart is how much further than ours the server's clock went from a to b: at least low, at most
// high.
func apart(a, b node.Sample) (low, high time.Duration) {
	went := b.Clock - a.Clock
	return went - (b.Received - a.Sent), went - (b.Sent - a.Received)
}

// sure is the distance of an interval from zero.
func sure(low, high time.Duration) time.Duration {
	switch {
	case low > 0:
		return low
	case high < 0:
		return high
	}
	return 0
}

// rate is how fast the server's clock runs: its seconds in one of ours. It comes from the two samples
// with the smallest interval. That interval is certain, so samples with long round trips of a busy
// machine do no harm.
func rate(samples []node.Sample) (low, high float64, ok bool) {
	for i, a := range samples {
		for _, b := range samples[i+1:] {
			least, most := b.Sent-a.Received, b.Received-a.Sent
			if least <= 0 || a.Clock == 0 {
				continue
			}
			l, h := float64(b.Clock-a.Clock)/float64(most), float64(b.Clock-a.Clock)/float64(least)
			l, h = min(l, h), max(l, h) // the clock may have been set back
			if !ok || h-l < high-low {
				low, high, ok = l, h, true
			}
		}
	}
	return low, high, ok
}

// jump returns the largest step of the clock between two samples that its rate does not explain, or 0.
// Such a step is at least half of the whole deviation, and larger than the deviation in that time by
// the rate before or after it.
func jump(samples []node.Sample) (step time.Duration) {
	if len(samples) < 4 || samples[0].Clock == 0 {
		return 0
	}
	at := 0
	for i := range samples[1:] {
		if s := sure(apart(samples[i], samples[i+1])); s.Abs() > step.Abs() {
			step, at = s, i
		}
	}
	took := float64(samples[at+1].Received - samples[at].Sent)
	for _, part := range [][]node.Sample{samples[:at+1], samples[at+1:]} {
		low, high, ok := rate(part)
		if ok && (low > 1 && step > 0 && float64(step) <= (high-1)*took || high < 1 && step < 0 && float64(step) >= (low-1)*took) {
			return 0
		}
	}
	all := sure(apart(samples[0], samples[len(samples)-1]))
	if step.Abs() < 2*time.Millisecond || step.Abs() < all.Abs()/2 {
		return 0
	}
	return step
}

const slew = "let NTP slew the clock and not step it, except when the machine starts (chrony: makestep 1 3)"

func (j *judge) clock(i int) {
	j.offset(i)
	low, high, ok := rate(j.Samples)
	if !ok {
		return
	}
	allowed := quorum.Drift(j.TTL, j.Drift)
	early := fmt.Sprintf("exclusion: it forgets a lock of %v before its holder has let go of it", j.TTL)
	const late = "speed: locks of holders that died live longer than their TTL"
	switch step := jump(j.Samples); {
	case step > allowed:
		j.add(Error, "clock", fmt.Sprintf("its clock jumped ahead by %v while it was watched; %v are allowed for a TTL", short(step), allowed), early, slew)
	case -step > allowed:
		j.add(Warning, "clock", fmt.Sprintf("its clock was set back by %v while it was watched", short(-step)), late, slew)
	case step != 0:
		j.add(Note, "clock", fmt.Sprintf("its clock jumped by %v while it was watched; %v are allowed for a TTL", short(step), allowed), "", slew)
	case low > 1+j.Drift:
		j.add(Error, "clock", fmt.Sprintf("its clock runs fast: %.4f to %.4f seconds in one of ours; up to %.4f is allowed", low, high, 1+j.Drift), early,
			"fix its clock, or raise WithDriftFactor")
	case high < 1-j.Drift:
		j.add(Warning, "clock", fmt.Sprintf("its clock runs slow: %.4f to %.4f seconds in one of ours", low, high), late, "fix its clock")
	case high-low > 2*max(j.Drift, 0.001):
		j.add(Note, "clock", fmt.Sprintf("how fast its clock runs is known to lie between %.4f and %.4f only: round trips are long", low, high), "", "")
	}
}

// farOff is a difference of clocks that is worth a note.
const farOff = 100 * time.Millisecond

// offset compares clocks. Locks depend on the rate of clocks only, not on their time.
func (j *judge) offset(i int) {
	own, ok := best(j.Samples)
	if !ok {
		return
	}
	k, ok := reference(j.all)
	if !ok || k == i {
		return
	}
	ref, _ := best(j.all[k].Samples)
	by := sure(apart(ref, own))
	if by.Abs() < farOff {
		return
	}
	word := "ahead of"
	if by < 0 {
		word = "behind"
	}
	j.add(Note, "clock", fmt.Sprintf("its clock is %v %s that of %s", short(by.Abs()), word, j.all[k].Node),
		"nothing directly, since servers get times to live only; but a clock that is put right in one step ends locks early, or late", slew)
}

// best is the sample with the shortest round trip.
func best(samples []node.Sample) (s node.Sample, ok bool) {
	for i, other := range samples {
		if i == 0 || other.Received-other.Sent < s.Received-s.Sent {
			s = other
		}
	}
	return s, s.Clock != 0
}

// reference is the node in the middle, with whose clock the others are compared.
func reference(all []node.Facts) (i int, ok bool) {
	type clock struct {
		i  int
		at time.Duration // its approximate time at the common origin
	}
	var clocks []clock
	for i := range all {
		if s, ok := best(all[i].Samples); ok {
			clocks = append(clocks, clock{i, s.Clock - s.Received})
		}
	}
	if len(clocks) == 0 {
		return 0, false
	}
	slices.SortStableFunc(clocks, func(a, b clock) int { return int(min(max(a.at-b.at, -1), 1)) })
	return clocks[(len(clocks)-1)/2].i, true
}

// roundTrips are the round trips of all samples, the shortest first; nil if there are none.
func roundTrips(samples []node.Sample) (trips []time.Duration) {
	for _, s := range samples {
		trips = append(trips, s.Received-s.Sent)
	}
	slices.Sort(trips)
	return trips
}

func (j *judge) latency() {
	trips := roundTrips(j.Samples)
	if trips == nil {
		return
	}
	middle, tail := trips[len(trips)/2], trips[(len(trips)*95+99)/100-1]
	seen := fmt.Sprintf("a round trip takes %v, and one of twenty %v or more; the node timeout is %v", short(middle), short(tail), j.NodeTimeout)
	const remedy = "put the node nearer, or give WithNodeTimeout several round trips"
	switch {
	case middle >= j.NodeTimeout:
		j.add(Error, "latency", seen, j.quorum(), remedy)
	case tail >= j.NodeTimeout/2:
		j.add(Warning, "latency", seen, "speed: its vote comes late, or counts as failed", remedy)
	}
}
