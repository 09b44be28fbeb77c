package pooltest

import (
	"bufio"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/internal/port"
)

// A server speaks RESP on 127.0.0.1 and behaves as its case needs.
type server struct {
	tb   testing.TB
	addr string

	mu            sync.Mutex // protects the rest
	listener      net.Listener
	conns         map[net.Conn]*peer
	running       chan struct{} // closed, except while the server is frozen
	handlers      map[string]handler
	seen          map[string]int // commands that the server ran, by name and first argument
	sentPasswords []string       // passwords that clients sent

	serving sync.WaitGroup // one for each connection, and one for the listener
	over    chan struct{}  // closed at the end of the test
}

// A handler runs one command on the connection that sent it.
type handler func(p *peer, args []string)

// startServer starts a server that ends with the test.
func startServer(tb testing.TB) *server {
	tb.Helper()
	reserved, err := port.Reserve()
	if err != nil {
		tb.Fatalf("the test's own server: %v", err)
	}
	s := &server{
		tb:       tb,
		addr:     reserved.Addr(),
		conns:    make(map[net.Conn]*peer),
		running:  make(chan struct{}),
		handlers: make(map[string]handler),
		seen:     make(map[string]int),
		over:     make(chan struct{}),
	}
	close(s.running)
	s.listen()
	tb.Cleanup(func() {
		close(s.over)
		s.thaw()
		s.stop()
		s.serving.Wait()
		reserved.Release()
	})
	return s
}

// listen starts to accept connections.
func (s *server) listen() {
	s.tb.Helper()
	listener, err := net.Listen("tcp", s.addr)
	if err != nil {
		s.tb.Fatalf("the test's own server: %v", err)
	}
	s.mu.Lock()
	s.listener = listener
	s.mu.Unlock()
	s.serving.Add(1)
	go s.accept(listener)
}

// accept runs until its listener is closed.
func (s *server) accept(listener net.Listener) {
	defer s.serving.Done()
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		if s.listener != listener { // stopped meanwhile
			s.mu.Unlock()
			conn.Close()
			return
		}
		p := &peer{server: s, conn: conn, protocol: 2}
		s.conns[conn] = p
		s.serving.Add(1)
		s.mu.Unlock()
		go s.serve(p)
	}
}

// serve runs until its connection is closed.
func (s *server) serve(p *peer) {
	defer s.serving.Done()
	defer func() {
		p.conn.Close()
		s.mu.Lock()
		delete(s.conns, p.conn)
		s.mu.Unlock()
	}()
	r := bufio.NewReader(freezable{s, p.conn})
	for {
		args, err := readCommand(r)
		if err != nil || len(args) == 0 {
			return
		}
		s.run(p, args)
	}
}

// run hands one command to its handler. Without a handler, commands of a greeting are answered as
// Redis does, and other commands with an error.
func (s *server) run(p *peer, args []string) {
	name := strings.ToUpper(args[0])
	s.mu.Lock()
	handle, ok := s.handlers[name]
	s.seen[name]++
	if len(args) > 1 {
		s.seen[name+" "+args[1]]++
	}
	s.mu.Unlock()
	switch {
	case !p.mayRun(name):
		handle = busy
	case !ok:
		handle = greet
	}
	if name == "SUBSCRIBE" {
		p.listening.ever.Store(true) // also if it is refused
	}
	handle(p, args)
}

// on makes handle run the commands of the given name.
func (s *server) on(name string, handle handler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handlers[name] = handle
}

// count returns how often the server ran a command: "NAME", or "NAME argument".
func (s *server) count(command string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen[command]
}

// freeze stops the server as SIGSTOP does: connections are established, the kernel buffers data,
// and the server reads nothing.
func (s *server) freeze() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = make(chan struct{})
}

// thaw continues the server as SIGCONT does: the commands that arrived meanwhile are run.
func (s *server) thaw() {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.running:
	default:
		close(s.running)
	}
}

// awake waits until the server is not frozen.
func (s *server) awake() {
	s.mu.Lock()
	running := s.running
	s.mu.Unlock()
	<-running
}

// stop closes all connections and refuses new ones.
func (s *server) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener != nil {
		s.listener.Close()
		s.listener = nil
	}
	for conn := range s.conns {
		conn.Close()
	}
}

// peers returns the open connections.
func (s *server) peers() []*peer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.conns))
}

// drain waits until the clients have closed all connections. The server has then run every command
// that it will get.
func (s *server) drain() {
	s.tb.Helper()
	eventually(s.tb, "connections are still open after the pool was closed", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.conns) == 0
	})
}

// eventually waits until ok returns true. It fails the test if that takes longer than patience.
func eventually(tb testing.TB, failure string, ok func() bool) {
	tb.Helper()
	for giveUp := time.Now().Add(patience); !ok(); {
		if time.Now().After(giveUp) {
			tb.Fatal(failure)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
