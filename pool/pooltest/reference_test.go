package pooltest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/pool"
)

// reference is a small adapter that does its duties, except for the one that
// fault names. The suite must pass it without a fault, and notice each fault.
type reference struct {
	addr  string
	fault string

	mu     sync.Mutex // protects the rest
	idle   []*link
	closed bool

	slot chan struct{} // has room for one, which a subscription takes with the fault "hogs"
	wire wire          // for what is submitted
}

// link is a connection.
type link struct {
	net.Conn
	r *bufio.Reader
}

// secret is the password that the reference shows with the fault "tells".
const secret = "opensesame"

// remembered ends the goroutines that the fault "forgets" leaves behind.
var remembered chan struct{}

func openReference(fault string) Opener {
	return func(tb testing.TB, addr string) pool.Pool {
		p := &reference{addr: addr, fault: fault, slot: make(chan struct{}, 1)}
		p.wire.p = p
		tb.Cleanup(func() {
			p.wire.close()
			p.mu.Lock()
			defer p.mu.Unlock()
			p.closed = true
			for _, l := range p.idle {
				l.Close()
			}
		})
		return p
	}
}

func (p *reference) String() string {
	if p.fault == "tells" {
		return "user:" + secret + "@" + p.addr
	}
	return p.addr
}

func (p *reference) Do(ctx context.Context, args ...any) (any, error) {
	if p.fault == "forgets" {
		go func(end <-chan struct{}) { <-end }(remembered)
	}
	if p.fault == "hogs" {
		select {
		case p.slot <- struct{}{}:
			defer func() { <-p.slot }()
		case <-ctx.Done():
			return nil, unsent(ctx.Err())
		}
	}
	if len(args) == 0 {
		return nil, unsent(errors.New("empty command"))
	}
	if err := ctx.Err(); err != nil && p.fault != "eager" {
		return nil, unsent(err)
	}
	if p.fault == "queues" {
		return p.queue(ctx, slices.Clone(args))
	}
	l, err := p.connect(ctx)
	if err != nil {
		return nil, unsent(because(ctx, err))
	}
	v, err := p.exchange(ctx, l, args)
	if err != nil && p.fault == "repeats" {
		l.Close()
		if l, err = p.connect(ctx); err != nil {
			return nil, because(ctx, err)
		}
		v, err = p.exchange(ctx, l, args)
	}
	if err != nil && !(p.fault == "reuses" && errors.Is(err, context.DeadlineExceeded)) {
		l.Close()
	} else if refusal, ok := v.(pool.Error); ok && pool.Demoted(refusal) && p.fault != "clings" {
		l.Close()
	} else {
		p.keep(l)
	}
	if err != nil {
		switch p.fault {
		case "promises":
			err = unsent(err)
		case "blames":
			err = fmt.Errorf("%w: %w", context.DeadlineExceeded, err)
		}
		return nil, err
	}
	if refusal, ok := v.(pool.Error); ok {
		if p.fault == "rewords" {
			refusal = "redis: " + refusal
		}
		return nil, refusal
	}
	return v, nil
}

// queue has each call wait until the one before was answered, or for ever.
func (p *reference) queue(ctx context.Context, args []any) (any, error) {
	select {
	case p.slot <- struct{}{}:
	case <-ctx.Done():
		return nil, unsent(ctx.Err())
	}
	back := make(chan outcome, 1)
	go func() { // ends with the server
		defer func() { <-p.slot }()
		l, err := p.connect(context.Background())
		if err != nil {
			back <- outcome{err: unsent(err)}
			return
		}
		defer l.Close()
		v, err := p.exchange(context.Background(), l, args)
		back <- outcome{reply: v, err: err}
	}()
	select {
	case o := <-back:
		return o.reply, o.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func unsent(err error) error { return fmt.Errorf("%w: %w", pool.ErrNotSent, err) }

// because names ctx as the reason where it is one.
func because(ctx context.Context, err error) error {
	if over := ctx.Err(); over != nil {
		return fmt.Errorf("%w: %w", over, err)
	}
	if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
		return fmt.Errorf("%w: %w", context.DeadlineExceeded, err)
	}
	return err
}

// ended returns why ctx is over. Its timer may come round later than a clock.
func ended(ctx context.Context) error {
	if at, ok := ctx.Deadline(); ok && ctx.Err() == nil && !time.Now().Before(at) {
		return context.DeadlineExceeded
	}
	return ctx.Err()
}

func (p *reference) connect(ctx context.Context) (*link, error) {
	p.mu.Lock()
	if p.closed && p.fault != "vague" {
		p.mu.Unlock()
		return nil, pool.ErrClosed
	}
	if len(p.idle) > 0 {
		l := p.idle[0]
		p.idle = p.idle[1:]
		p.mu.Unlock()
		return l, nil
	}
	p.mu.Unlock()
	if p.fault == "restarts" {
		return p.dial(ctx)
	}
	back := make(chan *link, 1)
	failed := make(chan error, 1)
	bound, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	go func() { // ends when the connection is there, or cannot be had
		defer cancel()
		l, err := p.dial(bound)
		if err != nil {
			failed <- err
			return
		}
		back <- l
	}()
	select {
	case l := <-back:
		return l, nil
	case err := <-failed:
		return nil, err
	case <-ctx.Done():
	}
	go func() { // ends as the other one does
		select {
		case l := <-back:
			p.keep(l)
		case <-failed:
		}
	}()
	return nil, ctx.Err()
}

// keep makes a connection one that may be used.
func (p *reference) keep(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		l.Close()
		return
	}
	p.idle = append(p.idle, l)
}

func (p *reference) dial(ctx context.Context) (*link, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", p.addr)
	if err != nil {
		return nil, err
	}
	l := &link{conn, bufio.NewReader(conn)}
	v, err := p.exchange(ctx, l, []any{"AUTH", secret})
	if refusal, ok := v.(pool.Error); ok && p.fault != "trusts" {
		err = refusal
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return l, nil
}

func (p *reference) exchange(ctx context.Context, l *link, args []any) (any, error) {
	at, _ := ctx.Deadline()
	if p.fault == "waits" {
		at = time.Time{}
	}
	if err := l.SetDeadline(at); err != nil {
		return nil, err
	}
	if p.fault != "waits" {
		stop := context.AfterFunc(ctx, func() { _ = l.SetDeadline(time.Unix(1, 0)) })
		defer stop()
	}
	b := written(args)
	if p.fault == "scribbles" {
		args[len(args)-1] = "scribble"
	}
	if _, err := l.Write(b); err != nil {
		return nil, because(ctx, err)
	}
	v, err := p.read(l.r)
	if err != nil {
		if p.fault == "mute" {
			return nil, err
		}
		return nil, because(ctx, err)
	}
	return v, nil
}
