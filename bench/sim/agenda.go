package main

import "time"

// An agenda is what is to happen, by time. What is to happen at the same instant does so
// in the order in which it was put down. It is a binary heap; that of the standard library
// makes garbage of every item.
type agenda struct {
	items []item
	count int
}

type item struct {
	at    time.Duration
	order int
	do    func()
	quiet bool // it stirs no client
}

func (i item) before(other item) bool {
	return i.at < other.at || i.at == other.at && i.order < other.order
}

func (a *agenda) add(at time.Duration, quiet bool, do func()) {
	a.count++
	a.items = append(a.items, item{at, a.count, do, quiet})
	h, i := a.items, len(a.items)-1
	for parent := (i - 1) / 2; i > 0 && h[i].before(h[parent]); parent = (i - 1) / 2 {
		h[i], h[parent] = h[parent], h[i]
		i = parent
	}
}

func (a *agenda) next() (at time.Duration, ok bool) {
	if len(a.items) == 0 {
		return 0, false
	}
	return a.items[0].at, true
}

func (a *agenda) take() (next item) {
	h := a.items
	last := len(h) - 1
	next = h[0]
	h[0], h[last] = h[last], item{}
	h = h[:last]
	a.items = h
	for i := 0; ; {
		least := i
		for _, child := range [...]int{2*i + 1, 2*i + 2} {
			if child < last && h[child].before(h[least]) {
				least = child
			}
		}
		if least == i {
			return next
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
}
