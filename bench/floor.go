package main

import (
	"context"
	"errors"

	"github.com/gomodule/redigo/redis"
	goredis "github.com/redis/go-redis/v9"
)

// The floor is no lock: on the same client, it sends what a lock has to send, from a
// goroutine for each server, and returns when a majority has answered. It does not look
// at the answers, rolls nothing back, and leaves stragglers to themselves. A user that has a
// goroutine for each server can hardly be faster.

// A floorNode sends one command to one server.
type floorNode func(args ...any) error

func floorOnGoRedis(addrs []string, connections int) (session, error) {
	clients, closeClients := newGoRedis(addrs, connections)
	nodes := make([]floorNode, len(clients))
	for i, c := range clients {
		nodes[i] = func(args ...any) error { return c.Do(context.Background(), args...).Err() }
	}
	return floorSession(nodes, closeClients)
}

func floorOnRedigo(addrs []string, connections int) (session, error) {
	sources, closeSources := newRedigo(addrs, connections)
	nodes := make([]floorNode, len(sources))
	for i, s := range sources {
		nodes[i] = func(args ...any) error {
			conn := s.Get()
			defer conn.Close()
			_, err := conn.Do(args[0].(string), args[1:]...)
			return err
		}
	}
	return floorSession(nodes, closeSources)
}

// floorPipelined leaves the goroutines out as well: go-redis collects what it is given
// into pipelines by itself. It waits for the first servers of the list, as many as are a
// majority: one cannot wait for whichever is first.
func floorPipelined(addrs []string, connections int) (session, error) {
	clients, closeClients := newGoRedis(addrs, connections)
	pipes := make([]*goredis.AutoPipeliner, len(clients))
	for i, c := range clients {
		p, err := c.AsyncAutoPipeline() // closed with the client
		if err == nil {
			err = c.ScriptLoad(context.Background(), compareAndDelete).Err()
		}
		if err != nil {
			return session{}, errors.Join(err, closeClients())
		}
		pipes[i] = p
	}
	return session{
		worker: func(key string) worker {
			lock, unlock := floorCommands(key)
			return &pipelinedFloorWorker{pipes, lock, unlock, make([]*goredis.Cmd, len(pipes))}
		},
		close: closeClients,
	}, nil
}

type pipelinedFloorWorker struct {
	pipes        []*goredis.AutoPipeliner
	lock, unlock []any
	sent         []*goredis.Cmd
}

func (w *pipelinedFloorWorker) Lock() error   { return w.majority(w.lock) }
func (w *pipelinedFloorWorker) Unlock() error { return w.majority(w.unlock) }

func (w *pipelinedFloorWorker) majority(command []any) error {
	ctx := context.Background()
	for i, p := range w.pipes {
		w.sent[i] = goredis.NewCmd(ctx, command...)
		p.Submit(ctx, w.sent[i])
	}
	for _, c := range w.sent[:len(w.sent)/2+1] {
		if err := c.Err(); err != nil { // waits
			return err
		}
	}
	return nil
}

const compareAndDelete = `if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0`

// floorCommands are what a lock has to send.
func floorCommands(key string) (lock, unlock []any) {
	return []any{"SET", key, "value", "PX", 8000}, []any{"EVALSHA", goredis.NewScript(compareAndDelete).Hash(), 1, key, "value"}
}

func floorSession(nodes []floorNode, closeAll func() error) (session, error) {
	for _, node := range nodes {
		if err := node("SCRIPT", "LOAD", compareAndDelete); err != nil {
			return session{}, errors.Join(err, closeAll())
		}
	}
	return session{
		worker: func(key string) worker {
			lock, unlock := floorCommands(key)
			return &floorWorker{nodes, lock, unlock}
		},
		close: closeAll,
	}, nil
}

type floorWorker struct {
	nodes        []floorNode
	lock, unlock []any
}

func (w *floorWorker) Lock() error   { return w.majority(w.lock) }
func (w *floorWorker) Unlock() error { return w.majority(w.unlock) }

func (w *floorWorker) majority(command []any) error {
	answers := make(chan error, len(w.nodes))
	for _, node := range w.nodes {
		go func() { answers <- node(command...) }() // ends with the answer
	}
	for range len(w.nodes)/2 + 1 {
		if err := <-answers; err != nil && err != goredis.Nil && err != redis.ErrNil {
			return err
		}
	}
	return nil
}
