package pooltest

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// A push is a message that is not a reply. In RESP2 it is an array.
type push []any

// listening is the state of a peer's subscriptions.
type listening struct {
	// mu is held while data is written whose order matters: messages of a channel come after its
	// confirmation, and none after the channel was left.
	mu       sync.Mutex
	channels []string

	ever atomic.Bool // SUBSCRIBE was sent at least once
}

// mayRun reports whether Redis would run a command of this name. A RESP2 client that is subscribed
// may send few commands.
func (p *peer) mayRun(name string) bool {
	p.listening.mu.Lock()
	defer p.listening.mu.Unlock()
	if p.protocol >= 3 || len(p.listening.channels) == 0 {
		return true
	}
	return slices.Contains([]string{"SUBSCRIBE", "UNSUBSCRIBE", "PSUBSCRIBE", "PUNSUBSCRIBE", "PING", "QUIT", "RESET"}, name)
}

// subscribe runs SUBSCRIBE channel [channel ...]. It publishes the messages follows on each
// channel, in the same write.
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

// unsubscribe runs UNSUBSCRIBE [channel ...]. No channel means all.
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

// ping runs PING [text]. For a RESP2 client that is subscribed the answer has the form of a
// message.
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

// publish sends a message to all subscribers of a channel, and returns their number.
func (s *server) publish(channel, message string) (receivers int) {
	s.awake()
	for _, p := range s.subscribers() {
		p.listening.mu.Lock()
		if slices.Contains(p.listening.channels, channel) {
			receivers++
			_, _ = p.conn.Write(encode(nil, p.protocol, push{bulk("message"), bulk(channel), bulk(message)}))
		}
		p.listening.mu.Unlock()
	}
	return receivers
}

// subscribers returns the open connections that sent SUBSCRIBE once, also if it was refused or they
// have left their channels.
func (s *server) subscribers() []*peer {
	s.mu.Lock()
	defer s.mu.Unlock()
	var subscribers []*peer
	for _, p := range s.conns {
		if p.listening.ever.Load() {
			subscribers = append(subscribers, p)
		}
	}
	return subscribers
}

// connections returns the number of open connections.
func (s *server) connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}
