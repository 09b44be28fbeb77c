package main

import (
	"fmt"
	"slices"
)

// A Semaphore is one of a run. Processes may give it different numbers of slots.
type Semaphore struct {
	Name  string
	Slots []int // of each process
}

// newSemaphore has so many slots. Of those with an odd index half of the processes use a slot less,
// and the others one more.
func newSemaphore(index, slots int) Semaphore {
	s := Semaphore{Name: fmt.Sprintf("semaphore %c", 'A'+index)}
	for process := range adapters {
		n := slots
		if index%2 == 1 {
			n = max(1, slots-1+process%2*2)
		}
		s.Slots = append(s.Slots, n)
	}
	return s
}

// most is how many hold a permit at most: the largest number of slots that a process uses.
func (s Semaphore) most() int { return slices.Max(s.Slots) }

func slotName(semaphore string, slot int) string { return fmt.Sprintf("%s/%d", semaphore, slot) }

// slotNames are those of the first slots of a semaphore.
func slotNames(semaphore string, slots int) (all []string) {
	for i := range slots {
		all = append(all, slotName(semaphore, i))
	}
	return all
}

// slots are the names of all slots of all semaphores. Each slot is a lock.
func (r Run) slots() (all []string) {
	for _, s := range r.Semaphores {
		all = append(all, slotNames(s.Name, s.most())...)
	}
	return all
}

func (r Run) semaphoreNames() (all []string) {
	for _, s := range r.Semaphores {
		all = append(all, s.Name)
	}
	return all
}

// counted are the names that have counters at the resource.
func (r Run) counted() []string { return slices.Concat(r.Names, r.slots()) }

// A Permit is what belongs to a request for a slot of a semaphore. The slot that was granted is the
// lock in its Try: it has the name of the slot then, and that of the semaphore before.
type Permit struct {
	Semaphore string
	Slots     int // of which it is to be one
	Slot      int `json:",omitempty"` // that was granted, from 0
}

// permitted reports whether it was a request for a slot of a semaphore.
func (t Try) permitted() bool { return t.Permit != nil }

// asked is the name that was asked for.
func (t Try) asked() string {
	if t.permitted() {
		return t.Permit.Semaphore
	}
	return t.Name
}
