package direct

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/quorumlock/quorumlock/internal/pipeline"
	"github.com/quorumlock/quorumlock/internal/resp"
	"github.com/quorumlock/quorumlock/pool"
)

// A conn is a connection that was greeted.
type conn struct {
	*resp.Conn
	below net.Conn // without TLS
}

// Close implements pipeline.Conn. It interrupts the other methods. It does not say farewell in TLS: a
// server that is frozen would make it wait.
func (c *conn) Close() error { return c.below.Close() }

var (
	errPanicked = errors.New("direct: panic while a connection was opened")
	errUnasked  = errors.New("direct: the server answers more than it was asked: is there a proxy before it?")
	errNoConn   = errors.New("direct: the dialer returned no connection and no error")
)

// open dials and greets.
func (s *server) open(ctx context.Context) (c *conn, err error) {
	var below net.Conn
	defer func() {
		// Dialer and credentials are the user's code. It runs on a goroutine in which the user
		// cannot recover.
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", errPanicked, r)
		}
		if err != nil {
			c = nil
			discard(below)
		}
	}()
	pipeline.Stage(ctx, "dialing")
	if below, err = s.connect(ctx); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { discard(below) }) // ends what waits for the server
	defer stop()
	through := below
	if s.secure != nil {
		pipeline.Stage(ctx, "agreeing on TLS")
		secured := tls.Client(below, s.secure)
		if err := secured.HandshakeContext(ctx); err != nil {
			return nil, because(ctx, err)
		}
		through = secured
	}
	greeting, err := s.greeting(ctx)
	if err != nil {
		return nil, because(ctx, err)
	}
	c = &conn{resp.NewConn(through), below}
	if err := greet(ctx, c, greeting); err != nil {
		if over := ctx.Err(); over != nil {
			return nil, fmt.Errorf("%w: the server accepts connections and does not answer", over)
		}
		return nil, err
	}
	if !stop() {
		return nil, ctx.Err()
	}
	return c, nil
}

// seeTLS is where to look if a server ends a connection without a word.
const seeTLS = "see the server's log, and whether it wants TLS, or a client certificate"

// discard closes what a dialer returned, which may be a nil pointer.
func discard(below net.Conn) {
	defer func() { _ = recover() }()
	if below != nil {
		below.Close()
	}
}

func (s *server) connect(ctx context.Context) (net.Conn, error) {
	below, err := s.dial(ctx, s.network, s.addr)
	switch {
	case err != nil:
		return nil, err // below may be a *net.TCPConn that is nil
	case below == nil:
		return nil, errNoConn
	}
	return below, nil
}

// because adds the error of ctx, if it has ended: that is why err is a timeout.
func because(ctx context.Context, err error) error {
	if over := ctx.Err(); over != nil && !errors.Is(err, over) {
		return fmt.Errorf("%w: %w", over, err)
	}
	return err
}

// greet authenticates and selects the database, all in one write. A greeting ends with a PING, so that a
// server which accepts connections and no commands is found out before a command is sent: one that is
// frozen, has too many clients, is protected, or loads its data.
func greet(ctx context.Context, c *conn, greeting [][]any) error {
	pipeline.Stage(ctx, "greeting the server")
	for _, words := range greeting {
		if err := c.Send(words); err != nil {
			return err
		}
	}
	// A server that turns a client away says why, and does not read. So the writing may fail, and the
	// reason is still to be read.
	written := c.Flush()
	for _, words := range greeting {
		_, err := c.Receive()
		var refusal pool.Error
		switch {
		case err == nil:
		case errors.As(err, &refusal):
			if words[0] == "AUTH" { // a server that has another name for it repeats the password
				text, _, _ := strings.Cut(string(refusal), ", with args beginning with")
				return pool.Error(text)
			}
			if words[0] != "PING" || !strings.HasPrefix(string(refusal), "NOPERM ") {
				return refusal
			}
		case written != nil:
			return fmt.Errorf("the greeting was not sent: %w (%s)", written, seeTLS)
		default:
			return fmt.Errorf("no answer to the greeting: %w (%s)", err, seeTLS)
		}
	}
	if c.Buffered() > 0 {
		return errUnasked
	}
	return nil
}

func (s *server) greeting(ctx context.Context) (greeting [][]any, err error) {
	if s.credentials != nil {
		pipeline.Stage(ctx, "asking for credentials")
		user, password, err := s.credentials(ctx)
		switch {
		case err != nil:
			return nil, fmt.Errorf("credentials: %w", err)
		case ctx.Err() != nil: // or the server would get the blame
			return nil, fmt.Errorf("credentials came too late: %w", ctx.Err())
		case user != "":
			greeting = append(greeting, []any{"AUTH", user, password})
		case password != "":
			greeting = append(greeting, []any{"AUTH", password})
		}
	}
	if s.database != 0 {
		greeting = append(greeting, []any{"SELECT", strconv.Itoa(s.database)})
	}
	if s.clientName != "" {
		greeting = append(greeting, []any{"CLIENT", "SETNAME", s.clientName})
	}
	return append(greeting, []any{"PING"}), nil
}
