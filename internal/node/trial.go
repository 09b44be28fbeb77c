package node

import "context"

// The trial does what a lock does, in the form in which a lock does it, under a key
// that nobody else uses. Every key that it sets has a TTL from the same command on:
// whatever is refused afterwards, nothing is left behind.

// put asks what a lock asks.
func (x *exam) put(verb Verb) Answer {
	r := NewRequest(verb, NewLease(x.Key, x.Value), x.TTL, Mark{})
	c := &Call{Request: r}
	for s := (step{request: r, form: x.node.form(r)}); ; { // without a probe: whatever it takes goes by itself
		reply, err := x.ask(r.command(s.form)...)
		next, a, again := x.node.next(c, s, reply, err)
		if !again {
			return a
		}
		s = next
	}
}

// take takes the lock of the trial. All nodes have it under the same key until the
// end: who finds the value of another one there is that other one. (Nodes are examined
// at the same time, for the whole period, so this misses only one that comes so late.)
func (x *exam) take() {
	t := &x.facts.Trial
	t.Value = x.Value
	x.wrote = true // or may have, if there is no answer
	a := x.put(Acquire)
	t.Verb, t.Err = Acquire, a.Err
	if a.Status == Taken {
		t.Found = a.Holder
	}
	x.facts.NativeRefused = x.node.noNative.Load()
}

// giveBack goes on with the trial, and ends it. What a node loads as a text at first
// is asked for once more by its hash.
func (x *exam) giveBack() {
	t := &x.facts.Trial
	if t.Skipped != "" || t.Err != nil || t.Found != "" {
		return
	}
	for _, verb := range []Verb{Extend, Extend, Release} {
		if t.Verb, t.Err = verb, x.put(verb).Err; t.Err != nil {
			return
		}
	}
}

// clean deletes what there may be of the trial, also if the examination was
// interrupted. Where it finds another node's value it must not, hence the script.
func (x *exam) clean() {
	if !x.wrote {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.ctx), x.Patience)
	defer cancel()
	lock := NewRequest(Release, NewLease(x.Key, x.Value), 0, Mark{})
	if t := x.facts.Trial; t.Verb != Release || t.Err != nil {
		_, err := x.node.pool.Do(ctx, lock.command(eval)...)
		switch {
		case isRefusal(err) && t.Found == "":
			// Without scripts nobody compares; but nobody else has this key.
			_, _ = x.node.pool.Do(ctx, "DEL", x.Key)
		case err != nil && !isRefusal(err):
			return // it goes by itself
		}
	}
	for side, set := range x.sides {
		if set {
			_, _ = x.node.pool.Do(ctx, "DEL", SideKey(x.Key, side)) // or it goes by itself, too
		}
	}
}
