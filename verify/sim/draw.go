package main

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"
)

// draw makes the schedule that follows from a seed.
func draw(seed uint64, outside bool) *schedule {
	d := drawing{random: rand.New(rand.NewPCG(seed, 1)), schedule: &schedule{Seed: seed, Outside: outside}}
	if seed%4 == valuesIn4 && !outside {
		return d.published()
	}
	d.world()
	switch {
	case seed%8 == slotsIn8 && !outside:
		d.mixed()
	case seed%4 == sharedIn4 && !outside:
		d.shared()
	default:
		for call := range 3 + d.random.IntN(8) {
			d.call(call)
		}
	}
	for range d.random.IntN(6) {
		d.fault()
	}
	if d.Fair && d.Nodes == 3 && d.in(4) {
		d.Events = append(d.Events, event{At: d.when(), Kind: tear, Client: d.random.IntN(len(d.Clients)), Node: d.random.IntN(d.Nodes)})
	}
	if d.Guard {
		for range 1 + d.random.IntN(4) {
			d.forget()
		}
	}
	if outside {
		for range 2 + d.random.IntN(3) {
			d.breach()
		}
	}
	for range d.random.IntN(3) {
		d.outdoors()
	}
	if d.in(4) {
		d.Rush, d.Away = 2+d.random.IntN(3), d.random.IntN((d.Nodes+1)/2)
	}
	slices.SortFunc(d.Events, func(a, b event) int { return cmp.Compare(a.At, b.At) })
	return d.schedule
}

type drawing struct {
	*schedule
	random *rand.Rand
}

func (d drawing) in(n int) bool { return d.random.IntN(n) == 0 }

func (d drawing) between(from, to time.Duration) time.Duration {
	return from + time.Duration(d.random.Int64N(int64(to-from)))
}

func pick[T any](d drawing, all ...T) T { return all[d.random.IntN(len(all))] }

// A node may be faster than a client by one per cent of the client's rate, no more:
// that is the drift factor. These together are a little less.
const (
	fastNode   = 4900
	slowClient = -4900
)

func (d drawing) world() {
	d.Nodes = pick(d, 3, 3, 3, 5, 1, 2)
	for range d.Nodes {
		d.NodeRates = append(d.NodeRates, pick[int64](d, 0, fastNode, fastNode, -fastNode))
		d.NodeTimes = append(d.NodeTimes, pick(d, 0, 0, time.Millisecond, -time.Minute, 5*hour))
	}
	for range 2 + d.random.IntN(2) {
		c := clientSpec{Pipelined: d.in(2), Rate: pick[int64](d, 0, slowClient), NoSubscriber: d.in(6)}
		c.Stubborn = !c.Pipelined && d.in(4)
		d.Clients = append(d.Clients, c)
	}
	d.Names = []string{"a"}
	if d.in(4) {
		d.Names = []string{"a", "b"}
	}
	d.TTL = pick(d, 60*time.Millisecond, 150*time.Millisecond, 400*time.Millisecond, time.Second)
	d.NodeTimeout = pick(d, d.TTL/20, d.TTL/8, d.TTL/3) + d.between(time.Millisecond, 2*time.Millisecond) // no multiple of anything
	d.Retry = pick(d, [2]time.Duration{d.TTL / 20, d.TTL / 6}, [2]time.Duration{50 * time.Millisecond, 250 * time.Millisecond}, [2]time.Duration{d.TTL / 3, d.TTL})
	d.Pace = pick(d,
		pace{50 * time.Microsecond, 300 * time.Microsecond, d.NodeTimeout},
		pace{50 * time.Microsecond, 2 * time.Millisecond, d.TTL * 3 / 4},
		pace{d.NodeTimeout / 8, d.NodeTimeout / 2, d.TTL * 3 / 4},
		pace{d.NodeTimeout / 4, d.NodeTimeout, d.TTL * 3 / 4})
	d.Fair, d.Fencing = d.in(4), d.in(3)
	d.Lease = pick(d, 4*d.NodeTimeout, 4*d.NodeTimeout, 2*time.Second) // the least, the default
	d.Length = d.between(2*d.TTL, 6*d.TTL)
	if d.Guard = d.in(3); !d.Guard {
		return
	}
	d.New = d.in(8)
	for i := range d.NodeTimes {
		// What a node forgot of tokens is made up for by the time, which must not be
		// that of nodes whose clocks are far apart (docs/guarantees.md).
		d.NodeTimes[i] = min(max(d.NodeTimes[i], 0), time.Millisecond)
	}
}

