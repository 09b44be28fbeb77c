package main

import "time"

// A history is what was written to one register and read from it: to a path of a board, or to
// an election.
//
// Whether it is linearizable need not be searched for. Each write has a version of its own, and
// all say which version they are about. So there is one order to check: by version, a write
// before the reads of it. It is one of a register, since a read has the text of the write before
// it. It is the order of time as well if no operation has a smaller version than one that ended
// before it began: and a write has a larger one. That is what is checked, of any two. An
// operation that failed has no version. It counts as a write if its text was read, and otherwise
// as one that never took effect.
type history[V version[V]] struct {
	world    *world
	asked    map[string]bool // texts that somebody has begun to write
	versions map[string]V    // of texts that were written, or read
	texts    map[V]string
	ops      []op[V] // in the order in which they ended
}

type version[V any] interface {
	comparable
	Compare(V) int
}

// An op is a write that was acknowledged, or a read of a value that a majority has confirmed.
type op[V any] struct {
	what         string
	writes       bool
	begun, ended time.Duration
	version      V // zero if nothing was there
	text         string
	gone         bool // the text has expired
}

func newHistory[V version[V]](w *world) *history[V] {
	return &history[V]{world: w, asked: make(map[string]bool), versions: make(map[string]V), texts: make(map[V]string)}
}

// known checks that a text that was read is one that was written, as one version.
func (h *history[V]) known(o op[V]) {
	var none V
	if o.version == none || o.gone {
		return
	}
	w := h.world
	if !h.asked[o.text] {
		w.violated(wasWritten, "%s found %q, which nobody had begun to write", o.what, o.text)
	}
	if v, known := h.versions[o.text]; known && v != o.version {
		w.violated(oneVersion, "%s: %q has version %v, and had version %v", o.what, o.text, o.version, v)
	}
	if text, known := h.texts[o.version]; known && text != o.text {
		w.violated(oneVersion, "%s: version %v is %q, and was %q", o.what, o.version, o.text, text)
	}
	h.versions[o.text], h.texts[o.version] = o.version, o.text
}

// add checks an operation against all that ended before it began.
func (h *history[V]) add(o op[V]) {
	h.known(o)
	for _, e := range h.ops {
		order := e.version.Compare(o.version)
		switch {
		case e.ended >= o.begun || order < 0 || order == 0 && !o.writes:
		case o.writes:
			h.world.violated(laterVersion, "%s wrote %q with version %v, and before it began %s had %v", o.what, o.text, o.version, e.what, e.version)
		case e.writes:
			h.world.violated(foundLater, "%s found %q of version %v, and before it began %s had written %q with %v", o.what, o.text, o.version, e.what, e.text, e.version)
		default:
			h.world.violated(neverBack, "%s found %q of version %v, and before it began %s had found %q of %v", o.what, o.text, o.version, e.what, e.text, e.version)
		}
	}
	h.ops = append(h.ops, o)
}

// newest is the largest version of an operation that has ended.
func (h *history[V]) newest() (newest V) {
	for _, o := range h.ops {
		if o.version.Compare(newest) > 0 {
			newest = o.version
		}
	}
	return newest
}

// A watching is one watcher, or observer.
type watching[V version[V]] struct {
	event
	client *client
	begun  time.Duration
	told   bool
	last   V    // that it was told of
	none   bool // the last thing it was told is that there is none
	lost   bool // or that too few nodes answer
	ended  bool
}

// sees checks that a watcher does not go back.
func (h *history[V]) sees(x *watching[V], o op[V]) {
	if o.version.Compare(x.last) < 0 {
		h.world.violated(watcherBack, "%s saw %q of version %v after version %v", o.what, o.text, o.version, x.last)
	}
	x.told, x.last, x.none, x.lost = true, o.version, false, false
}

// tell has the loop take note of something that a goroutine of a client has found. What a dead
// process found counts for nothing.
func (w *world) tell(c *client, note func()) {
	if c.dead.Load() {
		return
	}
	w.mu.Lock()
	w.told = append(w.told, note)
	w.mu.Unlock()
	w.wake()
}

func (w *world) lookTold() { w.take(&w.told) }

// take makes the notes that goroutines of clients have left, which w.mu protects. It is called by
// the loop.
func (w *world) take(notes *[]func()) {
	w.mu.Lock()
	all := *notes
	*notes = nil
	w.mu.Unlock()
	for _, note := range all {
		note()
	}
}
