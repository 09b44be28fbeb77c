package pooltest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/quorumlock/quorumlock/pool"
)

// heard is the reference's subscription.
type refSubscription struct {
	p      *reference
	ctx    context.Context
	forget func() bool

	mu       sync.Mutex // protects the rest
	link     *link
	channels []string
	received int
	late     []pool.Event // with the fault "hurries"

	mutex sync.Mutex // held by Receive with the fault "alternates"
}

func (p *reference) Subscribe(ctx context.Context) (pool.Subscription, error) {
	if p.fault == "hogs" {
		p.slot <- struct{}{}
	}
	connecting := ctx
	if p.fault == "stubborn" {
		connecting = context.WithoutCancel(ctx)
	}
	l, err := p.dial(connecting)
	if err != nil {
		if p.fault == "claims" {
			return &refSubscription{p: p, ctx: ctx, forget: func() bool { return true }}, nil
		}
		return nil, because(ctx, err)
	}
	if err := l.SetDeadline(time.Time{}); err != nil {
		return nil, err
	}
	s := &refSubscription{p: p, ctx: ctx, link: l}
	s.forget = context.AfterFunc(ctx, func() {
		if p.fault != "no messages" {
			_ = s.current().SetDeadline(time.Unix(1, 0))
		}
	})
	if p.fault == "lingers" {
		go func(end <-chan struct{}) { <-end }(remembered)
	}
	return s, nil
}

func (s *refSubscription) current() *link {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.link
}

func (s *refSubscription) send(args ...any) error {
	if s.p.fault == "alternates" {
		s.mutex.Lock()
		defer s.mutex.Unlock()
	}
	_, err := s.current().Write(written(args))
	return err
}

func (s *refSubscription) Join(channel string) error {
	s.mu.Lock()
	s.channels = append(s.channels, channel)
	s.mu.Unlock()
	return s.send("SUBSCRIBE", channel)
}

func (s *refSubscription) Leave(channel string) error {
	if s.p.fault == "stays" {
		return nil
	}
	return s.send("UNSUBSCRIBE", channel)
}

func (s *refSubscription) Ping() error { return s.send("PING") }

func (s *refSubscription) Receive() (pool.Event, error) {
	if s.link == nil { // claimed
		<-s.ctx.Done()
		return pool.Event{}, s.ctx.Err()
	}
	if s.p.fault == "alternates" {
		s.mutex.Lock()
		defer s.mutex.Unlock()
	}
	for {
		if len(s.late) > 0 {
			e := s.late[0]
			s.late = s.late[1:]
			return e, nil
		}
		if s.p.fault == "impatient" {
			_ = s.current().SetReadDeadline(time.Now().Add(silence / 2))
		}
		v, err := s.p.read(s.current().r)
		if err != nil {
			if s.ctx.Err() == nil && (s.p.fault == "reconnects" || s.p.fault == "restores") && s.reconnect() == nil && s.p.fault == "reconnects" {
				continue
			}
			return pool.Event{}, because(s.ctx, err)
		}
		if refusal, ok := v.(pool.Error); ok && s.p.fault != "swallows" {
			return pool.Event{}, refusal
		}
		if e, ok := s.event(v); ok {
			return e, nil
		}
	}
}

// event makes an event of what the server said, or none with a fault.
func (s *refSubscription) event(v any) (e pool.Event, ok bool) {
	said, _ := v.([]any)
	if len(said) != 3 {
		return e, true
	}
	e.Channel, _ = said[1].(string)
	switch said[0] {
	case "subscribe":
		e.Kind = pool.Joined
		if s.p.fault == "hurries" { // tells when the next message came
			s.late = append(s.late, e)
			v, err := s.p.read(s.current().r)
			if err != nil {
				return e, true
			}
			e, _ = s.event(v)
		}
	case "message":
		e.Kind = pool.Message
		e.Message, _ = said[2].(string)
		if s.received++; s.p.fault == "loses" && s.received%5 == 0 {
			return e, false
		}
		if s.p.fault == "confuses" {
			e.Channel = s.channels[0]
		}
	default:
		e = pool.Event{}
	}
	return e, true
}

// reconnect does what no adapter may: the caller does not notice it, or nothing closes the connection.
func (s *refSubscription) reconnect() error {
	l, err := s.p.dial(s.ctx)
	if err != nil {
		return err
	}
	if err := l.SetDeadline(time.Time{}); err != nil {
		return err
	}
	s.mu.Lock()
	channels := slices.Clone(s.channels)
	if s.p.fault == "reconnects" {
		s.link = l
	}
	s.mu.Unlock()
	for _, channel := range channels {
		_, err = l.Write(written([]any{"SUBSCRIBE", channel}))
	}
	return err
}

func (s *refSubscription) Close() error {
	s.forget()
	if s.p.fault == "hogs" {
		<-s.p.slot
	}
	if s.p.fault == "keeps" {
		return nil
	}
	if s.link == nil {
		return errors.New("there was no connection")
	}
	return s.link.Close()
}