func (d drawing) when() time.Duration { return d.between(0, d.Length) }

// call draws one call, and what is done to it.
func (d drawing) call(number int) {
	e := event{
		At: d.when(), Kind: pick(d, lockCall, lockCall, lockCall, lockCall, tryCall, asyncCall), Call: number,
		Client: d.random.IntN(len(d.Clients)), Name: d.Names[d.random.IntN(len(d.Names))], Fair: d.Fair,
		KeepAlive: d.in(4), Forget: d.in(6),
		For: d.between(0, pick(d, d.TTL/10, d.TTL/10, d.TTL, 3*d.TTL)+1),
	}
	if d.in(3) {
		e.Patience = d.between(time.Microsecond, 2*d.TTL)
	}
	if d.in(6) {
		e.Pause = d.between(time.Microsecond, d.TTL)
	}
	d.Events = append(d.Events, e)
	about := func(k kind, within time.Duration) {
		d.Events = append(d.Events, event{At: e.At + d.between(0, within), Kind: k, Client: e.Client, Call: number})
	}
	for range pick(d, 0, 0, 1, 3) {
		about(extendCall, 2*d.TTL)
	}
	if d.in(8) {
		about(cancelCall, d.TTL)
	}
	if d.in(5) {
		about(unlockCall, d.TTL)
	}
}

// fault draws one that the assumptions allow.
func (d drawing) fault() {
	e := event{
		At: d.when(), Client: d.random.IntN(len(d.Clients)), Node: d.random.IntN(d.Nodes),
		Kind: pick(d, cut, cutRequest, cutReply, lossy, lossy, resets, doubles, slow, freeze, freeze, restart, die, setClock),
		For:  d.between(time.Microsecond, pick(d, d.TTL/4, d.TTL, 3*d.TTL)),
	}
	if e.Kind == setClock {
		e.For = pick[time.Duration](d, -1, 1) * d.between(time.Millisecond, pick(d, d.TTL, hour))
	}
	d.Events = append(d.Events, e)
}

// outdoors draws faults between clients and servers.
func (d drawing) outdoors() {
	d.Events = append(d.Events, event{
		At: d.when(), Node: d.random.IntN(d.Nodes), Kind: pick(d, idleCut, idleCut, slowDial, proxyError, proxyError, demote),
		For: d.between(time.Microsecond, pick(d, d.TTL/4, d.TTL, 3*d.TTL)),
	})
}

// forget draws what a node does not survive, and a lock that is guarded does.
func (d drawing) forget() {
	e := event{At: d.when(), Node: d.random.IntN(d.Nodes), Kind: pick(d, restart, restart0, restart0, restartOld, flushAll)}
	e.For = d.between(time.Microsecond, pick(d, d.TTL/20, d.TTL/4, d.TTL))
	d.Events = append(d.Events, e)
	if e.Kind == restartOld {
		d.Events = append(d.Events, event{At: d.between(0, e.At+1), Node: e.Node, Kind: save})
	}
}

// breach draws one that the assumptions do not allow.
func (d drawing) breach() {
	e := event{At: d.when(), Node: d.random.IntN(d.Nodes), Kind: pick(d, restart0, flushAll, nodeJump)}
	e.For = d.between(time.Microsecond, d.TTL/4)
	if e.Kind == nodeJump {
		e.For = d.between(d.TTL/2, 2*d.TTL)
	}
	d.Events = append(d.Events, e)
}

const hour = time.Hour
