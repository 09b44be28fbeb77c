package goredis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/quorumlock/quorumlock/internal/pipeline"
	"github.com/redis/go-redis/v9"
)

// greetingTimeout bounds credentials and greeting, after the dial. Each step
// of the greeting is bounded by the client's ReadTimeout and WriteTimeout as well.
const greetingTimeout = 5 * time.Second

// An opener opens pipelined connections as the user's client opens its own.
type opener struct {
	client       *redis.Client // the user's
	options      redis.Options // the client's
	authenticate func(user, password string)
}

var (
	errPanicked = errors.New("goredis: panic while a connection was opened")
	errNoConn   = errors.New("goredis: the Dialer or a dial hook returned no connection and no error")
)

// open dials, authenticates and greets.
func (o *opener) open(ctx context.Context) (w *wire, err error) {
	w = new(wire)
	defer func() {
		// Dialer, hooks, providers and OnConnect are the user's code. It runs on a goroutine
		// in which the user cannot recover.
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", errPanicked, r)
		}
		if err != nil {
			w.Close()
			if w.witness != nil {
				w.witness.conn.Close() // watch, which would close it, was not started
			}
			w, err = nil, translated(err)
		}
	}()
	if err := o.clientClosed(); err != nil {
		return w, err
	}
	if behindSentinel(&o.options) {
		// Before the dial. A failover in between closes the witness, and then the new
		// connection with it.
		pipeline.Stage(ctx, "waiting for a connection of the client's pool, to hear of fail-overs")
		if w.witness, err = o.call(ctx); err != nil {
			return w, err
		}
	}
	pipeline.Stage(ctx, "dialing")
	if w.conn, err = o.dial(ctx); err != nil {
		return w, err
	}
	pipeline.Stage(ctx, "asking for credentials")
	user, password, err := o.credentials(ctx, w)
	if err != nil {
		return w, fmt.Errorf("credentials: %w", err)
	}
	pipeline.Stage(ctx, "greeting the server")
	if err := greet(ctx, o.options, w.conn, user, password); err != nil {
		return w, err
	}
	w.begin()
	return w, nil
}

// dial dials as the client does: its hooks, the first of them outermost, around its
// Dialer.
func (o *opener) dial(ctx context.Context) (net.Conn, error) {
	hooks, err := hooksOf(o.client)
	if err != nil {
		return nil, err
	}
	dial := redis.DialHook(o.options.Dialer)
	for _, hook := range slices.Backward(hooks) {
		if wrapped := hook.DialHook(dial); wrapped != nil {
			dial = wrapped
		}
	}
	if o.options.DialTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.options.DialTimeout)
		defer cancel()
	}
	conn, err := dial(ctx, o.options.Network, o.options.Addr)
	switch {
	case err != nil:
		return nil, err // conn may be a *tls.Conn that is nil
	case conn == nil:
		return nil, errNoConn
	}
	return conn, nil
}

// clientClosed returns an error if the user closed the client. go-redis checks that before
// it looks at the context. This context has ended, so go-redis does nothing else.
func (o *opener) clientClosed() error {
	if o.options.Limiter != nil {
		return nil // the Limiter would count a failed command
	}
	// A clone has no hooks.
	err := o.client.WithTimeout(time.Second).Process(noMore, newCommand(noMore, nil, 0, ping))
	if errors.Is(err, redis.ErrClosed) {
		return err
	}
	return nil
}
