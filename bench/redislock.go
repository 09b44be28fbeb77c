package main

import (
	"context"
	"time"

	"github.com/bsm/redislock"
)

// redislockOnGoRedis takes locks on the first server.
func redislockOnGoRedis(addrs []string, connections int) (session, error) {
	clients, closeClients := newGoRedis(addrs[:1], connections)
	client := redislock.New(clients[0])
	return session{
		worker: func(key string) worker { return &redislockWorker{client: client, key: key} },
		close:  closeClients,
	}, nil
}

// A redislockWorker tries once.
type redislockWorker struct {
	client *redislock.Client
	key    string
	held   *redislock.Lock
}

func (w *redislockWorker) Lock() (err error) {
	w.held, err = w.client.Obtain(context.Background(), w.key, 8*time.Second, nil)
	return err
}

func (w *redislockWorker) Unlock() error { return w.held.Release(context.Background()) }
