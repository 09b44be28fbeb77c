package main

import (
	"context"
	"io"
	"net"
	"time"

	redigov1 "github.com/gomodule/redigo/redis"
	goredisv9 "github.com/redis/go-redis/v9"

	"github.com/quorumlock/quorumlock/pool"
	"github.com/quorumlock/quorumlock/pool/goredis"
	"github.com/quorumlock/quorumlock/pool/redigo"
)

// With --real a process reaches its servers through the clients that services use, and
// the adapters to them. A library is drawn for each process.

// address is an IP address, since a name would be looked up outside of the bubble.
func (l *link) address() *net.TCPAddr {
	return &net.TCPAddr{IP: net.IPv4(192, 0, 2, byte(1+l.server.index)), Port: 6379}
}

// connect returns the adapter, and what is to be closed when the process ends.
func (l *link) connect() (p pool.Pool, closers []io.Closer) {
	c := l.client
	library := newLuck(c.world.plan.Seed, c.index)
	name := l.server.String()
	if library.in(2) {
		dial := func(ctx context.Context) (redigov1.Conn, error) {
			return redigov1.DialContext(ctx, "tcp", l.address().String(), redigov1.DialContextFunc(l.dial),
				redigov1.DialReadTimeout(clientTimeout), redigov1.DialWriteTimeout(clientTimeout))
		}
		if c.spec.Pipelined {
			p := redigo.NewPipelined(dial, redigo.WithName(name))
			return p, []io.Closer{p}
		}
		idle := &redigov1.Pool{DialContext: dial, MaxIdle: 8}
		return redigo.New(idle, redigo.WithName(name)), []io.Closer{idle}
	}
	client := goredisv9.NewClient(&goredisv9.Options{
		Addr: l.address().String(), Dialer: l.dial, Protocol: 2 + int(library.below(2)),
		ReadTimeout: clientTimeout, DialTimeout: clientTimeout, DialerRetries: 1, DisableIdentity: true,
		// No caller waits for one of its connections: such a wait has timers that would
		// go from one bubble to the next.
		PoolSize: 200,
	})
	if c.spec.Pipelined {
		p := goredis.NewPipelined(client, goredis.WithName(name))
		return p, []io.Closer{p, client}
	}
	return goredis.New(client, goredis.WithName(name)), []io.Closer{client}
}

// noLog is the logger of go-redis, which reports every fault.
type noLog struct{}

func (noLog) Printf(context.Context, string, ...any) {}

func init() { goredisv9.SetLogger(noLog{}) }

// realPool is the adapter with what its client can do, and what a process that is dead
// cannot.
func (l *link) realPool() pool.Pool {
	p, closers := l.connect()
	l.client.closers = append(l.client.closers, closers...)
	known := noting{p, l.client}
	submitter, submits := p.(pool.Submitter)
	subscriber := p.(pool.Subscriber)
	switch noSubscriber := l.client.spec.NoSubscriber; {
	case submits && noSubscriber:
		return notingSubmitter{known, submitter}
	case submits:
		return struct {
			notingSubmitter
			pool.Subscriber
		}{notingSubmitter{known, submitter}, subscriber}
	case noSubscriber:
		return known
	}
	return struct {
		noting
		pool.Subscriber
	}{known, subscriber}
}

// A noting pool notes which call a value belongs to: what goes over a connection does not
// say.
type noting struct {
	pool.Pool
	client *client
}

func (n noting) note(ctx context.Context, args []any) {
	value := (&message{args: args}).value()
	if s := sessionOf(ctx); s != nil && value != "" {
		n.client.world.own(value, s)
	}
}

// Do implements pool.Pool.
func (n noting) Do(ctx context.Context, args ...any) (any, error) {
	n.note(ctx, args)
	return n.Pool.Do(ctx, args...)
}

type notingSubmitter struct {
	noting
	submitter pool.Submitter
}

// Submit implements pool.Submitter.
func (n notingSubmitter) Submit(ctx context.Context, r pool.Receiver, args ...any) {
	n.note(ctx, args)
	n.submitter.Submit(ctx, r, args...)
}

// own notes the call that a value belongs to.
func (w *world) own(value string, s *session) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.owners == nil {
		w.owners = make(map[string]*session)
	}
	w.owners[value] = s
	// Noted now: what a connection has to be made for may come later than the next attempt.
	w.attempts = append(w.attempts, func() { s.attempt(value) })
}

func (w *world) owner(value string) *session {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.owners[value]
}

// disconnect closes what the adapters are made of. It is called when the process ends.
func (c *client) disconnect() {
	for _, each := range c.closers {
		_ = each.Close() // again, or with calls under way: no caller is left for the error
	}
}

// cutOff breaks the connections of a process that died.
func (c *client) cutOff() {
	for _, l := range c.links {
		for _, conn := range l.server.conns {
			if conn.link == l {
				conn.receive(result{err: io.EOF})
			}
		}
	}
}

// publish sends a message to the connections that are subscribed to a channel.
func (n *network) publish(server *server, channel, message string) {
	w := n.world
	for i, c := range server.conns {
		for _, joined := range c.channels {
			if joined != channel || c.over() {
				continue
			}
			chance := newLuck(w.plan.Seed, c.link.client.index, server.index, w.published, i)
			arrival := c.lane.order(w.moment()+w.delay(&chance, c.link), &chance)
			w.at(arrival, func() {
				w.note(c.link.client, server, "receives %q on %s", w.alias(message), w.alias(channel))
				c.receive(result{reply: push{"message", channel, message}})
			})
		}
	}
}

// hangUpConns breaks all connections of a server.
func (w *world) hangUpConns(server *server) {
	for i, c := range server.conns {
		chance := newLuck(w.plan.Seed, c.link.client.index, server.index, i, int(w.moment()/time.Microsecond))
		c.mute, c.channels = true, nil
		w.after(w.delay(&chance, c.link), func() { c.receive(result{err: errReset}) })
	}
	server.conns = nil
}
