package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// dialSlack is how long a dial may take to return when its context has ended.
const dialSlack = time.Second

var (
	errHangs  = errors.New("a dial has not returned although its context ended: it needs timeouts of its own, or a server that answers")
	errBehind = errors.New("the connection takes no more: commands before it are still being written")
)

// notReady says why a call was not sent. p.mu is held.
func (p *Pipe) notReady() error {
	switch {
	case !p.dialing:
		return errBehind
	case p.refusal != nil:
		return fmt.Errorf("%s, the one before failed: %w", p.doing(), p.refusal)
	}
	return errors.New(p.doing())
}

// doing says what the dial is doing.
func (p *Pipe) doing() string {
	text := fmt.Sprintf("opening a connection has taken %v and goes on", p.took())
	if p.stage != "" {
		text += " (" + p.stage + ")"
	}
	return text
}

func (p *Pipe) took() time.Duration { return time.Since(p.begun).Round(time.Millisecond) }

// A dialed is the result of a dial.
type dialed struct {
	conn Conn
	err  error
}

// connect dials. Some clients ignore the context while they greet a frozen server. connect
// returns without waiting for such a dial: otherwise Close and all later calls would wait for
// it. The next dial does not begin before it has returned, so there is at most one.
func (p *Pipe) connect() (Conn, error) {
	p.mu.Lock()
	hangs := p.hangs
	p.stage = ""
	p.mu.Unlock()
	if hangs {
		return nil, errHangs
	}
	ctx, cancel := context.WithTimeout(context.WithValue(p.ctx, dialedFor{}, p), p.DialTimeout)
	defer cancel()
	back, left := make(chan dialed), make(chan struct{})
	go func() { // ends when the dial returns
		conn, err := p.dial(ctx)
		select {
		case back <- dialed{conn, err}:
		case <-left:
			if err == nil {
				conn.Close()
			}
			p.mu.Lock()
			p.hangs = false
			p.mu.Unlock()
		}
	}()
	select {
	case d := <-back:
		return d.conn, d.err
	case <-ctx.Done():
	}
	timer := time.NewTimer(dialSlack)
	defer timer.Stop()
	select {
	case d := <-back:
		return d.conn, d.err
	case <-timer.C:
	}
	p.mu.Lock()
	p.hangs = true
	p.mu.Unlock()
	close(left)
	return nil, errHangs
}
