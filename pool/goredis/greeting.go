package goredis

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// greet has go-redis greet the server on conn: HELLO or AUTH, SELECT, CLIENT SETNAME and
// SETINFO, OnConnect. options are those of the user's client. ctx interrupts it.
//
// greet makes a client for that, which gets this connection and no other. The client is
// closed after the greeting.
func greet(ctx context.Context, options redis.Options, conn net.Conn, user, password string) error {
	stop := context.AfterFunc(ctx, func() { conn.Close() }) // go-redis obeys deadlines only
	defer stop()
	lent := &lent{Conn: conn}
	client := redis.NewClient(greetingOptions(options, lent, user, password))
	defer client.Close()
	// Not client.Conn: go-redis 9.23 dereferences a nil pointer there if a connection
	// that has a StreamingCredentialsProvider must be greeted.
	err := client.Ping(ctx).Err()
	if err != nil && !deniesPing(err) {
		return err
	}
	lent.back.Store(true) // before the client is closed
	if !stop() {
		return ctx.Err()
	}
	return conn.SetDeadline(noDeadline)
}

// greetingOptions returns the options of the client that greets on conn. A test lists every
// field: those set here, and those without effect on a client that sends one PING.
func greetingOptions(options redis.Options, conn *lent, user, password string) *redis.Options {
	options.Dialer = conn.dial
	options.Username, options.Password = user, password
	options.CredentialsProvider, options.CredentialsProviderContext, options.StreamingCredentialsProvider = nil, nil, nil
	options.ContextTimeoutEnabled = true // ctx bounds the greeting
	options.MaxRetries, options.DialerRetries = -1, 1
	options.PoolSize, options.PipelinePoolSize = 1, -1
	options.MinIdleConns, options.MaxActiveConns = 0, 0
	options.Limiter = nil
	// The server is not asked for notices: nothing here reads them.
	options.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	options.PushNotificationProcessor = nil
	options.ClientSideCacheConfig, options.ClientSideCache = nil, nil
	return &options
}

// deniesPing reports whether the greeting succeeded and only the PING was denied, by the ACL
// of the user. The PING is sent only to start a greeting.
func deniesPing(err error) bool {
	return strings.HasPrefix(err.Error(), "NOPERM ") && strings.Contains(strings.ToLower(err.Error()), "'ping'")
}

// lent is a connection that go-redis may use until back is set. A command sent by go-redis
// after that would take the reply to a command sent here.
type lent struct {
	net.Conn
	given atomic.Bool
	back  atomic.Bool
}

var errLent = errors.New("goredis: the connection is not go-redis's any more")

// dial gives it to go-redis, once.
func (l *lent) dial(context.Context, string, string) (net.Conn, error) {
	if l.given.Swap(true) {
		return nil, errLent
	}
	return l, nil
}

func (l *lent) Read(b []byte) (n int, err error) {
	err = l.use(func() error { n, err = l.Conn.Read(b); return err })
	return n, err
}

func (l *lent) Write(b []byte) (n int, err error) {
	err = l.use(func() error { n, err = l.Conn.Write(b); return err })
	return n, err
}

func (l *lent) SetDeadline(t time.Time) error {
	return l.use(func() error { return l.Conn.SetDeadline(t) })
}

func (l *lent) SetReadDeadline(t time.Time) error {
	return l.use(func() error { return l.Conn.SetReadDeadline(t) })
}

func (l *lent) SetWriteDeadline(t time.Time) error {
	return l.use(func() error { return l.Conn.SetWriteDeadline(t) })
}

func (l *lent) Close() error { return l.use(l.Conn.Close) }

func (l *lent) use(do func() error) error {
	if l.back.Load() {
		return errLent
	}
	return do()
}
