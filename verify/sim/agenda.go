package main

import "time"

// An agenda is what is to happen, by time. What is to happen at the same instant does so
// in the order in which it was put down.
type agenda struct {
	loud  heap // what clients may notice when it happens
	quiet heap // what changes servers only
	count int
}

type item struct {
	at    time.Duration
	order int
	do    func()
}

func (i item) before(other item) bool {
	return i.at < other.at || i.at == other.at && i.order < other.order
}

func (a *agenda) add(at time.Duration, quiet bool, do func()) {
	a.count++
	if quiet {
		a.quiet.push(item{at, a.count, do})
	} else {
		a.loud.push(item{at, a.count, do})
	}
}

func (a *agenda) empty() bool { return len(a.loud)+len(a.quiet) == 0 }

// next is when something has to be done: what is quiet may be so much later.
func (a *agenda) next(later time.Duration) (at time.Duration, some bool) {
	if len(a.loud) > 0 {
		at, some = a.loud[0].at, true
	}
	if len(a.quiet) > 0 && (!some || a.quiet[0].at+later < at) {
		at, some = a.quiet[0].at+later, true
	}
	return at, some
}

// due reports whether a loud event is due.
func (a *agenda) due(now time.Duration) bool { return len(a.loud) > 0 && a.loud[0].at <= now }

// missed reports whether something quiet should have happened by now, and before what is
// loud.
func (a *agenda) missed(now time.Duration) bool {
	return len(a.quiet) > 0 && a.quiet[0].at <= now && (len(a.loud) == 0 || a.quiet[0].before(a.loud[0]))
}

// A heap is a binary heap; that of the standard library makes garbage of every item.
type heap []item

func (h *heap) push(i item) {
	*h = append(*h, i)
	all, n := *h, len(*h)-1
	for parent := (n - 1) / 2; n > 0 && all[n].before(all[parent]); parent = (n - 1) / 2 {
		all[n], all[parent] = all[parent], all[n]
		n = parent
	}
}

func (h *heap) take() (next item) {
	all := *h
	last := len(all) - 1
	next = all[0]
	all[0], all[last] = all[last], item{}
	*h = all[:last]
	for n := 0; ; {
		least := n
		for _, child := range [...]int{2*n + 1, 2*n + 2} {
			if child < last && all[child].before(all[least]) {
				least = child
			}
		}
		if least == n {
			return next
		}
		all[n], all[least] = all[least], all[n]
		n = least
	}
}
