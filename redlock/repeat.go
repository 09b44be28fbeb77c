package redlock

import (
	"context"
	"sync"
	"time"

	"github.com/quorumlock/quorumlock/internal/fanout"
	"github.com/quorumlock/quorumlock/internal/random"
)

// A round without any winner must not be reported as "taken", which a caller reads as
// "another one does it". Three things cause such a round:
//
//   - The vote was split. Several contenders took some nodes each, and none a majority.
//   - Leftovers of this Locker were in the way: keys that it is deleting.
//   - The fencing token was too small. The answers contain a larger one.
//
// Such a round is repeated, at once if no contender was seen, or else at first after a random pause of up to two round trips (the
// "random delay" of the Redis page), then of up to four, eight and so on, up to a node
// timeout. Contenders that go on meeting each other so become few, and one is enough to
// win. Those of one Locker repeat one at a time, see turns. Nothing is repeated when two node
// timeouts have passed since the first such round.
type repeats struct {
	n     int       // in a row
	until time.Time // no more of them begin
	turn  *turn     // that this caller has, nil if it has none
}

// turns are those of the callers of one Locker that repeat attempts for a key: one at a time.
// Otherwise they would go on meeting each other, and one alone may win where so many nodes are
// down that every other one is needed. It is safe for concurrent use.
type turns struct {
	mu    sync.Mutex
	byKey map[string]*turn
}

// A turn is that of one key.
type turn struct {
	key     string
	taken   chan struct{} // has room for one
	callers int           // that have it, or wait for it; protected by turns.mu
}

// takeTurn waits for the turn of r, until its repeats end. It returns false if ctx ends or the
// Locker closes.
func (l *Locker) takeTurn(ctx context.Context, r *request) bool {
	ts := &l.turns
	ts.mu.Lock()
	t := ts.byKey[r.key]
	if t == nil {
		t = &turn{key: r.key, taken: make(chan struct{}, 1)}
		if ts.byKey == nil {
			ts.byKey = make(map[string]*turn)
		}
		ts.byKey[r.key] = t
	}
	t.callers++
	ts.mu.Unlock()
	timer := time.NewTimer(time.Until(r.repeats.until))
	defer timer.Stop()
	select {
	case t.taken <- struct{}{}:
		r.repeats.turn = t
		return true
	case <-timer.C: // the one that has it goes on
	case <-l.closing:
	case <-ctx.Done():
	}
	ts.leave(t)
	return false
}

// giveTurn gives the turn of r to the next caller, if r has it.
func (l *Locker) giveTurn(r *request) {
	t := r.repeats.turn
	if t == nil {
		return
	}
	r.repeats.turn = nil
	<-t.taken
	l.turns.leave(t)
}

func (ts *turns) leave(t *turn) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if t.callers--; t.callers == 0 {
		delete(ts.byKey, t.key)
	}
}

// shortTrip stands for a round trip that took less: two processes of one machine are
// apart by more.
const shortTrip = 100 * time.Microsecond

// answers reports whether the attempt that failed with o is an answer, and not to be repeated.
func (o outcome) answers() bool { return !o.ours && !o.tokenTooSmall && !o.split }

// repeat waits until it is time to repeat the attempt that failed with o. It returns
// false if the attempt is an answer, or was repeated for long enough, or if ctx ends or
// the Locker closes.
func (l *Locker) repeat(ctx context.Context, r *request, o outcome) bool {
	a := &r.repeats
	now := time.Now()
	switch {
	case o.answers():
		l.giveTurn(r)
		*a = repeats{}
		return false
	case a.n == 0:
		a.until = now.Add(2 * r.nodeTimeout)
	case !now.Before(a.until):
		l.giveTurn(r)
		*a = repeats{}
		return false
	}
	a.n++
	if a.turn == nil && (o.split || o.ours) && !l.takeTurn(ctx, r) {
		return false
	}
	if !l.outlast(ctx, o.leftovers) {
		return false
	}
	if !o.split && a.n == 1 {
		return true // there may be no other contender
	}
	window := r.nodeTimeout
	if took := max(o.Took, shortTrip); took < window>>a.n {
		window = took << a.n
	}
	return l.hub.Pause(ctx, random.N(window+1))
}

// outlast waits until the leftovers are gone. It returns false if ctx ends or the Locker
// closes.
func (l *Locker) outlast(ctx context.Context, leftovers []fanout.Leftover) bool {
	for _, leftover := range leftovers {
		select {
		case <-leftover.Gone():
		case <-l.closing:
			return false
		case <-ctx.Done():
			return false
		}
	}
	return true
}
