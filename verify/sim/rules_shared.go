package main

import (
	"slices"
	"strings"
	"time"
)

// What a server does to the locks that a message is about. Each of these rules is of one server and one
// command, and is looked at after every one.

const (
	stillHas    = "a server prolongs a set, or a reader, only if it still has it"
	givesBack   = "a release gives back every name"
	ownLease    = "a reader's lease is its own"
	noNewReader = "no new reader is let in where a writer waits that found readers"
	noStarving  = "readers do not keep a writer out for ever"
	readerToken = "a reader's token is no smaller than that of a writer before it"
)

// A tenure is what a server has under the name of one lock.
type tenure struct {
	name    string
	only    string           // the value that holds it alone, "" for none
	readers map[string]int64 // the values of readers that have not ended, with when they end
	ends    int64            // when the key expires
	last    int64            // when the last reader ends
	keptOut bool             // a writer waits, and lets no new readers in
}

func (n *server) tenure(name string) tenure {
	n.store.now = n.clock.micros() / 1000
	t := tenure{name: name}
	e := n.store.find(name)
	if e == nil {
		return t
	}
	t.only, t.ends = e.text, e.ends
	if e.line == nil {
		return t
	}
	t.readers = make(map[string]int64)
	for value, ends := range e.line {
		if t.last = max(t.last, ends); ends > n.store.now {
			t.readers[value] = min(ends, e.ends)
		}
	}
	return t
}

// has reports whether a value holds the lock.
func (t tenure) has(value string) bool {
	return value != "" && (t.only == value || t.readers[value] > 0)
}

// tenures are those of all locks that a message is about, in memory that is used again.
func (w *world) tenures(server *server, m *message) []tenure {
	all := w.before[:0]
	for _, name := range m.keys() {
		if !isPublished(name) {
			t := server.tenure(name)
			t.keptOut = w.plan.Readers && server.store.find("{"+name+"}:intent") != nil
			all = append(all, t)
		}
	}
	w.before = all
	return all
}

// isPublished reports whether a key is that of a published value.
func isPublished(key string) bool {
	return strings.HasSuffix(key, ":value") || strings.HasSuffix(key, ":leader")
}

// lookLocks checks what a message did to its locks.
func (w *world) lookLocks(server *server, m *message, before []tenure, r result) {
	value, verb := m.value(), m.verb()
	had := len(before) > 0 && !slices.ContainsFunc(before, func(t tenure) bool { return !t.has(value) })
	if strings.HasPrefix(verb, "extend") && r.reply == int64(1) {
		if had {
			w.prolonged(server, value)
		} else if verb != "extend" {
			w.violated(stillHas, "%v prolonged %v of %v, which had ended there", server, m, m.link.client)
		}
	}
	w.lookTakenSlot(server, m, before)
	for _, t := range before {
		w.lookOthers(server, m, t)
		after := server.tenure(t.name)
		switch {
		case after.readers != nil && after.ends != after.last:
			w.violated(ownLease, "%v of %v made %s on %v expire at %d, and the last reader ends at %d", m, m.link.client, t.name, server, after.ends, after.last)
		case strings.HasPrefix(verb, "release") && r.err == nil && after.has(value):
			w.violated(givesBack, "%v still has %s of %v after %v", server, t.name, m.link.client, m)
		case !t.keptOut || t.has(value) || !strings.HasPrefix(verb, "acquire shared"):
		case !after.has(value):
			w.did["a reader was kept out for a writer"]++
		default:
			w.violated(noNewReader, "%v of %v was let in on %v, where a writer waits that found readers of %s", m, m.link.client, server, t.name)
		}
	}
}

// lookOthers checks that a message left alone what others hold.
func (w *world) lookOthers(server *server, m *message, before tenure) {
	value := m.value()
	if before.only != "" && before.only != value {
		if after := server.tenure(before.name); after.only != before.only || after.ends != before.ends {
			w.violated(ownKeysOnly, "%v of %v turned %s on %v into %q", m, m.link.client, w.alias(before.only), server, w.alias(after.only))
		}
	}
	if len(before.readers) == 0 {
		return
	}
	after := server.tenure(before.name)
	for reader, ends := range before.readers {
		if reader == value {
			continue
		}
		switch left, there := after.readers[reader]; {
		case !there:
			w.violated(ownKeysOnly, "%v of %v took %s on %v from %s, which reads until %d", m, m.link.client, before.name, server, w.alias(reader), ends)
		case left != ends:
			w.violated(ownLease, "%v of %v has %s on %v end at %d, which reads until %d", m, m.link.client, w.alias(reader), server, left, ends)
		}
	}
}

// lookReaderToken checks the token of a reader: it is no smaller than that of any writer before it. A node
// that has lost its data does not remember them.
func (w *world) lookReaderToken(s *session, value uint64) {
	var lost time.Duration
	for _, server := range w.servers {
		lost = max(lost, server.lostAt)
	}
	newest := uint64(0)
	for _, earlier := range w.tokens {
		if earlier.name != s.Name || earlier.reader {
			continue
		}
		if newest = max(newest, earlier.value); earlier.value > value && earlier.begun > lost {
			w.violated(readerToken, "%v (call %d) reads with token %d; a writer had %d before", s.client, s.Call, value, earlier.value)
		}
	}
	if value > newest {
		w.did["a reader's token is that of an attempt which failed"]++
	}
}

// lookShared notes that a set or a reader was granted.
func (w *world) lookShared(s *session) {
	if len(s.names) > 1 {
		w.did["a set was granted"]++
	}
	if !s.reads() {
		return
	}
	w.did["a reader was let in"]++
	clear(w.free) // what others wait for may go on to be free, for them, but one of them got it
	if slices.ContainsFunc(w.holders, func(other *session) bool { return other != s && other.overlaps(s) && other.reading() }) {
		w.did["readers held a lock together"]++
	}
}
