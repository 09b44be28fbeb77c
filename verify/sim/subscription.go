package main

import (
	"context"
	"slices"
	"time"

	"github.com/quorumlock/quorumlock/pool"
)

// A subscription is one connection that is subscribed to channels of a server.
type subscription struct {
	link     *link
	ctx      context.Context
	events   chan result // more than are ever unread
	channels []string    // as the server has it
	last     time.Duration
}

// A subscribing link is one whose client can subscribe.
type subscribing struct{ *link }

// Subscribe implements pool.Subscriber.
func (l subscribing) Subscribe(ctx context.Context) (pool.Subscription, error) {
	if l.client.dead.Load() {
		return nil, errDead
	}
	return &subscription{link: l.link, ctx: ctx, events: make(chan result, 1000)}, nil
}

func (s *subscription) say(args ...any) error {
	if !s.link.net.send(&message{link: s.link, args: args, sub: s}) {
		return errDead
	}
	return nil
}

func (s *subscription) Join(channel string) error  { return s.say("SUBSCRIBE", channel) }
func (s *subscription) Leave(channel string) error { return s.say("UNSUBSCRIBE", channel) }
func (s *subscription) Ping() error                { return s.say("PING") }

func (s *subscription) Receive() (pool.Event, error) {
	select {
	case r := <-s.events:
		event, _ := r.reply.(pool.Event)
		return event, r.err
	case <-s.ctx.Done():
		return pool.Event{}, s.ctx.Err()
	}
}

// Close reaches the server when the server next sends something.
func (s *subscription) Close() error { return nil }

// obey is what the server does with a command of the connection.
func (s *subscription) obey(m *message) pool.Event {
	server := s.link.server
	if !slices.Contains(server.subs, s) {
		server.subs = append(server.subs, s)
	}
	switch m.args[0] {
	case "SUBSCRIBE":
		channel := text(m.args[1])
		if !slices.Contains(s.channels, channel) {
			s.channels = append(s.channels, channel)
		}
		return pool.Event{Kind: pool.Joined, Channel: channel}
	case "UNSUBSCRIBE":
		s.channels = slices.DeleteFunc(s.channels, func(c string) bool { return c == m.args[1] })
	}
	return pool.Event{}
}

// deliver sends the client an event at a time, but not before an earlier event.
func (s *subscription) deliver(at time.Duration, event pool.Event) {
	w := s.link.net.world
	s.last = max(at, s.last+1)
	w.at(s.last, func() {
		if s.link.cutOff > 0 || s.link.client.dead.Load() {
			return
		}
		if event.Kind == pool.Message {
			w.note(s.link.client, s.link.server, "receives %q on %s", w.alias(event.Message), w.alias(event.Channel))
		}
		s.push(result{reply: event})
	})
}

func (s *subscription) push(r result) {
	select {
	case s.events <- r:
	default: // it is closed, and not read
	}
}

// publish sends a message to the subscribers of a server.
func (w *world) publish(server *server, channel, message string) {
	w.published++
	w.net.publish(server, channel, message)
	server.subs = slices.DeleteFunc(server.subs, func(s *subscription) bool { return s.ctx.Err() != nil })
	for _, s := range server.subs {
		if slices.Contains(s.channels, channel) {
			chance := newLuck(w.plan.Seed, s.link.client.index, server.index, w.published)
			if w.weather.lossy[server.index] > 0 && chance.in(3) {
				continue
			}
			s.deliver(w.moment()+w.delay(&chance, s.link), pool.Event{Kind: pool.Message, Channel: channel, Message: message})
		}
	}
}

// hangUp breaks the subscribed connections of a server.
func (w *world) hangUp(server *server) {
	for i, s := range server.subs {
		chance := newLuck(w.plan.Seed, s.link.client.index, server.index, i)
		w.after(w.delay(&chance, s.link), func() { s.push(result{err: errReset}) })
	}
	server.subs = nil
	w.hangUpConns(server)
}
