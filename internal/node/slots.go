package node

import "slices"

// Slots are the keys of a semaphore: an attempt takes one of them. All callers of the semaphore wait
// in one queue.
type Slots struct {
	keys     []any
	counters []any          // the counter of the tokens of each key
	queue    string         // the key whose side keys are those of the queue
	side     map[string]any // these side keys, made once
	chosen   rare           // of the entry of one of the keys
}

// NewSlots returns the slots with these keys. queue is no key of a lock, but its side keys are those
// of the wait queue, of the waiter flag and of the channel.
func NewSlots(queue string, keys ...string) *Slots {
	s := &Slots{queue: queue, side: make(map[string]any)}
	for _, what := range [...]string{"wait", "queue", "lease", "intent"} {
		s.side[what] = SideKey(queue, what)
	}
	for _, key := range keys {
		s.keys, s.counters = append(s.keys, key), append(s.counters, SideKey(key, "fence"))
	}
	s.chosen.slots = s
	return s
}

// AnyOf returns the entry for one of several keys, the first that is free from first on. One key of
// them is the chosen one at once.
func (e Entry) AnyOf(s *Slots, first int) Entry {
	if len(s.keys) == 1 {
		e.rare = &rare{slots: s}
		return e.Chosen(0)
	}
	e.key, e.rare = s.keys[0], &rare{slots: s, more: s.keys[1:], first: int64(first)}
	return e
}

// Chosen returns the entry for the key that an attempt was granted.
func (e Entry) Chosen(index int) Entry {
	s := e.rare.slots
	e.key, e.rare = s.keys[index], &s.chosen
	return e
}

// Index is which of the slots the entry is for, if one was chosen.
func (e *Entry) Index() int { return slices.Index(e.rare.slots.keys, e.key) }

// side is a side key of the lock with this key; of a slot, that of its semaphore.
func (e *Entry) side(key any, what string) any {
	if e.rare != nil && e.rare.slots != nil {
		return e.rare.slots.side[what]
	}
	return SideKey(key.(string), what)
}
