package main

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"time"

	"github.com/quorumlock/quorumlock/board"
	"github.com/quorumlock/quorumlock/election"
	"github.com/quorumlock/quorumlock/internal/node"
	"github.com/quorumlock/quorumlock/internal/node/lua"
)

// Elections are what is known of those in a run, with the boards.
type elections struct {
	elected       *history[node.Version]
	board         *history[board.Version]
	observers     []*watching[node.Version]
	boardWatchers []*watching[board.Version]

	carried map[string]uint            // by value of the lock: the servers that ever had it
	seenAt  map[string][]time.Duration // and when a reader last found it there
	writers map[string]string          // the values of the lock under which a text was proclaimed
	sent    map[sending]node.Version   // the largest versions with which it was sent
	terms   []*term
	acked   []proclaimed
}

// A sending is a text that was sent under a value of the lock.
type sending struct{ value, text string }

// A term is a leadership that a call has got.
type term struct {
	*session
	number   uint64
	previous election.Leader
	version  node.Version // of previous, zero if there is none
}

// A proclaimed value was acknowledged.
type proclaimed struct {
	*session
	text    string
	version node.Version
	at      time.Duration
}

func (e *elections) begin(w *world) {
	e.elected, e.board = newHistory[node.Version](w), newHistory[board.Version](w)
	e.carried, e.seenAt = make(map[string]uint), make(map[string][]time.Duration)
	e.writers, e.sent = make(map[string]string), make(map[sending]node.Version)
}

// as tells the values of one campaign from each other: what it proclaims first is sent again, with
// another version, until a majority has stored it.
func as(text string, v node.Version) string { return fmt.Sprintf("%s as %d.%d", text, v.Term, v.Seq) }

func versionOf(l election.Leader) node.Version {
	return node.Version{Term: int64(l.Term), Seq: int64(l.Seq)}
}

func leaderOp(what string, begun, ended time.Duration, l election.Leader) op[node.Version] {
	return op[node.Version]{what: what, begun: begun, ended: ended, version: versionOf(l), text: as(l.Value, versionOf(l))}
}

// lookPublished looks at what a message is about to do to a server, and after at what it did.
func (w *world) lookPublished(s *server, m *message) (after func()) {
	if m.key() == "" {
		return func() {}
	}
	verb, holder, kept := m.verb(), "", ""
	if verb == "publish as holder" {
		call, _ := m.script()
		holder, kept = s.peek(m.key()), call.Key("value")
		before := s.peek(kept)
		if m.key() == electionName {
			w.noteProclaimed(m, call)
		}
		return func() {
			if holder != m.value() && s.peek(kept) != before {
				w.violated(asHolder, "%v of %v was stored on %v, where %s has the lock", m, m.link.client, s, w.alias(holder))
			}
		}
	}
	if m.key() != electionName {
		return func() {}
	}
	return func() {
		held := s.peek(electionName)
		if held == "" {
			return
		}
		w.carried[held] |= 1 << s.index
		if verb == "read leader" && !m.twin && !m.late {
			w.noteFound(held, s.index)
		}
	}
}

// noteProclaimed notes what is proclaimed under a value of the lock.
func (w *world) noteProclaimed(m *message, call lua.Call) {
	kept := text(call.Arg("record"))
	term, seq, _, _, _ := lua.ReadHeader(kept[:lua.HeaderLength])
	v, value := node.Version{Term: term, Seq: seq}, kept[lua.HeaderLength:]
	w.elected.asked[as(value, v)] = true
	w.writers[as(value, v)] = m.value()
	if last := (sending{m.value(), value}); v.Compare(w.sent[last]) > 0 {
		w.sent[last] = v
	}
}

// noteFound notes that a reader has found a value of the lock on a server.
func (w *world) noteFound(value string, server int) {
	at := w.seenAt[value]
	if at == nil {
		at = slices.Repeat([]time.Duration{-1}, len(w.servers))
		w.seenAt[value] = at
	}
	at[server] = w.moment()
}

// lookElected checks that a leader that is shown was elected, and is called by its name.
func (w *world) lookElected(what string, l election.Leader) (value string) {
	value, known := w.writers[as(l.Value, versionOf(l))]
	switch n := bits.OnesCount(w.carried[value]); {
	case !known:
		w.violated(wasWritten, "%s shows %q of term %d, which nobody had proclaimed", what, l.Value, l.Term)
	case n < w.majority():
		w.violated(wasElected, "%s shows %q of term %d, and its lock was granted by %d of %d servers", what, l.Value, l.Term, n, w.plan.Nodes)
	case l.Holder != "" && !strings.HasSuffix(value, ":"+l.Holder):
		w.violated(wasElected, "%s shows %q of %s, which %s has proclaimed", what, l.Value, l.Holder, w.alias(value))
	}
	return value
}

// foundAt is how many servers were found with a value of the lock since then.
func (w *world) foundAt(value string, since time.Duration) (n int) {
	for _, at := range w.seenAt[value] {
		if at >= since {
			n++
		}
	}
	return n
}

