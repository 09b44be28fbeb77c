package listen

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quorumlock/quorumlock/internal/random"
	"github.com/quorumlock/quorumlock/pool"
)

const (
	// pingPeriod is the pause between two pings. After maxUnanswered pings without any event
	// the connection ends.
	pingPeriod    = time.Second
	maxUnanswered = 3
	// connectTimeout bounds the attempt to connect.
	connectTimeout = 2 * time.Second
	// firstPause is the pause before the next attempt to connect. It doubles up to maxPause.
	firstPause = 50 * time.Millisecond
	maxPause   = 5 * time.Second
	// firstAbsence is the pause after the connection was given up for commands. It doubles up
	// to maxPause.
	firstAbsence = time.Second
)

// A subscription receives the messages of one node through one client, for all Listeners that
// want a channel. It has one goroutine. While it is connected it has a second goroutine and a
// connection. It ends when no channel is wanted any more.
type subscription struct {
	client  any
	node    pool.Subscriber
	changed chan struct{} // holds one value: there is something to send
	to      []*Listener   // used by dispatch only, which reuses its memory

	mu sync.Mutex // protects the rest; not held while the node is called
	channels
	cancel    context.CancelFunc // ends the connection, or the pause, under way
	ended     chan struct{}      // closed when the connection or pause has ended
	listening bool               // a connection is under way, not a pause
	since     time.Time          // when the connection was begun
	notBefore time.Time          // the earliest time of the next connection
	pause     time.Duration      // after the next failure
	absence   time.Duration      // the last one, after giving the connection up for commands
}

func newSubscription(client any, node pool.Subscriber) *subscription {
	return &subscription{
		client: client, node: node,
		changed:  make(chan struct{}, 1),
		channels: channels{byName: make(map[string]*channel), refused: make(map[string]bool)},
		cancel:   func() {}, ended: make(chan struct{}),
		pause: firstPause,
	}
}

// want is channels.want, and joins a new channel. s.mu is held.
func (s *subscription) want(name string, l *Listener) (joined bool) {
	joined, added := s.channels.want(name, l)
	if added {
		select {
		case s.changed <- struct{}{}:
		default:
		}
	}
	return joined
}

// endIfUnwanted ends the connection or pause if no channel is wanted any more, and returns
// the channel that is closed when it has ended. A Want that comes meanwhile begins a new one.
// s.mu is held.
func (s *subscription) endIfUnwanted() (ended <-chan struct{}) {
	if s.wanted > 0 {
		return nil
	}
	s.clear()
	s.cancel()
	return s.ended
}

// yield gives up the connection, so that commands can use it. The next one is made when
// commands have found connections for a while. s.mu is held.
func (s *subscription) yield() {
	now := time.Now()
	if s.listening {
		s.listening = false // once for each connection
		if now.Sub(s.since) >= 2*maxPause {
			s.absence = 0
		}
		s.absence = min(2*s.absence, maxPause)
		s.cancel()
	}
	s.absence = max(s.absence, firstAbsence)
	s.later(now.Add(s.absence))
}

// run connects, and connects again when the connection failed or broke.
func (s *subscription) run() {
	for {
		ctx, pause, more := s.next()
		switch {
		case !more:
			return
		case pause > 0:
			s.rest(ctx, pause)
		default:
			s.session(ctx)
		}
	}
}

// next ends the connection or pause, and decides what follows: a pause, a connection if pause
// is 0, or nothing if more is false.
func (s *subscription) next() (ctx context.Context, pause time.Duration, more bool) {
	subscriptions.mu.Lock() // no Listener finds it between the decision to end and the end
	defer subscriptions.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.expire(now)
	s.tryAgain(now)
	s.cancel()
	close(s.ended)
	s.listening = false
	if len(s.byName) == 0 {
		delete(subscriptions.byClient, s.client)
		return nil, 0, false
	}
	s.ended = make(chan struct{})
	ctx, s.cancel = context.WithCancel(context.Background())
	if pause = s.notBefore.Sub(now); pause <= 0 {
		pause = 0
		if s.some() {
			s.listening, s.since = true, now
		} else {
			pause = min(s.retry.Sub(now), linger)
		}
	}
	return ctx, pause, true
}

// rest waits for the length of a pause. If the server refuses all wanted channels, a new
// channel ends the pause.
func (s *subscription) rest(ctx context.Context, pause time.Duration) {
	var changed <-chan struct{}
	s.mu.Lock()
	if !s.some() {
		changed = s.changed
	}
	s.mu.Unlock()
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-changed:
	case <-ctx.Done():
	}
}

// session is the life of one connection.
func (s *subscription) session(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	connecting := time.AfterFunc(connectTimeout, cancel)
	conn, err := s.node.Subscribe(ctx)
	connecting.Stop()
	if err != nil {
		s.disconnected(err)
		return
	}
	s.connected()
	var alive atomic.Bool // an event came since the last ping
	var end error         // set before broken is closed
	broken := make(chan struct{})
	go func() { // ends with the connection, which ends with ctx
		defer close(broken)
		for {
			e, err := conn.Receive()
			if err != nil {
				end = err
				return
			}
			alive.Store(true)
			s.dispatch(e)
		}
	}()
	s.attend(conn, &alive, broken)
	cancel()
	<-broken
	conn.Close()
	s.disconnected(end)
}

// attend joins, leaves and pings until the connection breaks or no channel is left.
func (s *subscription) attend(conn pool.Subscription, alive *atomic.Bool, broken <-chan struct{}) {
	ticker := time.NewTicker(pingPeriod)
	defer ticker.Stop()
	unanswered := 0 // pings in a row
	for {
		join, leave, more := s.differences()
		if !more {
			return
		}
		for _, name := range join {
			if conn.Join(name) != nil {
				return
			}
		}
		for _, name := range leave {
			if conn.Leave(name) != nil {
				return
			}
		}
		select {
		case <-s.changed:
		case <-ticker.C:
			if unanswered++; alive.Swap(false) {
				unanswered = 0
			}
			if unanswered >= maxUnanswered || conn.Ping() != nil {
				return
			}
		case <-broken:
			return
		}
	}
}

// differences returns the channels to join and to leave. more is false when no channel is
// left to receive from.
func (s *subscription) differences() (join, leave []string, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	leave = s.expire(now)
	s.tryAgain(now)
	return s.ask(), leave, s.some()
}

// dispatch passes an event to the Listeners that want its channel.
func (s *subscription) dispatch(e pool.Event) {
	s.mu.Lock()
	s.to = s.note(e, s.to[:0])
	s.mu.Unlock()
	for _, l := range s.to {
		l.notify(e)
	}
	clear(s.to)
}

// connected records that there is a new connection.
func (s *subscription) connected() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begin()
}

// disconnected records that the connection has ended, and when to connect again. The pause
// grows while connections are useless. A connection was useful if a channel was joined on it.
// If the server refused something other than a channel, it was not: the next connection would
// be refused as well.
func (s *subscription) disconnected(why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	useful := s.joins > 0
	switch {
	case errors.Is(why, pool.ErrNoConn):
		s.yield()
	case errors.As(why, new(pool.Error)):
		useful = s.exclude(now) && useful
	}
	s.finish()
	if useful {
		s.pause = firstPause
	}
	s.later(now.Add(s.pause/2 + random.N(s.pause)))
	s.pause = min(2*s.pause, maxPause)
}

// later delays the next connection to t or later. s.mu is held.
func (s *subscription) later(t time.Time) {
	if t.After(s.notBefore) {
		s.notBefore = t
	}
}
