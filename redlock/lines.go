package redlock

import (
	"sync"
	"time"

	"github.com/quorumlock/quorumlock/internal/fanout"
	"github.com/quorumlock/quorumlock/pool"
)

// Those who call Lock on one Locker for the same name stand in line, in order of
// arrival. Only the first of a line talks to the nodes; the others cost a node
// nothing, however many they are. Whoever was granted the lock stays in front
// until it ends, so the second does not ask in vain.
//
// What is handed on is the turn, never the lock: every acquisition is a fresh one
// with a value of its own.
type lines struct {
	mu    sync.Mutex
	byKey map[string]line // those that somebody stands in, or that have a rival
	ears  map[string]*ear // by channel, of those in front that wait

	watchers map[string]map[*watch]bool // by channel

	// forsaken is called when nobody with a ticket is left in a line whose place the
	// nodes know.
	forsaken func(key string, left fanout.Position)

	sweepAt int // size of byKey at which to look for rivals that are gone

	// The largest ticket that was drawn, for any lock. None is drawn twice: nodes forget
	// where a line has got to, and a release takes along the places up to its own ticket.
	drawn int64
}

// A line is a list of places. It has 128 bytes at most: a map gives a larger value a piece
// of memory of its own.
//
// Tens of thousands may stand in line, and give up in one moment, and mu is for all names.
// So nothing walks along a line. What tickets are drawn for is walked once (undrawn).
type line struct {
	first, last *place
	met         error  // the last attempt, if nobody has got the lock since
	rival       *rival // nil if nobody waits elsewhere
	count       int64  // of places
	joined      uint64 // who joined last

	// With WithFair.
	fair    int64  // places that draw tickets
	asked   uint64 // who had joined last when the last attempt began
	undrawn *place // the first of those who joined later than the attempt that drew last
	drawn   int64  // the largest ticket, of those who have left, too
	told    fanout.Position
	front   int64 // the smallest ticket of all Lockers, as the nodes said, 0 if they did not
}

// A rival waits for the same lock at another Locker, as the last release found out.
type rival struct {
	name string
	took time.Duration // that release
	at   time.Time     // of it
	row  int           // releases one after the other that found the same one waiting
}

// maxRow is how many locks in a row a line may get, while the same caller of another
// Locker waits, until the next one in line lets a whole retry delay pass. It hears of
// a release before anybody else does, and could win every time.
const maxRow = 8

// A place is one caller in a line.
type place struct {
	lines *lines
	key   string
	turn  chan struct{} // closed when it is the first; nil if it was from the start
	news  chan struct{} // has room for one: somebody joined behind; nil unless fair
	fair  bool          // it draws a ticket
	seq   uint64        // in the order of joining: never larger than that of who is behind
	lease time.Duration // for how long the nodes are to keep it
	mark  time.Duration // and to tell of releases

	// Protected by lines.mu.
	ahead, behind *place
	before        int64 // see most
	lock          *Lock // once it was granted
	ticket        int64 // with WithFair, once the nodes were asked for the last one
	ear           *ear  // that of who was granted the lock before, whose attempt announced the ticket
	gone          bool
}

func newLines() lines {
	return lines{byKey: make(map[string]line), ears: make(map[string]*ear), watchers: make(map[string]map[*watch]bool)}
}

// join stands a caller in line. If somebody in front holds the lock, it is
// returned: nobody else may be watching for its end.
func (l *lines) join(key string, s *settings) (p *place, holder *Lock) {
	l.mu.Lock()
	defer l.mu.Unlock()
	in := l.byKey[key]
	in.joined++
	p = &place{lines: l, key: key, fair: s.fair, seq: in.joined, before: in.count}
	in.count++
	if s.fair {
		in.fair++
		p.lease, p.mark = s.placeLease(), s.markTTL()
		p.news = make(chan struct{}, 1)
	}
	if in.first == nil {
		if in.rival != nil && in.rival.gone() {
			in = line{joined: in.joined, count: in.count, fair: in.fair}
		}
		in.first = p
	} else {
		p.turn = make(chan struct{})
		p.ahead, in.last.behind = in.last, p
		holder = in.first.lock
		select {
		case in.first.news <- struct{}{}:
		default:
		}
	}
	in.last = p
	if in.undrawn == nil {
		in.undrawn = p
	}
	l.byKey[key] = in
	return p, holder
}

// granted notes that the first of a line has the lock, and reports whether
// somebody waits for its end.
func (p *place) granted(k *Lock) (awaited bool) {
	l := p.lines
	l.mu.Lock()
	defer l.mu.Unlock()
	p.lock = k
	if in, ok := l.byKey[p.key]; ok && !p.gone {
		in.met = nil
		l.byKey[p.key] = in
	}
	return p.behind != nil
}

