package main

import (
	"errors"

	"github.com/go-redsync/redsync/v4"
	redsyncpool "github.com/go-redsync/redsync/v4/redis"
	redsyncgoredis "github.com/go-redsync/redsync/v4/redis/goredis/v9"
	redsyncredigo "github.com/go-redsync/redsync/v4/redis/redigo"
)

func redsyncOnGoRedis(failFast bool) func([]string, int) (session, error) {
	return func(addrs []string, connections int) (session, error) {
		clients, closeClients := newGoRedis(addrs, connections)
		var pools []redsyncpool.Pool
		for _, c := range clients {
			pools = append(pools, redsyncgoredis.NewPool(c))
		}
		return redsyncSession(pools, failFast, closeClients), nil
	}
}

func redsyncOnRedigo(failFast bool) func([]string, int) (session, error) {
	return func(addrs []string, connections int) (session, error) {
		sources, closeSources := newRedigo(addrs, connections)
		var pools []redsyncpool.Pool
		for _, s := range sources {
			pools = append(pools, redsyncredigo.NewPool(s))
		}
		return redsyncSession(pools, failFast, closeSources), nil
	}
}

func redsyncSession(pools []redsyncpool.Pool, failFast bool, closeAll func() error) session {
	rs := redsync.New(pools...)
	return session{
		worker: func(key string) worker {
			return &redsyncWorker{rs: rs, key: key, opts: []redsync.Option{redsync.WithFailFast(failFast)}}
		},
		close: closeAll,
	}
}

// A redsyncWorker makes a Mutex for every acquisition, as a service does for every
// job: it holds the state of one, and must not be shared.
type redsyncWorker struct {
	rs    *redsync.Redsync
	key   string
	opts  []redsync.Option
	mutex *redsync.Mutex
}

func (w *redsyncWorker) Lock() error {
	w.mutex = w.rs.NewMutex(w.key, w.opts...)
	return w.mutex.Lock()
}

var errNoMajority = errors.New("redsync: unlock reached no majority")

func (w *redsyncWorker) Unlock() error {
	ok, err := w.mutex.Unlock()
	if !ok && err == nil {
		return errNoMajority
	}
	if ok {
		return nil // some node failed, and a majority did not
	}
	return err
}
