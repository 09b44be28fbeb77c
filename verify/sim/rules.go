package main

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/quorumlock/quorumlock/pool"
)

// Rules are what the library promises (docs/guarantees.md). They are checked after everything
// that happens. A violation is known by the name of its rule:
const (
	oneHolder   = "at most one certain holder"
	carried     = "a certain holder is carried by a majority" // up to its deadline
	endsInTime  = "contexts end in time"
	ownKeysOnly = "nothing removes another's key"
	noOrphan    = "no orphan after settling"
	progress    = "no waiter waits for ever on a free lock"
	closingEnds = "closing ends"
	nothingLeft = "nothing left running"
	tokensGrow  = "tokens are unique and grow"
	fairOrder   = "first registered, first served"
	ownPosition = "nothing removes another's position in the wait queue"
	noRevival   = "an extension never revives a lock"
	noRetaken   = "an extension counts only nodes that still had the lock"
	keysEnd     = "every key has an end"
	oneGets     = "one of several simultaneous callers gets a free lock"
	noSendAway  = "no waiter is rejected"

	wasWritten   = "what is read was written"
	oneVersion   = "a value has one version"
	laterVersion = "a write is later than all that ended before it began"
	foundLater   = "what was acknowledged is found, or something later"
	neverBack    = "readers never go back"
	watcherBack  = "a watcher never goes back"
	seesNewest   = "a watcher sees the newest in the end"
	wasElected   = "a leader that is shown was elected"
	leadsNow     = "a leader that is shown holds the lock"
	previousIs   = "a leader finds what its predecessors proclaimed"
	asHolder     = "only the holder of a lock publishes as such"
	isLeader     = "no process says that it leads when that is over"
)

// A violation is a rule that was broken.
type violation struct {
	Rule string
	Text string
	At   time.Duration
}

type rules struct {
	world    *world
	broken   *violation
	extended []extension // protected by mu
	away     []sentAway  // protected by mu
	told     []func()    // protected by mu
	calls    []*session  // all, in the order of their beginning
	sessions map[int]*session
	holders  []*session // that hold a lock and may believe so
	dead     []*client
	strays   map[string]bool          // values of keys that may outlive their release, until they expire
	before   []tenure                 // see tenures
	free     map[string]time.Duration // since when a lock is free and waited for
	longest  time.Duration            // that a free lock was waited for
	did      map[string]int           // how often each fault had an effect
	tokens   []token
	fair     order

	elections
}

func (r *rules) begin(w *world) {
	r.world = w
	r.sessions, r.strays = make(map[int]*session), make(map[string]bool)
	r.free = make(map[string]time.Duration)
	r.did = make(map[string]int)
	r.fair.waiting = make(map[*session]time.Duration)
	r.elections.begin(w)
}

func (w *world) violated(rule, format string, args ...any) {
	if w.broken == nil {
		w.broken = &violation{rule, fmt.Sprintf(format, args...), w.moment()}
		w.note(nil, nil, "VIOLATED: %s: %s", rule, w.broken.Text)
		w.end = len(w.lines) // what follows is how everything is taken down
	}
}

// certain reports whether the call has the lock and may believe so. A dead process
// believes nothing.
func (s *session) certain() bool {
	k := s.held.Load()
	if k == nil || s.client.dead.Load() {
		return false
	}
	select {
	case <-k.done:
		return false
	default:
		return true
	}
}

// callsOpen is how many calls of live processes have not ended.
func (w *world) callsOpen() (n int) {
	for _, s := range w.calls {
		if !s.ended.Load() && !s.client.dead.Load() {
			n++
		}
	}
	return n
}

// look is called after everything that happens, when all clients are at rest.
func (w *world) look() {
	holders := w.holders[:0]
	for _, s := range w.calls {
		if !s.certain() {
			continue
		}
		if !s.seen {
			s.seen = true
			w.grant(s)
		}
		holders = append(holders, s)
	}
	w.holders = holders
	for i, s := range holders {
		for _, other := range holders[:i] {
			if s.excludes(other) {
				w.violated(oneHolder, "%v (call %d) and %v (call %d) both hold %s", other.client, other.Call, s.client, s.Call, s.Name)
			}
		}
		if !w.plan.Outside { // where data is lost that says nothing yet
			w.lookCarried(s)
		}
	}
	w.lookExtended()
	w.lookSentAway()
	w.lookTold()
	w.lookFair()
	w.lookProgress()
}

// grant is when a lock is seen for the first time.
func (w *world) grant(s *session) {
	w.lookSlot(s)
	s.finds(w.servers)
	w.lookToken(s)
	w.lookServed(s)
	w.lookShared(s)
	w.watch(s)
}

func (w *world) majority() int { return w.plan.Nodes/2 + 1 }

