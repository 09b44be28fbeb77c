package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/quorumlock/quorumlock/board"
	"github.com/quorumlock/quorumlock/election"
	"github.com/quorumlock/quorumlock/redlock"
)

// values are what a worker publishes and watches with.
type values struct {
	board     *board.Board
	elections map[string]*election.Election
}

// openValues begins to watch each election and each path. What it begins ends with stop.
func (w *worker) openValues() (stop func(), err error) {
	if w.board, err = board.New(w.locker); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	w.elections = make(map[string]*election.Election)
	for _, name := range w.Run.Elections {
		e, err := election.New(w.locker, name)
		if err != nil {
			cancel()
			return nil, err
		}
		w.elections[name] = e
		changes, err := e.Observe(ctx)
		if err != nil {
			cancel()
			return nil, err
		}
		all.Go(func() { w.observe(name, changes) }) // ends with ctx
	}
	for _, path := range w.Run.Paths {
		changes, err := w.board.Watch(ctx, path)
		if err != nil {
			cancel()
			return nil, err
		}
		all.Go(func() { w.watch(path, changes) }) // ends with ctx
	}
	return func() { cancel(); all.Wait() }, nil
}

func (w *worker) observe(name string, changes <-chan election.Change) {
	for c := range changes {
		u := Use{Kind: observe, Client: w.Clients[0], Name: name, Life: w.Life, Begun: w.clock.now(), None: c.Kind == election.None}
		u.Value, u.Term, u.Seq, u.Confirmed = c.Leader.Value, c.Leader.Term, c.Leader.Seq, c.Leader.Confirmed
		w.used(u, c.Err)
	}
}

func (w *worker) watch(path string, changes <-chan board.Change) {
	for c := range changes {
		u := Use{Kind: watch, Client: w.Clients[0], Name: path, Life: w.Life, Begun: w.clock.now(), None: c.Kind == board.None}
		w.usedEntry(u, c.Entry, c.Err)
	}
}

// look asks now and then for the leader.
func (w *worker) look(rng *rand.Rand, client int) {
	if names := w.Run.Elections; len(names) > 0 && rng.IntN(4) == 0 {
		w.readLeader(client, names[rng.IntN(len(names))])
	}
}

// use publishes on a path or reads it.
func (w *worker) use(rng *rand.Rand, client int, path string) {
	ctx, cancel := context.WithTimeout(context.Background(), w.Run.TTL)
	defer cancel()
	if rng.IntN(3) > 0 {
		u := Use{Kind: latest, Client: client, Name: path, Begun: w.clock.now()}
		entry, err := w.board.Latest(ctx, path)
		if u.None = errors.Is(err, board.ErrNotPublished); u.None {
			err = nil
		}
		w.usedEntry(u, entry, err)
		return
	}
	u := w.newValue(publish, client, path)
	w.say(word{Asking: &u})
	v, err := w.board.Publish(ctx, path, u.Value)
	w.usedEntry(u, board.Entry{Value: u.Value, Version: v}, err)
}

// publishAs publishes on the path of a lock that is held.
func (w *worker) publishAs(rng *rand.Rand, t *Try, lock *redlock.Lock) {
	ctx, cancel := context.WithTimeout(context.Background(), w.Run.TTL)
	defer cancel()
	u := w.newValue(publishAs, t.Client, t.Name)
	w.say(word{Asking: &u})
	v, err := w.board.PublishAs(ctx, lock, t.Name, u.Value)
	w.usedEntry(u, board.Entry{Value: u.Value, Version: v}, err)
	if rng.IntN(2) == 0 {
		w.use(rng, t.Client, t.Name)
	}
}

// newValue is a write that begins now. No two values of a run are the same.
func (w *worker) newValue(kind use, client int, path string) Use {
	now := w.clock.now()
	return Use{Kind: kind, Client: client, Name: path, Begun: now, Value: fmt.Sprintf("client %d life %d at %d", client+1, w.Life+1, now)}
}

func (w *worker) usedEntry(u Use, e board.Entry, err error) {
	u.Value, u.Confirmed = e.Value, e.Confirmed
	if e.Version != (board.Version{}) {
		if _, scanErr := fmt.Sscanf(e.Version.String(), "%d.%d", &u.Term, &u.Seq); scanErr != nil {
			w.fatal(scanErr)
		}
	}
	if errors.Is(err, board.ErrExpired) { // nothing is published for so short a time
		u.Value, err = "an expired value", nil
	}
	w.used(u, err)
}
