// Package direct lets the lock reach a Redis master by its address, without a client library.
//
//	node, err := direct.New("redis-1:6379", direct.WithPassword("worker", secret))
//
// [FromURL] takes redis://user:password@redis-1:6379 instead. It is for tools, and for services that need no Redis client elsewhere. There is one connection
// to each master, which all calls share, as with NewPipelined of the other adapters. It is opened
// by the first call. A process that waits for a lock has one more, to learn of releases.
//
// It speaks RESP2, which every server and proxy knows. It knows no Sentinel and no cluster: for a
// master behind Sentinel use package goredis.
package direct

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/quorumlock/quorumlock/internal/pipeline"
	"github.com/quorumlock/quorumlock/pool"
)

// Pool is one Redis master behind one connection that all calls share. It is safe for concurrent
// use. Make it with [New].
type Pool struct {
	server server
	name   string
	pipe   *pipeline.Pipe
	closed atomic.Bool
}

var (
	_ pool.Submitter  = (*Pool)(nil)
	_ pool.Subscriber = (*Pool)(nil)
)

// A server is where the master is, and how a connection to it begins.
type server struct {
	network, addr string
	credentials   func(context.Context) (user, password string, err error) // nil: none
	database      int
	clientName    string
	secure        *tls.Config // nil: no TLS
	skipVerify    *bool       // whether the server's certificate is left unchecked, if a URL says so
	dial          func(ctx context.Context, network, addr string) (net.Conn, error)
	dialTimeout   time.Duration
}

// Option is an option of [New].
type Option func(*Pool) error

// WithPassword authenticates each connection. With an empty user it is the password of the
// default user, as requirepass sets it.
func WithPassword(user, password string) Option {
	return WithCredentials(func(context.Context) (string, string, error) { return user, password, nil })
}

// WithCredentials asks for the credentials of each new connection, for passwords that change. An
// open connection keeps its rights, as long as the server lets it. The context ends with the time to
// open the connection.
func WithCredentials(credentials func(context.Context) (user, password string, err error)) Option {
	return func(p *Pool) error {
		p.server.credentials = credentials
		return nil
	}
}

// WithDatabase selects another database than 0. All clients that are to exclude each other use the
// same one.
func WithDatabase(n int) Option {
	return func(p *Pool) error {
		if p.server.database = n; n < 0 {
			return fmt.Errorf("WithDatabase(%d): must not be negative", n)
		}
		return nil
	}
}

// WithTLS connects with TLS. The config is copied. It may be nil: then, and without a ServerName, the
// name in the server's certificate is the host of the address.
func WithTLS(config *tls.Config) Option {
	return func(p *Pool) error {
		if p.server.secure = config.Clone(); config == nil {
			p.server.secure = new(tls.Config)
		}
		return nil
	}
}

// WithClientName sets the name of the connections that CLIENT LIST shows. It has no blanks, and
// of ASCII only what can be printed: a server refuses other names.
func WithClientName(name string) Option {
	return func(p *Pool) error {
		if p.server.clientName = name; strings.ContainsFunc(name, func(r rune) bool { return r < '!' || r > '~' }) {
			return fmt.Errorf("WithClientName(%q): must have no blanks, and of ASCII only what can be printed", name)
		}
		return nil
	}
}

// WithDialTimeout bounds the opening of a connection, with TLS, credentials and greeting. Default:
// 5 s. A call does not wait longer than its own deadline: a connection that is open too late for it
// serves the next one.
func WithDialTimeout(d time.Duration) Option {
	return func(p *Pool) error {
		if p.server.dialTimeout = d; d <= 0 {
			return fmt.Errorf("WithDialTimeout(%v): must be above 0", d)
		}
		return nil
	}
}

// WithDialer replaces the dialer, which is that of package net. It is called with "tcp" or "unix" and
// the address. A panic in it is an error of the call that needed the connection. A connection needs a
// buffer for 4 KiB, as sockets have: a caller writes so much itself, and does not expect to wait.
func WithDialer(dial func(ctx context.Context, network, addr string) (net.Conn, error)) Option {
	return func(p *Pool) error {
		if dial != nil {
			p.server.dial = dial
		}
		return nil
	}
}

