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
	// pingPeriod is the pause between signs of life that are asked for, and
	// maxSilence is how many of them in a row without any end the connection.
	pingPeriod = time.Second
	maxSilence = 3
	// connectTimeout bounds the attempt to connect.
	connectTimeout = 2 * time.Second
	// firstPause is the pause before the connection is tried again. It doubles.
	firstPause = 50 * time.Millisecond
	maxPause   = 5 * time.Second
	// firstAbsence is the pause after the connection was given up for commands. It
	// doubles up to maxPause, too.
	firstAbsence = time.Second
)

// A subscription is what is heard to one node through one client, for all Listeners that want
// something of it. It has one goroutine, and another one and a connection while it is
// listened to. It ends when nothing is wanted any more.
type subscription struct {
	client  any
	node    pool.Subscriber
	changed chan struct{} // has room for one: there is something to send
	heard   []*Listener   // whom dispatch tells: its own, to be used again

	mu sync.Mutex // protects the rest; not held while the node is spoken to
	channels
	cancel    context.CancelFunc // ends the connection, or the pause, under way
	ended     chan struct{}      // closed when that has ended
	listening bool               // it is a connection
	since     time.Time          // when it was begun
	notBefore time.Time          // when to connect again
	pause     time.Duration      // before that, after the next failure
	absence   time.Duration      // the last
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

// want is channels.want, and has a new channel joined. s.mu is held.
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

// endIfUnwanted ends what is under way if nobody wants anything any more, and returns
// what is closed then. A Want that comes meanwhile begins anew. s.mu is held.
func (s *subscription) endIfUnwanted() (ended <-chan struct{}) {
	if s.wanted > 0 {
		return nil
	}
	s.clear()
	s.cancel()
	return s.ended
}

// yield gives up the connection, and stays away until commands have found one for a
// while. s.mu is held.
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

// run connects, and connects anew when that fails.
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

// next ends what was under way, and says what follows: nothing more, a pause, or, if
// that is 0, a connection.
func (s *subscription) next() (ctx context.Context, pause time.Duration, more bool) {
	subscriptions.mu.Lock() // nobody finds it between the decision that it ends and the end
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

// rest lets a pause pass. If the server refuses all that is wanted, a channel that is
// new ends it.
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
		s.parted(err)
		return
	}
	s.connected()
	var alive atomic.Bool // something was heard since the last ping
	var end error         // known once broken
	broken := make(chan struct{})
	go func() { // ends with the connection, and that with ctx
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
	s.parted(end)
}

// attend keeps a connection until it breaks or is of no use any more.
func (s *subscription) attend(conn pool.Subscription, alive *atomic.Bool, broken <-chan struct{}) {
	ticker := time.NewTicker(pingPeriod)
	defer ticker.Stop()
	silent := 0 // pings without an answer
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
			if silent++; alive.Swap(false) {
				silent = 0
			}
			if silent >= maxSilence || conn.Ping() != nil {
				return
			}
		case <-broken:
			return
		}
	}
}

// differences returns what to join and to leave. more is false when there is
// nothing left to listen to.
func (s *subscription) differences() (join, leave []string, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	leave = s.expire(now)
	s.tryAgain(now)
	return s.ask(), leave, s.some()
}

// dispatch passes an event on.
func (s *subscription) dispatch(e pool.Event) {
	s.mu.Lock()
	s.heard = s.note(e, s.heard[:0])
	s.mu.Unlock()
	for _, l := range s.heard {
		l.hear(e)
	}
	clear(s.heard)
}

// connected notes that there is a connection, on which nothing is joined yet.
func (s *subscription) connected() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begin()
}

// parted notes that the connection has ended, and why, and when to connect again: after
// a longer and longer pause, if it was of no use. A connection is of use if a channel was
// joined; if the server refused something else than a channel, the next would be no better.
func (s *subscription) parted(why error) {
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

// later has the next connection made at a time, or later. s.mu is held.
func (s *subscription) later(t time.Time) {
	if t.After(s.notBefore) {
		s.notBefore = t
	}
}
