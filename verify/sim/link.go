package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/quorumlock/quorumlock/pool"
)

// A link is the way of one client to one server, and the pool that its Locker gets.
type link struct {
	net    *network
	client *client
	server *server

	sent          int           // messages
	lane          lane          // of a client with one connection
	cutTo, cutOff int           // requests, replies do not get through
	healed        time.Duration // when requests do again
}

// A lane keeps messages in the order of sending.
type lane struct{ there, back time.Duration } // when the last one arrives

// order is when something arrives that is sent back, and would without order then.
func (l *lane) order(arrival time.Duration, chance *luck) time.Duration {
	l.back = max(arrival, l.back+chance.apart())
	return l.back
}

// lane is that of a message, nil if its order is free.
func (m *message) lane() *lane {
	switch {
	case m.conn != nil:
		return &m.conn.lane
	case m.link.client.spec.Pipelined && m.sub == nil:
		return &m.link.lane
	}
	return nil
}

func (l *link) String() string { return l.server.String() }

// Do implements pool.Pool.
func (l *link) Do(ctx context.Context, args ...any) (any, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", pool.ErrNotSent, err)
	}
	m := &message{link: l, args: slices.Clone(args), call: sessionOf(ctx), reply: make(chan result, 1)}
	if !l.net.send(m) {
		return nil, errDead
	}
	done := ctx.Done()
	if l.client.spec.Stubborn {
		done = nil
	}
	select {
	case r := <-m.reply:
		return r.reply, r.err
	case <-done:
		return nil, l.net.givenUp(m, ctx.Err())
	}
}

// A submitting link is one whose client calls back.
type submitting struct{ *link }

// Submit implements pool.Submitter.
func (l submitting) Submit(ctx context.Context, r pool.Receiver, args ...any) {
	m := &message{link: l.link, args: slices.Clone(args), call: sessionOf(ctx), receiver: r}
	// The first request to the second server comes from the goroutine of the caller, which
	// has just sent one to the first: later ones may come from the loop, which must not wait.
	if m.call != nil && l.server.index == 1 && m.call.stop.Load() > 0 {
		m.call.halt()
	}
	if !l.net.send(m) {
		l.net.later(m)
	}
}