// WithName sets the name that [Pool.String] returns, and so the node's name in errors and logs.
func WithName(name string) Option {
	return func(p *Pool) error {
		p.name = name
		return nil
	}
}

// New returns the master at addr: "host:port", "host" for port 6379, or the path of a unix socket,
// which begins with "/". It sends nothing. The error says which argument is wrong.
//
// When a call is not answered by its deadline, the next calls get a new connection. The old one is
// kept for late replies, for two seconds, and then closed. There is one old connection at most: a
// second call that hangs in these two seconds holds up those after it until they are over. A
// connection is also replaced when the server turns out to be a replica.
//
// Close the Pool after the Locker.
func New(addr string, opts ...Option) (*Pool, error) {
	p := &Pool{server: server{network: "tcp", dial: new(net.Dialer).DialContext, dialTimeout: 5 * time.Second}}
	for _, opt := range opts {
		if opt == nil {
			continue
		}
		if err := opt(p); err != nil {
			return nil, fmt.Errorf("direct: %w", err)
		}
	}
	if err := p.server.locate(addr); err != nil {
		return nil, fmt.Errorf("direct: %w", err)
	}
	if p.name == "" {
		p.name = p.server.String()
	}
	p.pipe = pipeline.New(func(ctx context.Context) (pipeline.Conn, error) {
		c, err := p.server.open(ctx)
		if err != nil {
			return nil, err // not a nil *conn in the interface
		}
		return c, nil
	})
	p.pipe.DialTimeout = p.server.dialTimeout
	return p, nil
}

// locate sets the address.
func (s *server) locate(addr string) error {
	if strings.HasPrefix(addr, "/") {
		s.network, s.addr = "unix", addr
		return nil
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil { // a host alone
		host, port = strings.TrimSuffix(strings.TrimPrefix(addr, "["), "]"), "6379"
	}
	n, err := strconv.ParseUint(port, 10, 16)
	switch {
	case strings.ContainsAny(addr, "/@ ,;?#\r\n\t") || strings.Contains(host, ":") && !isIP(host): // it may show a password
		return errors.New("the address must be host:port, a host, or the path of a unix socket, which begins with /; a URL is none")
	case host == "":
		return errors.New("the address has no host")
	case err != nil || n == 0: // "user:password" is not shown either
		return errors.New("the port of the address must be 1 to 65535")
	}
	s.addr = net.JoinHostPort(host, port)
	if s.secure != nil {
		s.secure.ServerName = cmp.Or(s.secure.ServerName, host)
		if s.skipVerify != nil {
			s.secure.InsecureSkipVerify = *s.skipVerify
		}
	}
	return nil
}

func isIP(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

// String is the address, with the database if it is not 0.
func (s *server) String() string {
	if s.database == 0 {
		return s.addr
	}
	return s.addr + "/" + strconv.Itoa(s.database)
}

// String returns the name given by [WithName], or the address ("redis-1:6379", "redis-1:6379/2",
// "/run/redis.sock").
func (p *Pool) String() string { return p.name }

var errEmpty = errors.New("direct: empty command")

// Do implements [pool.Pool].
func (p *Pool) Do(ctx context.Context, args ...any) (any, error) {
	if len(args) == 0 {
		return nil, unsent(errEmpty)
	}
	return p.pipe.Do(ctx, args...)
}

// Submit implements [pool.Submitter].
func (p *Pool) Submit(ctx context.Context, r pool.Receiver, args ...any) {
	if len(args) == 0 {
		go r.Receive(nil, unsent(errEmpty)) // not from here: see pool.Submitter
		return
	}
	p.pipe.Submit(ctx, r, args...)
}

// Close ends the connection, waits for its goroutines, and returns nil. Outstanding calls fail, and so
// do later ones; subscriptions end with their contexts. A Dialer that does not return when its context
// ends is left behind after a second. Close may be called again.
func (p *Pool) Close() error {
	p.closed.Store(true)
	return p.pipe.Close()
}

func unsent(err error) error { return fmt.Errorf("%w: %w", pool.ErrNotSent, err) }
