package listen

import (
	"container/list"
	"time"

	"github.com/quorumlock/quorumlock/internal/random"
	"github.com/quorumlock/quorumlock/pool"
)

// What happens to one channel costs the same however many others there are. All of them
// are walked only when a connection has ended.

const (
	// linger is how long a channel stays joined when nobody wants it any more,
	// and the connection open: the next to wait comes soon, or not at all.
	linger = time.Second
	// A channel that the server refused is left out for so long. To try it costs a
	// connection, and so time for all channels.
	firstExclusion = time.Second
	maxExclusion   = time.Minute
)

// channels are those that somebody wants of a node, or wanted lately. The mutex of the subscription
// protects them.
type channels struct {
	byName  map[string]*channel
	wanted  int        // of them
	idle    list.List  // the others, in the order in which they were dropped
	live    bool       // there is a connection
	pending []*channel // to be joined on it
	asked   []*channel // to which Join was sent, beginning with the first that was not answered
	joins   int        // that were answered on it

	refused   map[string]bool // names of channels that are left out, also if nobody wants them now
	out       int             // channels whose name is there
	retry     time.Time       // when they are tried again
	exclusion time.Duration   // between the last refusal of one that had been refused before and that
}

// A channel is one that somebody wants, or wanted lately.
type channel struct {
	name    string
	wants   map[*Listener]bool
	idle    *list.Element // nil while it is wanted
	dropped time.Time     // if it is not
	asked   bool          // Join was sent
	joined  bool          // and answered
	allowed bool          // as it was once
	again   bool          // it was refused before, and is tried again
}

// want adds a Listener to those who want a channel, and reports whether it is joined. If
// it is new, there is something to send.
func (cs *channels) want(name string, l *Listener) (joined, added bool) {
	c := cs.byName[name]
	if c == nil {
		c = &channel{name: name, wants: make(map[*Listener]bool)}
		cs.byName[name] = c
		if added = !cs.refused[name]; added {
			cs.join(c)
		} else {
			cs.out++
		}
	}
	if len(c.wants) == 0 {
		cs.wanted++
		if c.idle != nil {
			cs.idle.Remove(c.idle)
			c.idle = nil
		}
	}
	c.wants[l] = true
	return c.joined, added
}

// join has a channel joined, if there is a connection: begin finds all.
func (cs *channels) join(c *channel) {
	if cs.live {
		cs.pending = append(cs.pending, c)
	}
}

// drop takes a Listener's want back.
func (cs *channels) drop(name string, l *Listener) {
	c := cs.byName[name]
	if c == nil || !c.wants[l] {
		return
	}
	if delete(c.wants, l); len(c.wants) == 0 {
		cs.wanted--
		c.dropped = time.Now()
		c.idle = cs.idle.PushBack(c)
	}
}

// expire forgets channels that nobody has wanted for a while, and returns those that
// the server still sends.
func (cs *channels) expire(now time.Time) (leave []string) {
	for e := cs.idle.Front(); e != nil; e = cs.idle.Front() {
		c := e.Value.(*channel)
		if now.Sub(c.dropped) < linger {
			break
		}
		cs.idle.Remove(e)
		delete(cs.byName, c.name)
		if cs.refused[c.name] {
			cs.out--
		}
		if c.asked {
			leave = append(leave, c.name)
		}
		c.joined = true // whatever the answer, nobody waits for it
	}
	return leave
}

// clear forgets all channels.
func (cs *channels) clear() {
	clear(cs.byName)
	cs.idle.Init()
	cs.pending, cs.wanted, cs.out = nil, 0, 0
}

// ask returns what to join.
func (cs *channels) ask() (join []string) {
	for _, c := range cs.pending {
		if cs.byName[c.name] == c { // not forgotten meanwhile
			c.asked = true
			cs.asked = append(cs.asked, c)
			join = append(join, c.name)
		}
	}
	cs.pending = nil
	return join
}

// note takes in what the server said. It appends those who want to know it to to.
func (cs *channels) note(e pool.Event, to []*Listener) []*Listener {
	c := cs.byName[e.Channel]
	if e.Kind == pool.Joined {
		cs.joins++
		if c != nil {
			c.joined, c.allowed, c.again = true, true, false
		}
		for len(cs.asked) > 0 && cs.asked[0].joined {
			cs.asked[0] = nil
			cs.asked = cs.asked[1:]
		}
	}
	if c != nil && e.Kind != pool.Other {
		for l := range c.wants {
			to = append(to, l)
		}
	}
	return to
}

// some reports whether there is a channel to listen to.
func (cs *channels) some() bool { return len(cs.byName) > cs.out }

// tryAgain has the channels that are left out tried again when it is time.
func (cs *channels) tryAgain(now time.Time) {
	if len(cs.refused) == 0 || now.Before(cs.retry) {
		return
	}
	for name := range cs.refused {
		if c := cs.byName[name]; c != nil {
			c.again = true
			cs.join(c)
		}
	}
	shuffle(cs.pending)
	clear(cs.refused)
	cs.out = 0
}

// exclude leaves out the channel that the server refused: answers come in the order of
// the questions, so it is the first that has none. It reports whether there is one. The
// others that were refused before have it no better, as far as anybody knows.
func (cs *channels) exclude(now time.Time) (found bool) {
	before := len(cs.refused)
	repeated := false
	for _, c := range cs.asked {
		if !c.joined && (!found || c.again) {
			found = true
			repeated = repeated || c.again
			cs.refused[c.name] = true
		}
	}
	switch {
	case repeated:
		cs.exclusion = min(2*cs.exclusion, maxExclusion)
		cs.retry = now.Add(cs.exclusion)
	case before == 0:
		cs.exclusion = firstExclusion
		cs.retry = now.Add(cs.exclusion)
	}
	return found
}

// begin has all channels joined on a new connection, but for those that are left out.
// Those that were allowed before come first.
func (cs *channels) begin() {
	cs.live = true
	known := 0
	for _, allowed := range []bool{true, false} {
		for name, c := range cs.byName {
			if c.allowed == allowed && !cs.refused[name] {
				cs.join(c)
			}
		}
		if allowed {
			known = len(cs.pending)
		}
	}
	shuffle(cs.pending[known:])
}

// shuffle puts channels that may be refused in another order than the last time: the
// first refusal is the end of what comes after.
func shuffle(all []*channel) {
	for i := range all {
		j := i + int(random.N(int64(len(all)-i)))
		all[i], all[j] = all[j], all[i]
	}
}

// finish notes that the connection has ended, if there was one.
func (cs *channels) finish() {
	cs.live, cs.pending, cs.asked, cs.joins, cs.out = false, nil, nil, 0, 0
	for name, c := range cs.byName {
		c.asked, c.joined = false, false
		if cs.refused[name] {
			cs.out++
		}
	}
}
