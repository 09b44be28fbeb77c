package redlock

import "time"

// renewals are the locks of a Locker that are to be renewed. They wait for a moment
// that they share with others. A moment has one timer, and there is no goroutine
// before it comes. The Locker's mu protects them.
//
//	renewAt --> moments --(timer)--> due --> at most maxRenewing goroutines --> renewAt
//
// A lock that ends is taken out at once, wherever it waits, and the timer of a moment
// that has lost all its locks is stopped: nothing is left of locks that are not held.
type renewals struct {
	moments map[time.Duration]*moment // that have not come, by when they do
	due     []*moment                 // that have come, oldest first
	running int                       // goroutines that renew
}

// A moment has the locks that are to be renewed then.
type moment struct {
	at    time.Duration // what a clock.Reading's Mono will be
	timer *time.Timer
	locks []*Lock // in no order, each knows its index
}

// maxRenewing bounds the renewals of a Locker that are under way. Ten thousand
// at once would wait for each other until all of them are given up, and then be
// tried again, all at once; one after the other they are done in time.
const maxRenewing = 64

// renewAt has k, which does not wait yet, renewed at a moment: in is how long until
// then. k.mu is held and k has not ended, so forget comes later, and takes it out.
func (l *Locker) renewAt(k *Lock, at, in time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := l.renewals.moments[at]
	if m == nil {
		m = &moment{at: at}
		m.timer = time.AfterFunc(max(in, 1), func() { l.renewAll(m) }) // not 0 or less, see setTimer in package fanout
		l.renewals.moments[at] = m
	}
	k.moment, k.index = m, len(m.locks)
	m.locks = append(m.locks, k)
}

// renewAll runs on the timer of a moment. It has as many goroutines renew as are
// allowed, this one among them. Each ends when nothing is due.
func (l *Locker) renewAll(m *moment) {
	l.mu.Lock()
	r := &l.renewals
	if r.moments[m.at] != m { // all its locks ended meanwhile
		l.mu.Unlock()
		return
	}
	delete(r.moments, m.at)
	r.due = append(r.due, m)
	more := min(len(m.locks), maxRenewing-r.running)
	r.running += more
	l.calls += more
	l.mu.Unlock()
	for ; more > 1; more-- {
		go l.renewDue()
	}
	if more == 1 {
		l.renewDue()
	}
}

// renewDue renews what is due, one lock after the other. Each is decided by the node
// timeout, or at once if its lock ends.
func (l *Locker) renewDue() {
	defer l.leave()
	for k := l.nextDue(); k != nil; k = l.nextDue() {
		k.renew()
	}
}

// nextDue returns a lock to renew, or nil: then the goroutine that asks ends. Once
// Close has begun nothing more is renewed: it ends the locks, and waits for those
// goroutines.
func (l *Locker) nextDue() *Lock {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := &l.renewals
	for ; len(r.due) > 0 && !l.closed; r.due = r.due[1:] {
		if m := r.due[0]; len(m.locks) > 0 {
			return m.take(len(m.locks) - 1)
		}
		r.due[0] = nil
	}
	r.due = nil // let go of the array that was sliced away
	r.running--
	return nil
}

// remove takes out k, which ended. The Locker's mu is held.
func (r *renewals) remove(k *Lock) {
	m := k.moment
	if m == nil {
		return // it does not wait: no keep-alive, or a renewal is under way
	}
	m.take(k.index)
	if len(m.locks) == 0 && r.moments[m.at] == m {
		m.timer.Stop()
		delete(r.moments, m.at)
	}
}

// unplan takes out k, and reports whether it waited for a renewal. k.mu is held.
func (l *Locker) unplan(k *Lock) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	waited := k.moment != nil
	l.renewals.remove(k)
	return waited
}

// take takes out the lock with index i; the last one moves there.
func (m *moment) take(i int) *Lock {
	k, last := m.locks[i], len(m.locks)-1
	m.locks[i] = m.locks[last]
	m.locks[i].index = i
	m.locks[last] = nil
	m.locks = m.locks[:last]
	k.moment = nil
	return k
}
