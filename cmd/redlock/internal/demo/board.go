package demo

import (
	"fmt"
	"sync"
	"time"

	"github.com/quorumlock/quorumlock/redlock"
)

// A board records the events of workers and director. The screen and the summary read it.
type board struct {
	began time.Time

	mu        sync.Mutex // protects the rest
	nodes     [nodeCount]nodeState
	workers   []workerState
	events    []event
	tally     tally
	troubles  map[string]trouble // by operation
	lastGrant time.Time
	open      int       // losses with no grant since
	lostAt    time.Time // time of the last loss
}

// tally counts.
type tally struct {
	granted, lost, regained int
}

type nodeState int

const (
	up nodeState = iota
	stopped
	frozen
)

type activity int

const (
	rests activity = iota
	waits
	holds
)

type workerState struct {
	name    string
	now     activity
	asked   int // for the lock; each time it is granted it, fails, or the demo ends
	granted int
	lost    int
	request *redlock.Pending // while it waits
	lock    *redlock.Lock    // while it holds
	since   time.Time
}

// trouble is a failure that repeats.
type trouble struct {
	event int // where it was noted
	last  time.Time
}

type eventKind int

const (
	faultEvent   eventKind = iota // what the script did
	troubleEvent                  // failures of workers
	lossEvent
	gainEvent
	alarmEvent // two holders
)

type event struct {
	at    time.Duration
	kind  eventKind
	text  string
	times int // see trouble
}

func newBoard(names []string) *board {
	b := &board{began: time.Now(), troubles: map[string]trouble{}}
	for _, name := range names {
		b.workers = append(b.workers, workerState{name: name})
	}
	return b
}

func (b *board) note(kind eventKind, text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.add(event{kind: kind, text: text})
}

// add appends an event. b.mu is held.
func (b *board) add(e event) {
	e.at, e.times = time.Since(b.began), 1
	b.events = append(b.events, e)
}

// calm is the time without failures after which a failure is a new event.
const calm = 2 * time.Second

// trouble records a failure of the operation op. Failures repeat: the first one is an event, the
// others are counted, until there was a grant and then no failure for calm.
func (b *board) trouble(op, text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	old, noted := b.troubles[op]
	if noted && (b.lastGrant.Before(old.last) || now.Sub(old.last) < calm) {
		b.events[old.event].times++
		b.troubles[op] = trouble{old.event, now}
		return
	}
	b.troubles[op] = trouble{len(b.events), now}
	b.add(event{kind: troubleEvent, text: text})
}

func (b *board) setNode(i int, s nodeState) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.nodes[i] = s
}

// waiting records that worker i has requested the lock.
func (b *board) waiting(i int, request *redlock.Pending) {
	b.mu.Lock()
	defer b.mu.Unlock()
	w := &b.workers[i]
	w.now, w.request = waits, request
	w.asked++
}

// resting records that worker i does not want the lock.
func (b *board) resting(i int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.workers[i].now, b.workers[i].request = rests, nil
}

// granted records that worker i has the lock.
func (b *board) granted(i int, lock *redlock.Lock) {
	b.mu.Lock()
	defer b.mu.Unlock()
	w := &b.workers[i]
	w.now, w.request, w.lock, w.since = holds, nil, lock, time.Now()
	w.granted++
	b.tally.granted++
	b.lastGrant = time.Now()
	if b.open > 0 {
		b.add(event{kind: gainEvent, text: fmt.Sprintf("%s has the lock, %s after it was lost", w.name, seconds(time.Since(b.lostAt)))})
		b.tally.regained += b.open
		b.open = 0
	}
}

// released records that worker i no longer relies on the lock.
func (b *board) released(i int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.workers[i].now, b.workers[i].lock = rests, nil
}

// lostBy records that worker i lost the lock.
func (b *board) lostBy(i int, cause error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	w := &b.workers[i]
	w.lost++
	b.tally.lost++
	b.open++
	b.lostAt = time.Now()
	b.add(event{kind: lossEvent, text: fmt.Sprintf("%s lost the lock: %s", w.name, reason(cause))})
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
