package main

import (
	"context"
	"errors"
	"time"

	"github.com/quorumlock/quorumlock/pool"
	"github.com/quorumlock/quorumlock/pool/goredis"
	"github.com/quorumlock/quorumlock/pool/redigo"
	"github.com/quorumlock/quorumlock/redlock"
)

func oursOnGoRedis(addrs []string, workers int) (session, error) {
	locker, closeLocker, err := newOurs(goRedis, addrs, workers)
	return oursSession(locker, closeLocker), err
}

func oursOnRedigo(addrs []string, workers int) (session, error) {
	locker, closeLocker, err := newOurs(redigoClient, addrs, workers)
	return oursSession(locker, closeLocker), err
}

// newOurs returns a Locker on the servers and what closes it and its clients.
func newOurs(client string, addrs []string, workers int) (*redlock.Locker, func() error, error) {
	var pools []pool.Pool
	var closeClients func() error
	if client == goRedis {
		clients, closeThem := newGoRedis(addrs, workers)
		for _, c := range clients {
			pools = append(pools, goredis.New(c))
		}
		closeClients = closeThem
	} else {
		sources, closeThem := newRedigo(addrs, workers)
		for i, s := range sources {
			pools = append(pools, redigo.New(s, redigo.WithName(addrs[i])))
		}
		closeClients = closeThem
	}
	locker, err := redlock.New(pools)
	if err != nil {
		return nil, nil, errors.Join(err, closeClients())
	}
	return locker, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		return errors.Join(locker.Close(ctx), closeClients())
	}, nil
}

func oursSession(locker *redlock.Locker, closeAll func() error) session {
	return session{
		worker: func(key string) worker { return &oursWorker{locker: locker, key: key} },
		close:  closeAll,
	}
}

type oursWorker struct {
	locker *redlock.Locker
	key    string
	held   *redlock.Lock
}

// tries are redsync's by default: a benchmark that cannot go on says so.
var tries = redlock.WithMaxTries(32)

func (w *oursWorker) Lock() (err error) {
	w.held, err = w.locker.Lock(context.Background(), w.key, tries)
	return err
}

func (w *oursWorker) Unlock() error { return w.held.Unlock(context.Background()) }
