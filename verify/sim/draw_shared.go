package main

import (
	"slices"
	"strings"
	"time"
)

// sharedIn4 says which seeds have sets and readers: those with this rest when divided by four.
const sharedIn4 = 2

// shared draws the calls of a world with sets, with readers, or with both, among those that take one
// lock alone.
func (d drawing) shared() {
	d.Sets = !d.in(3)
	d.Readers = !d.Sets || d.in(2)
	d.Names = []string{"a", "b", "c"}[:2+d.random.IntN(2)]
	if !d.Sets {
		d.Names = d.Names[:1+d.random.IntN(2)]
	}
	call := 0
	some := func(n int, draw func(call int)) {
		for range n {
			draw(call)
			call++
		}
	}
	if d.Sets {
		some(2+d.random.IntN(5), d.set)
	}
	if d.Readers {
		some(2+d.random.IntN(5), d.reader)
	}
	some(1+d.random.IntN(4), d.single)
	d.RushMore = d.in(2)
	if d.Readers && d.in(3) {
		d.Stream = 3 + d.random.IntN(4)
	}
}

// single draws a call that takes one lock alone, and perhaps becomes a reader.
func (d drawing) single(number int) {
	d.call(number)
	if d.Readers && d.in(2) {
		d.about(number, downgrade)
	}
}

// set draws a call that takes several locks.
func (d drawing) set(number int) {
	first := len(d.Events)
	d.call(number)
	e := &d.Events[first]
	e.All = slices.Clone(d.Names)
	d.random.Shuffle(len(e.All), func(i, j int) { e.All[i], e.All[j] = e.All[j], e.All[i] })
	e.All = e.All[:2+d.random.IntN(len(e.All)-1)]
	e.Name = strings.Join(slices.Sorted(slices.Values(e.All)), ", ")
	e.Kind = map[kind]kind{lockCall: lockAll, tryCall: tryAll, asyncCall: asyncAll}[e.Kind]
	if e.Pluck = d.in(4); d.in(2) {
		d.about(number, pluck)
	}
	if d.in(10) {
		d.about(number, downgrade) // which is refused
	}
}

// reader draws a call that takes a lock with others.
func (d drawing) reader(number int) {
	first := len(d.Events)
	d.call(number)
	e := &d.Events[first]
	e.Kind = map[kind]kind{lockCall: readCall, tryCall: tryRead, asyncCall: readCall}[e.Kind]
	if d.in(8) {
		d.about(number, downgrade) // which extends it
	}
}

// about draws something that is done to a call.
func (d drawing) about(number int, k kind) {
	i := slices.IndexFunc(d.Events, func(e event) bool { return e.Call == number && e.takes() })
	e := d.Events[i]
	d.Events = append(d.Events, event{At: e.At + d.between(0, pick(d, d.TTL/4, d.TTL, 2*d.TTL)+time.Microsecond), Kind: k, Client: e.Client, Node: d.random.IntN(d.Nodes), Call: number})
}

// rushMore makes some of the calls of a rush those of sets, or of readers.
func (p *schedule) rushMore(e event, i int) event {
	chance := newLuck(p.Seed, i, rushCall)
	switch {
	case p.Slots > 0: // all of them: others would not meet
		e.Kind, e.Slots = trySlot, 1+int(chance.below(3))
	case p.Readers && chance.in(2):
		e.Kind = tryRead
	case p.Sets && chance.in(2):
		e.Kind, e.All = tryAll, []string{rushName, rushName + " 2"}
	}
	return e
}
