package main

import (
	"container/heap"
	"time"
)

// An agenda is what is to happen, by time. What is to happen at the same instant does so
// in the order in which it was put down.
type agenda struct {
	items agendaHeap
	count int
}

type item struct {
	at    time.Duration
	order int
	do    func()
}

func (a *agenda) add(at time.Duration, do func()) {
	a.count++
	heap.Push(&a.items, item{at, a.count, do})
}

func (a *agenda) next() (at time.Duration, ok bool) {
	if len(a.items) == 0 {
		return 0, false
	}
	return a.items[0].at, true
}

func (a *agenda) take() func() { return heap.Pop(&a.items).(item).do }

type agendaHeap []item

func (h agendaHeap) Len() int { return len(h) }
func (h agendaHeap) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].order < h[j].order
}
func (h agendaHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *agendaHeap) Push(x any)   { *h = append(*h, x.(item)) }
func (h *agendaHeap) Pop() any {
	last := len(*h) - 1
	x := (*h)[last]
	(*h)[last] = item{}
	*h = (*h)[:last]
	return x
}
