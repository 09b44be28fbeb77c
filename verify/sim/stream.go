package main

import "time"

// A stream of readers, in calm weather: each comes again as soon as it has left, so that some always
// hold the lock. A writer that waits has to get it all the same.

const (
	streamName = "stream"
	streamCall = 2000 // numbers of calls from here on
)

// stream is called when all else is over.
func (w *world) stream() {
	if w.plan.Stream == 0 || w.broken != nil {
		return
	}
	n := 0
	begin := func(k kind, lasts time.Duration) *session {
		e := event{At: w.moment(), Kind: k, Client: n % len(w.clients), Call: streamCall + n, Name: streamName, Fair: w.plan.Fair, For: lasts}
		n++
		s := w.clients[e.Client].begin(e)
		w.calls = append(w.calls, s)
		return s
	}
	w.note(nil, nil, "%d READERS of %s come again and again", w.plan.Stream, streamName)
	lasts := w.plan.TTL / 2
	readers := make([]*session, w.plan.Stream)
	var writer *session
	came := 0
	limit := w.moment() + 3*lasts + w.patience()
	w.at(limit, func() {})
	w.loop(func() bool {
		for i, s := range readers {
			if s == nil || s.ended.Load() {
				chance := newLuck(w.plan.Seed, streamCall, n)
				readers[i] = begin(readCall, chance.between(lasts/2, lasts))
				came++
			}
		}
		if writer == nil && came > 2*w.plan.Stream {
			writer = begin(lockCall, 1)
			limit = w.moment() + lasts + w.patience()
			w.at(limit, func() {})
		}
		return w.moment() >= limit || writer != nil && writer.over()
	})
	if w.broken != nil {
		return
	}
	w.did["readers came in a stream"]++
	if writer == nil || !writer.over() {
		w.violated(noStarving, "%d readers came since a writer waits for %s, which it has done for %v", came, streamName, lasts+w.patience())
		return
	}
	w.loop(func() bool { return w.callsOpen() == 0 })
}
