package main

import "time"

// slotsIn8 says which seeds have a semaphore: those with this rest when divided by eight. They are among
// those with sets and readers, and have both.
const slotsIn8 = 2

const semaphoreName = "jobs"

// mixed draws calls of all kinds: of slots, sets, readers and of one lock alone. Some of the others are
// about a slot, under its name.
func (d drawing) mixed() {
	d.Sets, d.Readers = true, true
	d.Names = []string{"a", "b", "c"}[:2+d.random.IntN(2)]
	counts := pick(d, []int{1}, []int{2}, []int{3}, []int{2, 3}, []int{1, 2}, []int{1, 2, 3, 16}, []int{16})
	for _, slots := range counts {
		d.Slots = max(d.Slots, slots)
	}
	call := 0
	some := func(n int, draw func(call int)) {
		for range n {
			draw(call)
			call++
		}
	}
	crowd := d.when() / 8 * 7 // many begin at about the same time, before all faults end
	if d.in(2) {
		crowd = 0
	}
	some(2+d.random.IntN(6), func(call int) { d.slot(call, pick(d, counts...), crowd) })
	if d.in(3) {
		all := slotNames(semaphoreName, min(d.Slots, 2))
		d.Names[0] = all[d.random.IntN(len(all))]
	}
	some(1+d.random.IntN(2), d.set)
	some(1+d.random.IntN(2), d.reader)
	some(1+d.random.IntN(2), d.single)
	d.RushMore = d.in(2)
	if d.in(6) {
		d.Stream = 3 + d.random.IntN(4)
	}
}

// slot draws a call that takes one of so many slots, in a crowd unless that is 0.
func (d drawing) slot(number, slots int, crowd time.Duration) {
	first := len(d.Events)
	d.call(number)
	if crowd > 0 && !d.in(4) {
		later := crowd + d.between(0, d.TTL/4) - d.Events[first].At
		for i := range d.Events[first:] {
			d.Events[first+i].At += later
		}
	}
	e := &d.Events[first]
	e.Name, e.Slots = semaphoreName, slots
	switch e.Kind {
	case tryCall:
		e.Kind = trySlot
	case asyncCall:
		e.Kind, e.KeepAlive = doSlot, true // always on in Do
	default:
		e.Kind = acquireSlot
	}
}

// locks are the names of all locks that a call may be about.
func (p *schedule) locks() []string {
	all := slotNames(semaphoreName, p.Slots)
	for _, name := range p.Names {
		if p.Slots == 0 || name != all[0] && (len(all) < 2 || name != all[1]) {
			all = append(all, name)
		}
	}
	return all
}
