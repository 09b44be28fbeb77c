package main

import (
	"context"
	"errors"
	"io"
	"time"

	redigov1 "github.com/gomodule/redigo/redis"
	"github.com/quorumlock/quorumlock/pool"
	"github.com/quorumlock/quorumlock/pool/direct"
	"github.com/quorumlock/quorumlock/pool/goredis"
	"github.com/quorumlock/quorumlock/pool/redigo"
	"github.com/quorumlock/quorumlock/redlock"
	goredisv9 "github.com/redis/go-redis/v9"
)

func oursOn(client string, pipelined bool, opts ...redlock.Option) func([]string, int) (session, error) {
	return func(addrs []string, connections int) (session, error) {
		locker, closeLocker, err := newOurs(client, pipelined, addrs, connections, opts...)
		return oursSession(locker, closeLocker), err
	}
}

// newOurs returns a Locker on the servers and what closes it and its clients.
func newOurs(client string, pipelined bool, addrs []string, connections int, opts ...redlock.Option) (*redlock.Locker, func() error, error) {
	pools, closeClients := oursPools(client, pipelined, addrs, connections)
	locker, err := redlock.New(pools, opts...)
	if err != nil {
		return nil, nil, errors.Join(err, closeClients())
	}
	return locker, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		return errors.Join(locker.Close(ctx), closeClients())
	}, nil
}

// oursPools returns one pool for each server and what closes them and their clients.
func oursPools(client string, pipelined bool, addrs []string, connections int) (pools []pool.Pool, closeThem func() error) {
	var pipes []io.Closer
	pipe := func(p interface {
		pool.Pool
		io.Closer
	}) {
		pools, pipes = append(pools, p), append(pipes, p)
	}
	closeClients := func() error { return nil }
	switch {
	case client == noClient:
		for _, addr := range addrs {
			node, err := direct.New(addr)
			if err != nil {
				panic(err) // an address of ours
			}
			pipe(node)
		}
	case client == goRedis:
		var clients []*goredisv9.Client
		clients, closeClients = newGoRedis(addrs, connections)
		for _, c := range clients {
			if pipelined {
				pipe(goredis.NewPipelined(c))
			} else {
				pools = append(pools, goredis.New(c))
			}
		}
	case pipelined:
		for _, addr := range addrs {
			pipe(redigo.NewPipelined(dialRedigo(addr), redigo.WithName(addr)))
		}
	default:
		var sources []*redigov1.Pool
		sources, closeClients = newRedigo(addrs, connections)
		for i, s := range sources {
			pools = append(pools, redigo.New(s, redigo.WithName(addrs[i])))
		}
	}
	return pools, func() error { return errors.Join(closeAll(pipes)(), closeClients()) }
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