// readLeader notes what Leader has found.
func (c *client) readLeader(what string, begun time.Duration, l election.Leader, err error) {
	w := c.world
	o := leaderOp(what, begun, w.now(), l)
	w.tell(c, func() {
		switch {
		case errors.Is(err, election.ErrNoLeader):
			w.did["nobody led"]++
			w.lookNobody(what, begun)
		case err == nil:
			w.did["a leader was read"]++
			value := w.lookElected(what, l)
			if n := w.foundAt(value, begun); n < w.majority() {
				w.violated(leadsNow, "%s shows %q of term %d, and since it began %d of %d servers were found with its lock", what, l.Value, l.Term, n, w.plan.Nodes)
			}
			if !l.Confirmed {
				w.elected.known(o)
				return
			}
			w.elected.add(o)
		}
	})
}

// lookNobody checks that a leader is shown whose lock was there all the time.
func (w *world) lookNobody(what string, begun time.Duration) {
	for _, p := range w.acked {
		if p.at < begun && p.certain() && w.foundAt(p.value(), begun) >= w.majority() {
			w.violated(foundLater, "%s says that nobody leads, and %v (call %d) does, and has proclaimed %q before it began", what, p.client, p.Call, p.text)
		}
	}
}

// leads notes a leadership that a call has got.
func (s *session) leads(l *election.Leadership) {
	w := s.client.world
	previous, some := l.Previous()
	t := &term{session: s, number: l.Term(), previous: previous}
	if some {
		t.version = versionOf(previous)
	}
	w.tell(s.client, func() {
		w.did["a leader was elected"]++
		w.terms = append(w.terms, t)
		if some {
			what := fmt.Sprintf("Previous of %v (call %d)", s.client, s.Call)
			w.lookElected(what, previous)
			w.elected.known(leaderOp(what, 0, 0, previous))
			if previous.Term >= t.number {
				w.violated(previousIs, "%s is of term %d, and its own is %d", what, previous.Term, t.number)
			}
		}
		for _, p := range w.acked {
			w.lookPrevious(t, p)
		}
	})
}

// lookPrevious checks that a leader has found what an earlier one has proclaimed.
func (w *world) lookPrevious(t *term, p proclaimed) {
	if p.version.Term < int64(t.number) && p.version.Compare(t.version) > 0 {
		w.violated(previousIs, "%v (call %d) leads in term %d, and found %q of %d.%d of its predecessors; %v (call %d) had proclaimed %q as %d.%d",
			t.client, t.Call, t.number, t.previous.Value, t.version.Term, t.version.Seq, p.client, p.Call, p.text, p.version.Term, p.version.Seq)
	}
}

// acknowledged notes a value that was proclaimed.
func (s *session) acknowledged(what, text string, begun time.Duration) {
	w := s.client.world
	ended := w.now()
	w.tell(s.client, func() {
		w.did["a value was proclaimed"]++
		v := w.sent[sending{s.value(), text}]
		w.elected.add(op[node.Version]{what: what, writes: true, begun: begun, ended: ended, version: v, text: as(text, v)})
		p := proclaimed{s, text, v, ended}
		w.acked = append(w.acked, p)
		for _, t := range w.terms {
			w.lookPrevious(t, p)
		}
	})
}

// lookLeads checks what a call that led says when its deadline has passed.
func (s *session) lookLeads() {
	if l := s.leader.Load(); l != nil && !s.client.dead.Load() && l.IsLeader() {
		s.client.world.violated(isLeader, "%v (call %d) says that it leads, which was over at %v", s.client, s.Call, s.client.clock.when(l.Until()))
	}
}

// lookSlept checks that no leader of a machine that slept for longer than it may lead says that
// it leads when the machine wakes. sleep is what sets the clock.
func (w *world) lookSlept(c *client, lasts time.Duration, sleep func()) {
	var over []*session
	for _, s := range w.calls {
		if l := s.leader.Load(); l != nil && s.client == c && !c.clock.wasSet() && c.clock.when(l.Until())+grace < w.moment()+lasts {
			over = append(over, s)
		}
	}
	sleep()
	for _, s := range over {
		w.did["a machine slept until a term was over"]++
		s.lookLeads()
	}
}

// lookWatchers checks, when all has been calm for long, that watchers have seen the newest, and
// observers that nobody leads.
func (w *world) lookWatchers() {
	if len(w.observers)+len(w.boardWatchers) == 0 || w.broken != nil {
		return
	}
	rest := w.moment() + 2*w.plan.TTL + 3*time.Second + 2*clientTimeout
	if w.plan.Real {
		rest += reconnect
	}
	w.at(rest, func() {})
	w.loop(func() bool { return w.moment() >= rest })
	if w.broken != nil {
		return
	}
	for _, x := range w.boardWatchers {
		if newest := w.board.newest(); !x.ended && !x.client.dead.Load() && (!x.told || x.lost || x.last.Compare(newest) < 0) {
			w.violated(seesNewest, "%v's %s %d saw version %v last, and %v is the newest (told %t, unknown %t)", x.client, x.Kind, x.Call, x.last, newest, x.told, x.lost)
		}
	}
	for _, x := range w.observers {
		if !x.ended && !x.client.dead.Load() && (!x.told || x.lost || !x.none) {
			w.violated(seesNewest, "%v's %s %d saw term %d last, and nobody leads (told %t, unknown %t)", x.client, x.Kind, x.Call, x.last.Term, x.told, x.lost)
		}
	}
}
