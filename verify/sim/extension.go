package main

import (
	"context"
	"time"
)

// An extension is a call of Extend that returned nil.
type extension struct {
	*session
	done  string // "extended", or "downgraded"
	begun time.Duration
	ended bool // the lock had ended before it began
}

// extend is one call of Extend by the holder.
func (s *session) extend() {
	k := s.held.Load()
	if k == nil {
		return
	}
	s.prolong("extended", k.Extend)
}

// prolong extends the lock in one of the ways that there are.
func (s *session) prolong(done string, extend func(context.Context) error) {
	s.client.calls.Add(1)
	s.extending.Add(1)
	begun, ended := s.client.world.now(), !s.certain()
	go func() { // ends at the node timeout
		defer s.client.calls.Done()
		err := extend(context.WithValue(context.Background(), sessionKey{}, s))
		s.extending.Add(-1)
		s.say("%s %s: %v", done, s.Name, err)
		if err == nil {
			s.client.world.extends(extension{s, done, begun, ended})
		}
		s.client.world.wake()
	}()
}

// extends notes an extension. It is called by goroutines of clients.
func (w *world) extends(e extension) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.extended = append(w.extended, e)
}

func (w *world) lookExtended() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.extended {
		if e.done == "downgraded" && !e.reads() {
			w.did["a holder became a reader"]++
		}
		if e.ended {
			w.violated(noRevival, "%v (call %d) extended %s, and it had ended before", e.client, e.Call, e.Name)
		}
		had := 0
		for _, at := range e.had {
			if at >= e.begun {
				had++
			}
		}
		if had < w.majority() {
			w.violated(noRetaken, "%v (call %d) extended %s, and since %v %d of %d servers found that it had it", e.client, e.Call, e.Name, e.begun, had, w.plan.Nodes)
		}
	}
	w.extended = nil
}

// prolonged notes that a server had the value that an extension asked for.
func (w *world) prolonged(server *server, value string) {
	for _, s := range w.calls {
		if len(s.values) > 0 && s.value() == value {
			s.had[server.index] = w.moment()
		}
	}
}
