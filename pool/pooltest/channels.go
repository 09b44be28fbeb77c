package pooltest

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// A push is what a server says without being asked: in RESP2 an array like any
// other.
type push []any

// listening is what a peer listens to.
type listening struct {
	// mu is held while something is written of which the order matters: what is
	// published on a channel comes after the confirmation, and nothing after the
	// channel was left.
	mu       sync.Mutex
	channels []string

	ever atomic.Bool // it asked to listen at least once
}

// mayRun reports whether Redis would run a command of this name. To a RESP2 client
// that listens it answers little else than what is about listening.
func (p *peer) mayRun(name string) bool {
	p.listening.mu.Lock()
	defer p.listening.mu.Unlock()
	if p.protocol >= 3 || len(p.listening.channels) == 0 {
		return true
	}
	return slices.Contains([]string{"SUBSCRIBE", "UNSUBSCRIBE", "PSUBSCRIBE", "PUNSUBSCRIBE", "PING", "QUIT", "RESET"}, name)
}

// subscribe runs SUBSCRIBE channel [channel ...]. What follows is published on each
// in the same breath.
func (p *peer) subscribe(channels []string, follows ...string) {
	p.server.awake()
	p.listening.mu.Lock()
	defer p.listening.mu.Unlock()
	for _, channel := range channels {
		if !slices.Contains(p.listening.channels, channel) {
			p.listening.channels = append(p.listening.channels, channel)
		}
		b := encode(nil, p.protocol, push{bulk("subscribe"), bulk(channel), integer(len(p.listening.channels))})
		for _, message := range follows {
			b = encode(b, p.protocol, push{bulk("message"), bulk(channel), bulk(message)})
		}
		_, _ = p.conn.Write(b)
	}
}

// unsubscribe runs UNSUBSCRIBE [channel ...]; without any it means all.
func (p *peer) unsubscribe(channels []string) {
	p.server.awake()
	p.listening.mu.Lock()
	defer p.listening.mu.Unlock()
	if len(channels) == 0 {
		channels = slices.Clone(p.listening.channels)
	}
	if len(channels) == 0 {
		_, _ = p.conn.Write(encode(nil, p.protocol, push{bulk("unsubscribe"), null{}, integer(0)}))
	}
	for _, channel := range channels {
		p.listening.channels = slices.DeleteFunc(p.listening.channels, func(c string) bool { return c == channel })
		_, _ = p.conn.Write(encode(nil, p.protocol, push{bulk("unsubscribe"), bulk(channel), integer(len(p.listening.channels))}))
	}
}

// ping runs PING [text], which a RESP2 client that listens is answered in the way
// of messages.
func (p *peer) ping(text []string) {
	p.server.awake()
	p.listening.mu.Lock()
	defer p.listening.mu.Unlock()
	var v any = simple("PONG")
	switch {
	case p.protocol < 3 && len(p.listening.channels) > 0:
		v = array{bulk("pong"), bulk(strings.Join(text, ""))}
	case len(text) > 0:
		v = bulk(text[0])
	}
	_, _ = p.conn.Write(encode(nil, p.protocol, v))
}

// publish tells all that listen to a channel, and returns how many they are.
func (s *server) publish(channel, message string) (told int) {
	s.awake()
	for _, p := range s.listeners() {
		p.listening.mu.Lock()
		if slices.Contains(p.listening.channels, channel) {
			told++
			_, _ = p.conn.Write(encode(nil, p.protocol, push{bulk("message"), bulk(channel), bulk(message)}))
		}
		p.listening.mu.Unlock()
	}
	return told
}

// listeners returns the open connections that ever asked to listen, also those
// that were refused or left their channels.
func (s *server) listeners() []*peer {
	s.mu.Lock()
	defer s.mu.Unlock()
	var those []*peer
	for _, p := range s.conns {
		if p.listening.ever.Load() {
			those = append(those, p)
		}
	}
	return those
}

// connections returns how many are open.
func (s *server) connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}