// carriers is how many servers have the value of a session, or may have forgotten it and
// grant the lock to no other.
func (w *world) carriers(s *session) (n int) {
	for _, server := range w.servers {
		if server.hasAll(s.names, s.value()) || w.plan.Guard && server.keepsOut() {
			n++
		}
	}
	return n
}

func (w *world) lookCarried(s *session) {
	if n := w.carriers(s); n < w.majority() {
		w.violated(carried, "%v (call %d) holds %s until %v, and %d of %d servers carry it", s.client, s.Call, s.Name,
			s.client.clock.when(s.held.Load().Until()), n, w.plan.Nodes)
	}
}

// watch looks right before the deadline of a lock, and after it, again and again as the
// lock is extended.
func (w *world) watch(s *session) {
	end := s.client.clock.when(s.held.Load().Until())
	now := w.moment()
	switch before := end - time.Microsecond; {
	case before > now:
		w.at(before, func() { w.watchOn(s) })
	case end+grace > now:
		w.at(end+grace, func() { w.watchOn(s) })
	case !s.client.clock.wasSet():
		w.violated(endsInTime, "%v (call %d) still holds %s, which it may until %v", s.client, s.Call, s.Name, end)
	default:
		w.after(w.plan.TTL/4, func() { w.watchOn(s) })
	}
}

// grace is how much later than its deadline a context may be found open: timers of a slow
// clock are set several times.
const grace = 10 * time.Microsecond

func (w *world) watchOn(s *session) {
	if s.certain() { // the loop looks at the rest
		w.watch(s)
	} else {
		s.lookLeads()
	}
}

// execute carries out a message on a server, and sees what it does to the key.
func (w *world) execute(server *server, m *message) (r result) {
	before := w.tenures(server, m)
	var positions []position
	if w.plan.Fair {
		positions = server.positions(m.queues())
	}
	server.readOnly = server.demoted > 0 || m.conn != nil && m.conn.old
	published := func() {}
	if w.plan.Elects || w.plan.Boards {
		published = w.lookPublished(server, m)
	}
	r.reply, r.err = server.do(m.args, func(channel, message string) { w.publish(server, channel, message) })
	if r.err != nil && server.readOnly {
		w.did["a server was no master for a while"]++
	}
	again := ""
	if m.twin { // the delay is unknown; such a key expires
		again = " once more"
		w.did["a request was doubled"]++
		w.strays[m.value()] = true
	}
	if refused, _ := r.err.(pool.Error); strings.HasPrefix(string(refused), "GUARDQUARANTINE") {
		w.did["a node was in quarantine"]++
	}
	if w.tracing {
		w.note(nil, server, "does %v of %v%s: %v", m, m.link.client, again, w.reply(r))
	}
	w.lookLocks(server, m, before, r)
	w.lookPositions(server, m, positions)
	published()
	return r
}

// lookForOrphans is called when every Locker said that nothing of it is left.
func (w *world) lookForOrphans() {
	for _, c := range w.clients {
		if c.left != nil {
			w.violated(closingEnds, "%v: %v", c, c.left)
		}
	}
	for _, server := range w.servers {
		for _, name := range w.plan.locks() {
			for _, value := range server.holders(name) {
				if !w.strays[value] && !slices.ContainsFunc(w.dead, func(c *client) bool { return c.owns(value) }) {
					w.violated(noOrphan, "%v still has %s under %s", server, w.alias(value), name)
				}
			}
		}
	}
}

// lookForGoroutines is called when every Locker is closed. What a client that cannot be
// interrupted is still at comes to an end later.
func (w *world) lookForGoroutines(before int) {
	soon := w.moment() + 2*w.plan.NodeTimeout
	if w.plan.Real { // dials without a caller
		soon += 2 * clientTimeout
	}
	w.at(soon, func() {})
	w.loop(func() bool { return w.moment() >= soon })
	for _, c := range w.plan.Clients {
		if c.Stubborn {
			return
		}
	}
	if now := runtime.NumGoroutine(); w.broken == nil && now > before {
		b := make([]byte, 1<<16)
		w.violated(nothingLeft, "%d goroutines are left after everything was closed:\n%s", now-before, b[:runtime.Stack(b, true)])
	}
}

// lookForKeys is called when every lock has expired.
func (w *world) lookForKeys() {
	for _, server := range w.servers {
		for _, name := range w.plan.locks() {
			server.store.now = server.clock.micros() / 1000
			if server.store.find(name) != nil {
				w.violated(noOrphan, "%v still has %s under %s, %v after everything was closed", server, w.alias(fmt.Sprint(server.holders(name))), name, 4*w.plan.TTL)
			}
		}
		for key, e := range server.store.keys {
			if e.ends == 0 && key != marker && !strings.HasSuffix(key, ":value") { // some are published for ever
				w.violated(keysEnd, "%v keeps %s for ever", server, key)
			}
		}
	}
}