// released notes what a release found out, who waits at another Locker, and how long
// it took.
func (p *place) released(by string, took time.Duration) {
	if p == nil {
		return
	}
	l := p.lines
	l.mu.Lock()
	defer l.mu.Unlock()
	if in, ok := l.byKey[p.key]; ok && !p.gone {
		switch {
		case by == "":
			in.rival = nil
		case in.rival == nil || in.rival.name != by:
			in.rival = &rival{name: by}
		}
		if r := in.rival; r != nil {
			r.row++
			r.took, r.at = took, time.Now()
		}
		l.byKey[p.key] = in
	}
}

// gone reports whether it is, as far as anybody knows.
func (r *rival) gone() bool { return time.Since(r.at) > maxMark }

// passed is how many locks in a row the line was granted while the same caller of
// another Locker waits, 0 if none does, and how long a round trip takes.
func (p *place) passed() (row int, took time.Duration) {
	l := p.lines
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.byKey[p.key].rival
	if r == nil {
		return 0, 0
	}
	return r.row, r.took
}

// listen has an ear told of what is heard on its channel.
func (l *lines) listen(e *ear) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ears[e.channel] = e
}

// unlisten ends that, unless the next in line listens already.
func (l *lines) unlisten(e *ear) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ears[e.channel] == e {
		delete(l.ears, e.channel)
	}
}

// tell passes on what node i said.
func (l *lines) tell(i int, event pool.Event) {
	l.mu.Lock()
	e := l.ears[event.Channel]
	for w := range l.watchers[event.Channel] {
		w.hear(event)
	}
	l.mu.Unlock()
	if e != nil {
		e.note(i, event)
	}
}

// waiting is how many stand in a line, without the one who holds the lock.
func (l *lines) waiting(key string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	in := l.byKey[key]
	if in.first != nil && in.first.lock != nil {
		return int(in.count) - 1
	}
	return int(in.count)
}

// leave gives up the place, if there is one. It may be called again.
func (p *place) leave() {
	if p == nil {
		return
	}
	if left := p.part(); left.Ticket > 0 {
		p.lines.forsaken(p.key, left)
	}
}

// part gives up the place. If nobody with a ticket is left, it returns what the nodes were
// told.
func (p *place) part() (left fanout.Position) {
	l := p.lines
	l.mu.Lock()
	defer l.mu.Unlock()
	if p.gone {
		return left
	}
	p.gone = true
	in := l.byKey[p.key]
	in.count--
	if p.fair {
		in.fair--
	}
	if p.ahead == nil {
		in.first = p.behind
	} else {
		p.ahead.behind = p.behind
	}
	if p.behind == nil {
		in.last = p.ahead
	} else {
		p.behind.ahead = p.ahead
	}
	if p.ahead == nil && in.first != nil {
		close(in.first.turn)
	}
	if in.undrawn == p {
		in.undrawn = p.behind
	}
	p.ahead, p.behind = nil, nil
	if in.fair == 0 {
		left, in.told, in.drawn = in.told, fanout.Position{}, 0
	}
	if in.first == nil && in.rival == nil {
		delete(l.byKey, p.key)
		return left
	}
	l.byKey[p.key] = in
	if in.first == nil {
		l.sweep()
	}
	return left
}

// sweep forgets the lines that nobody stands in and whose rivals have not been
// heard of lately. Doing so whenever the number has doubled costs little per line.
// l.mu is held.
func (l *lines) sweep() {
	if len(l.byKey) <= l.sweepAt {
		return
	}
	for key, in := range l.byKey {
		if in.first == nil && in.rival.gone() {
			delete(l.byKey, key)
		}
	}
	l.sweepAt = max(2*len(l.byKey), 64)
}

// failed notes what an attempt of the first in line met.
func (p *place) failed(err error) {
	if p == nil {
		return
	}
	l := p.lines
	l.mu.Lock()
	defer l.mu.Unlock()
	if in, ok := l.byKey[p.key]; ok && !p.gone {
		in.met = err
		l.byKey[p.key] = in
	}
}

// met is what the last attempt of the line met, if nobody has got the lock since.
func (p *place) met() error {
	p.lines.mu.Lock()
	defer p.lines.mu.Unlock()
	return p.lines.byKey[p.key].met
}

// inFront is how many stand in front, at most, and what the last attempt of the line met: nil
// if one of them has the lock, or nobody has asked yet.
func (p *place) inFront() (most int, met error) {
	p.lines.mu.Lock()
	defer p.lines.mu.Unlock()
	in := p.lines.byKey[p.key]
	return p.most(in), in.met
}

// most is how many stand in front, or more: of those who gave up some may be counted until
// those before them are gone, too. It never grows. lines.mu is held.
func (p *place) most(in line) int {
	if p.gone {
		return 0
	}
	p.before = min(p.before, in.count-1, int64(p.seq-in.first.seq))
	return int(p.before)
}
