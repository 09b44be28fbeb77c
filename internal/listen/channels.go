package listen

import (
	"container/list"
	"time"

	"github.com/quorumlock/quorumlock/internal/random"
	"github.com/quorumlock/quorumlock/pool"
)

// An operation on one channel costs the same for any number of channels. All channels are
// walked only when a connection begins or ends.

const (
	// linger is how long a channel stays joined, and the connection open, when the channel is
	// not wanted any more: often the next waiter comes soon.
	linger = time.Second
	// firstExclusion is how long a channel that the server refused is not joined. It doubles
	// up to maxExclusion. An attempt costs the connection, and so delays all channels.
	firstExclusion = time.Second
	maxExclusion   = time.Minute
)

// channels are the channels of a node that are wanted, or were within linger. The mutex of the
// subscription protects them.
type channels struct {
	byName  map[string]*channel
	wanted  int        // number of channels that are wanted
	idle    list.List  // the other channels, in the order in which they were dropped
	live    bool       // there is a connection
	pending []*channel // to be joined on the connection
	asked   []*channel // Join was sent; begins with the first one that was not answered
	joins   int        // number of Joins that were answered on the connection

	refused   map[string]bool // names of channels that are excluded, also if not wanted now
	out       int             // number of channels whose name is in refused
	retry     time.Time       // when excluded channels are tried again
	exclusion time.Duration   // how long the last exclusion lasts
}

// A channel is wanted, or was within linger.
type channel struct {
	name    string
	wants   map[*Listener]bool
	idle    *list.Element // nil while it is wanted
	dropped time.Time     // when it was wanted last
	asked   bool          // Join was sent
	joined  bool          // Join was answered
	allowed bool          // Join was answered once, maybe on an earlier connection
	again   bool          // it was refused before, and is tried again
}

// want adds a Listener to a channel. joined reports whether the channel is joined, added
// whether a Join has to be sent.
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

// join plans the Join of a channel. Without a connection it does nothing: begin joins all.
func (cs *channels) join(c *channel) {
	if cs.live {
		cs.pending = append(cs.pending, c)
	}
}

// drop removes a Listener from a channel.
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

// expire forgets channels that were not wanted for linger, and returns those to leave.
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
		c.joined = true // its answer does not matter any more
	}
	return leave
}

// clear forgets all channels.
func (cs *channels) clear() {
	clear(cs.byName)
	cs.idle.Init()
	cs.pending, cs.wanted, cs.out = nil, 0, 0
}

// ask returns the channels to join.
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

// note records an event. It appends the Listeners that want its channel to to.
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

// some reports whether there is a channel that is not excluded.
func (cs *channels) some() bool { return len(cs.byName) > cs.out }

// tryAgain joins the excluded channels when their exclusion is over.
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

// exclude excludes the channel that the server refused. Answers come in the order of the
// Joins, so it is the first channel without an answer. exclude reports whether there is one.
// Unanswered channels that were refused before are excluded as well: nothing shows that they
// are allowed now.
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

// begin plans the Joins on a new connection, of all channels that are not excluded. Channels
// that were allowed before come first.
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

// shuffle changes the order of channels that may be refused. The first refusal ends the
// connection, so in a fixed order the channels after it would never be joined.
func shuffle(all []*channel) {
	for i := range all {
		j := i + int(random.N(int64(len(all)-i)))
		all[i], all[j] = all[j], all[i]
	}
}

// finish records that the connection has ended, if there was one.
func (cs *channels) finish() {
	cs.live, cs.pending, cs.asked, cs.joins, cs.out = false, nil, nil, 0, 0
	for name, c := range cs.byName {
		c.asked, c.joined = false, false
		if cs.refused[name] {
			cs.out++
		}
	}
}
