package main

import (
	"context"
	"slices"

	"github.com/quorumlock/quorumlock/redlock"
)

// A set is a call that takes several locks, or none.

func (s *session) takeAll(ctx context.Context, opts []redlock.LockOption) (*redlock.Lock, error) {
	switch s.Kind {
	case tryAll:
		return s.client.locker.TryLockAll(ctx, s.names, opts...)
	case asyncAll:
		p := s.client.locker.LockAllAsync(ctx, s.names, opts...)
		k, err := p.Wait(ctx)
		if err != nil {
			p.Cancel()
		}
		return k, err
	}
	return s.client.locker.LockAll(ctx, s.names, opts...)
}

// overlaps reports whether two calls want a lock of the same name.
func (s *session) overlaps(other *session) bool {
	return slices.ContainsFunc(s.names, func(name string) bool { return slices.Contains(other.names, name) })
}

// pluckAtEnd deletes the key of one of several locks, by hand, on some servers. It is called when the
// holder gives them up, and its releases are on their way.
func (s *session) pluckAtEnd() {
	w := s.client.world
	now := w.now()
	w.tell(s.client, func() {
		w.quietlyAt(now, func() {
			for i, server := range w.servers {
				chance := newLuck(w.plan.Seed, s.Call, i)
				if chance.in(2) {
					s.pluckOn(server, s.names[chance.below(int64(len(s.names)))])
				}
			}
		})
	})
}

// pluck does so on one server while they are held, if the holder can do without that server: a majority
// of others has all keys for as long as it holds them, and no extension is under way that may count it.
func (s *session) pluck(server *server) {
	w := s.client.world
	if !s.certain() || s.KeepAlive || s.extending.Load() > 0 || len(s.names) < 2 {
		return
	}
	end := s.client.clock.when(s.held.Load().Until())
	firm := 0
	for _, other := range w.servers {
		by := other.clock.microsAt(end) / 1000
		lost := func(name string) bool { return !other.has(name, s.value()) || other.store.keys[name].ends <= by }
		if other != server && !slices.ContainsFunc(s.names, lost) {
			firm++
		}
	}
	if firm >= w.majority() {
		chance := newLuck(w.plan.Seed, s.Call, server.index, 1)
		s.pluckOn(server, s.names[chance.below(int64(len(s.names)))])
	}
}

func (s *session) pluckOn(server *server, name string) {
	w := s.client.world
	if server.has(name, s.value()) {
		w.note(nil, server, "DEL %s, by hand", name)
		w.did["a key of a set was deleted by hand"]++
		server.store.del(name)
	}
}
