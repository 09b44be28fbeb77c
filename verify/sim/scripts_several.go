package main

// The scripts about several locks. Each lock has a command of its own, with its KEYS.

// locks are the commands of each.
func (s command) locks() (each []command) {
	for _, call := range s.call.Locks() {
		one := s
		one.call = call
		each = append(each, one)
	}
	return each
}

// A look is what look.lua, or look_in_queue.lua, says of one lock.
type look struct {
	command
	held  string
	found bool
	fence fence
	turn  *turn // nil without a wait queue
}

// mine reports whether the caller has the lock already.
func (l *look) mine() bool { return l.held == l.text("value") }

// allFree is what all_free.lua finds out. Locks are counted from 1.
type allFree struct {
	looks                 []*look
	taken, queued, denied int
	holder                string
	left                  int64
	others                []any
	last                  int64
	fence                 fence // with the largest token that any of the locks knows
}

func (s command) allFree(inTurn bool) *allFree {
	a := &allFree{others: []any{}}
	mine := 0
	for i, one := range s.locks() {
		l := &look{command: one}
		l.held, l.found = one.held(one.key("lock"))
		l.fence = one.fence()
		if inTurn {
			l.turn = one.queue(l.held)
			a.last = max(a.last, l.turn.last)
		}
		a.looks = append(a.looks, l)
		largest := a.fence.largest
		if a.fence = l.fence; number(largest) > number(l.fence.largest) {
			a.fence.largest = largest
		}
		switch left := one.pttl(one.key("lock")); {
		case l.mine():
			mine++
		case l.found && a.taken == 0:
			a.taken, a.holder, a.left = i+1, l.held, left
		case l.found:
			if a.left >= 0 {
				if left >= 0 {
					left = max(left, a.left)
				}
				a.left = left
			}
			a.others = append(a.others, int64(i+1), l.held)
		case l.turn != nil && !l.turn.first:
			a.queued = first(a.queued, i+1)
		case l.fence.refusal != 0:
			a.denied = first(a.denied, i+1)
		}
	}
	if mine == len(a.looks) {
		a.taken, a.holder, a.left = 1, s.text("value"), 1
	}
	return a
}

// first is a, unless that is 0.
func first(a, b int) int {
	if a != 0 {
		return a
	}
	return b
}

// take takes all of them.
func (a *allFree) take() {
	for _, l := range a.looks {
		if l.found {
			continue // it has the value already
		}
		if l.turn != nil {
			l.turn.pass()
		}
		l.fence.remember()
		l.set(l.key("lock"), l.text("value"), l.number("ttl"))
	}
}

func acquireAll(s command) any {
	if s.key("fence") == "" && s.setAll() {
		return nil
	}
	a := s.allFree(false)
	switch {
	case a.taken != 0:
		for _, l := range a.looks {
			if l.found && !l.mine() {
				l.leaveFlags(l.held)
			}
		}
		return a.fence.onto(a.holder, a.left, int64(a.taken), a.others)
	case a.denied != 0:
		return a.fence.onto("", a.looks[a.denied-1].fence.refusal, int64(a.denied), a.others)
	}
	a.take()
	return a.fence.granted
}

// setAll is what set_all.lua does: without a flag to leave it sets the keys, if there is none.
func (s command) setAll() bool {
	all := s.locks()
	for _, one := range all {
		if one.key("wait") != "" || one.find(one.key("lock")) != nil {
			return false
		}
	}
	for _, one := range all {
		one.set(one.key("lock"), s.text("value"), s.number("ttl"))
	}
	return true
}

func acquireAllInTurn(s command) any {
	a := s.allFree(true)
	if a.taken == 0 && a.queued == 0 && a.denied == 0 {
		a.take()
		return a.fence.grantedInTurn(a.last)
	}
	smallest := int64(0)
	for _, l := range a.looks {
		if at := l.turn.at; at > 0 && (smallest == 0 || at < smallest) {
			smallest = at
		}
		if l.found && !l.mine() || !l.found && !l.turn.first {
			l.turn.leaveFlag()
		}
	}
	switch {
	case a.taken != 0:
	case a.queued != 0:
		a.taken, a.left = a.queued, -2
	default:
		a.taken, a.left = a.denied, a.looks[a.denied-1].fence.refusal
	}
	return a.fence.onto(a.holder, a.left, int64(a.taken), a.others, a.last, smallest)
}

// denial is what all_held.lua finds out: why not all locks are held, or nil.
func (s command) denial() any {
	gone := false
	for _, one := range s.locks() {
		switch held, found := one.held(one.key("lock")); {
		case !found:
			gone = true
		case held != s.text("value"):
			return held
		}
	}
	if gone {
		return int64(0)
	}
	return nil
}

func extendAll(s command) any {
	if denied := s.denial(); denied != nil {
		return denied
	}
	for _, one := range s.locks() {
		one.pexpire(one.key("lock"), s.number("ttl"))
	}
	return int64(1)
}

func expireAll(s command) any {
	all := true
	for _, one := range s.locks() {
		all = extend(one) == int64(1) && all
	}
	return truth(all)
}

func releaseAll(s command) any {
	all, waiter := true, any(int64(1))
	for _, one := range s.locks() {
		answer := release(one)
		if id, another := answer.(string); another {
			waiter = id
		}
		all = all && answer != int64(0)
	}
	if !all {
		return int64(0)
	}
	return waiter
}
