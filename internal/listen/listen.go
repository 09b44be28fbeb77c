// Package listen hears what one node publishes, on behalf of all who wait for
// locks of one Locker.
//
// What is heard is a hint. A message may be lost, late, doubled or forged, the
// server may refuse to be listened to, the connection may break without a sign:
// that costs time, and whoever waits asks again by himself in the end.
package listen

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/quorumlock/quorumlock/internal/random"
	"github.com/quorumlock/quorumlock/pool"
)

const (
	// linger is how long a channel stays joined when nobody wants it any more,
	// and the connection open: the next to wait comes soon, or not at all.
	linger = time.Second
	// pingPeriod is the pause between signs of life that are asked for, and
	// silence what ends the connection without any.
	pingPeriod = time.Second
	silence    = 3 * time.Second
	// connectTimeout bounds the attempt to connect.
	connectTimeout = 2 * time.Second
	// firstPause is the pause before the connection is tried again. It doubles.
	firstPause = 50 * time.Millisecond
	maxPause   = 5 * time.Second
)

// A Listener listens to one node, while somebody wants it to. It is safe for
// concurrent use.
type Listener struct {
	node pool.Subscriber
	hear func(pool.Event)
	ctx  context.Context // ends with Close
	stop context.CancelFunc

	changed chan struct{} // has room for one: channels changed

	mu       sync.Mutex // protects the rest; not held while the node is spoken to
	channels map[string]*channel
	running  chan struct{} // nil if nothing runs, else closed when it has ended
}

// A channel is one that somebody wants, or wanted lately.
type channel struct {
	wanted  int
	dropped time.Time // if nobody wants it
	asked   bool      // Join was sent
	joined  bool      // and answered
}

// New returns the listener to one node. hear is told of every message on a channel
// that is wanted, and that a channel was joined: what was published before that
// went unheard. It must not block.
func New(node pool.Subscriber, hear func(pool.Event)) *Listener {
	l := &Listener{
		node: node, hear: hear,
		channels: make(map[string]*channel),
		changed:  make(chan struct{}, 1),
	}
	l.ctx, l.stop = context.WithCancel(context.Background())
	return l
}

// Want asks for a channel and returns at once: true if it is joined already,
// while otherwise an event will tell.
func (l *Listener) Want(name string) (joined bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx.Err() != nil {
		return false
	}
	c := l.channels[name]
	if c == nil {
		c = new(channel)
		l.channels[name] = c
		l.change()
	}
	c.wanted++
	if l.running == nil {
		l.running = make(chan struct{})
		go l.run() // ends when no channel is wanted for a while, or with Close
	}
	return c.joined
}

// Drop takes a Want back.
func (l *Listener) Drop(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c := l.channels[name]; c != nil {
		if c.wanted--; c.wanted == 0 {
			c.dropped = time.Now()
		}
	}
}

// Close ends listening. It waits for what runs until ctx ends: a client may be
// connecting.
func (l *Listener) Close(ctx context.Context) {
	l.stop()
	l.mu.Lock()
	running := l.running
	l.mu.Unlock()
	if running != nil {
		select {
		case <-running:
		case <-ctx.Done():
		}
	}
}

func (l *Listener) change() {
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// run connects, and connects anew when that fails.
func (l *Listener) run() {
	pause := firstPause
	for l.goesOn() {
		if l.session() {
			pause = firstPause
		}
		timer := time.NewTimer(pause/2 + random.N(pause))
		select {
		case <-timer.C:
		case <-l.ctx.Done():
			timer.Stop()
		}
		pause = min(2*pause, maxPause)
	}
}

// goesOn reports whether there is something to listen to. If not, run is over.
func (l *Listener) goesOn() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forget()
	if l.ctx.Err() == nil && len(l.channels) > 0 {
		return true
	}
	close(l.running)
	l.running = nil
	return false
}

// forget removes the channels that nobody wants any more, and returns those that
// were joined. l.mu is held.
func (l *Listener) forget() (leave []string) {
	for name, c := range l.channels {
		if c.wanted == 0 && time.Since(c.dropped) >= linger {
			delete(l.channels, name)
			if c.asked {
				leave = append(leave, name)
			}
		}
	}
	return leave
}

// session is the life of one connection. It reports whether it was of use: it was not
// if the server refused a channel, though it may have granted others. With these it
// would be made and refused again without a pause.
func (l *Listener) session() bool {
	ctx, cancel := context.WithCancel(l.ctx)
	defer cancel()
	connecting := time.AfterFunc(connectTimeout, cancel)
	s, err := l.node.Subscribe(ctx)
	connecting.Stop()
	if err != nil {
		return false
	}
	alive := make(chan struct{}, 1)
	broken := make(chan struct{})
	var refused bool // known once broken
	go func() {      // ends with the connection, and that with ctx
		defer close(broken)
		for {
			e, err := s.Receive()
			if err != nil {
				refused = errors.As(err, new(pool.Error))
				return
			}
			select {
			case alive <- struct{}{}:
			default:
			}
			l.dispatch(e)
		}
	}()
	l.attend(s, alive, broken)
	cancel()
	<-broken
	s.Close()
	return l.parted() && !refused
}

// attend keeps a connection until it breaks or is of no use any more.
func (l *Listener) attend(s pool.Subscription, alive, broken <-chan struct{}) {
	ticker := time.NewTicker(pingPeriod)
	defer ticker.Stop()
	last := time.Now() // sign of life
	for {
		join, leave, more := l.differences()
		if !more {
			return
		}
		for _, name := range join {
			if s.Join(name) != nil {
				return
			}
		}
		for _, name := range leave {
			if s.Leave(name) != nil {
				return
			}
		}
		select {
		case <-l.changed:
		case <-alive:
			last = time.Now()
		case <-ticker.C:
			if time.Since(last) >= silence || s.Ping() != nil {
				return
			}
		case <-broken:
			return
		}
	}
}

// differences returns what to join and to leave. more is false when there is
// nothing left to listen to.
func (l *Listener) differences() (join, leave []string, more bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	leave = l.forget()
	for name, c := range l.channels {
		if !c.asked {
			c.asked = true
			join = append(join, name)
		}
	}
	return join, leave, len(l.channels) > 0
}

// dispatch passes an event on.
func (l *Listener) dispatch(e pool.Event) {
	l.mu.Lock()
	c := l.channels[e.Channel]
	wanted := c != nil && c.wanted > 0
	if c != nil && e.Kind == pool.Joined {
		c.joined = true
	}
	l.mu.Unlock()
	if wanted && e.Kind != pool.Other {
		l.hear(e)
	}
}

// parted notes that the connection is gone, and reports whether it was of use.
func (l *Listener) parted() (joined bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.channels {
		joined = joined || c.joined
		c.asked, c.joined = false, false
	}
	return joined
}
