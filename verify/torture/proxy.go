package main

import (
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// A weather is what the network between one worker and one server is like.
type weather struct {
	delay     time.Duration // each piece takes so long, or up to twice as long
	holdUp    bool          // what the worker sends is held
	holdDown  bool          // what the server sends is held
	refuse    bool          // connections are cut, and new ones end at once
	forgetful bool          // once this weather is over, connections that held something are cut

	trickleUp, trickleDown time.Duration // between two bytes of what the worker, or the server, sends
	idle                   time.Duration // connections that were idle for so long end with the next request
	dial                   time.Duration // connections are cut, and new ones take so long
	proxied                bool          // some requests are answered with an error that is not the server's
	torn                   bool          // some connections are cut in the midst of a reply
	double                 time.Duration // what the worker sends comes once more, up to so late; see repeat
}

// A link forwards the connections of one worker to one server, through the weather. What
// is held is not lost, as in TCP: it arrives when the weather is better, also if the
// worker has hung up since. That is how a command comes late.
type link struct {
	target   string
	listener net.Listener
	all      sync.WaitGroup // of the goroutines of the link
	closed   chan struct{}

	mu      sync.Mutex // protects the rest
	now     weather
	changed chan struct{} // closed when now is replaced
	conns   map[*route]bool
	felt    int      // pieces that were late or held, connections that were cut or refused
	copies  [][]byte // of pieces that were sent twice
}

// A route is one connection through a link.
type route struct {
	near, far net.Conn
	held      bool      // something, in this weather; protected by the link's mu
	sent      time.Time // when the worker last sent something; of the goroutine that forwards it
}

func (r *route) cut() {
	r.near.Close()
	r.far.Close()
}

// openLink listens for a worker. End it with close.
func openLink(target string) (*link, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	l := &link{target: target, listener: listener, closed: make(chan struct{}), changed: make(chan struct{}), conns: make(map[*route]bool)}
	l.all.Go(l.accept) // ends with the listener
	return l, nil
}

func (l *link) addr() string { return l.listener.Addr().String() }

// close cuts all connections and waits for everything that runs.
func (l *link) close() {
	close(l.closed)
	l.listener.Close()
	l.mu.Lock()
	for r := range l.conns {
		r.cut()
	}
	l.mu.Unlock()
	l.all.Wait()
}

// set changes the weather, and returns how often the one before was felt.
func (l *link) set(w weather) (felt int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	cut := 0 // by the weather that comes
	for r := range l.conns {
		switch {
		case l.now.forgetful && r.held:
			r.cut()
			l.felt++
		case w.refuse, w.dial > 0:
			r.cut()
			cut++
		}
		r.held = false
	}
	felt, l.felt = l.felt, cut
	l.now = w
	close(l.changed)
	l.changed = make(chan struct{})
	return felt
}

func (l *link) accept() {
	for {
		near, err := l.listener.Accept()
		if err != nil {
			return
		}
		l.all.Go(func() { l.carry(near) }) // ends with the connection, which close cuts
	}
}

// carry makes a connection go on to the server. Where something is held the worker is
// connected all the same and receives nothing, as from a server whose kernel still answers.
func (l *link) carry(near net.Conn) {
	defer near.Close()
	w, begun := l.weather()
	switch {
	case w.refuse:
		l.feel(begun)
		return
	case w.dial > 0:
		l.feel(begun)
		l.sleep(w.dial, begun)
	}
	far, err := net.DialTimeout("tcp", l.target, 3*time.Second)
	if err != nil {
		return // the worker sees its connection end
	}
	r := &route{near: near, far: far}
	defer far.Close()
	l.mu.Lock()
	select {
	case <-l.closed:
		l.mu.Unlock()
		return
	default:
	}
	if l.changed != begun && (l.now.refuse || l.now.dial > 0) { // cut like the existing connections
		l.felt++
		l.mu.Unlock()
		return
	}
	l.conns[r] = true
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		delete(l.conns, r)
		l.mu.Unlock()
	}()
	var both sync.WaitGroup
	both.Go(func() { l.forward(r, far, near, up) })
	both.Go(func() { l.forward(r, near, far, down) })
	both.Wait()
}

// A way through a link.
type way struct {
	held    func(weather) bool
	trickle func(weather) time.Duration
	up      bool
}

var (
	up   = way{func(w weather) bool { return w.holdUp }, func(w weather) time.Duration { return w.trickleUp }, true}
	down = way{func(w weather) bool { return w.holdDown }, func(w weather) time.Duration { return w.trickleDown }, false}
)

// forward writes to dst what src brings, and then the end, until either breaks.
func (l *link) forward(r *route, dst, src net.Conn, way way) {
	type piece struct {
		bytes []byte
		due   time.Time
	}
	pieces := make(chan piece, 256) // more wait in the socket
	var reader sync.WaitGroup
	reader.Go(func() {
		defer close(pieces)
		buffer := make([]byte, 16<<10)
		for {
			n, err := src.Read(buffer)
			if n > 0 {
				pieces <- piece{append([]byte(nil), buffer[:n]...), time.Now().Add(l.slow())}
			}
			if err != nil {
				return
			}
		}
	})
	for p := range pieces {
		if way.up {
			l.repeat(p.bytes)
		}
		if l.await(r, p.due, way.held) && !(way.up && l.intercept(r, p.bytes)) && l.pass(r, dst, p.bytes, way) {
			continue
		}
		r.cut() // ends the reader
	}
	reader.Wait()
	// The worker may have hung up while commands of its were held: they have been sent
	// now. A server that is frozen sees the end later, so only this half is closed.
	if half, ok := dst.(*net.TCPConn); ok {
		half.CloseWrite() // fails if it is broken: then it is over anyway
	}
}

// slow is how long a piece takes in the weather now.
func (l *link) slow() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.now.delay == 0 {
		return 0
	}
	l.felt++
	return l.now.delay + rand.N(l.now.delay)
}

// await returns when a piece may go on, or false if the link was closed.
func (l *link) await(r *route, due time.Time, held func(weather) bool) bool {
	if left := time.Until(due); left > 0 {
		timer := time.NewTimer(left)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-l.closed:
			return false
		}
	}
	for {
		l.mu.Lock()
		changed, wait := l.changed, held(l.now)
		if wait {
			l.felt++
			r.held = true
		}
		l.mu.Unlock()
		if !wait {
			return true
		}
		select {
		case <-changed:
		case <-l.closed:
			return false
		}
	}
}
