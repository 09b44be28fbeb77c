package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"
)

// links are a network between this process and the servers: connections through
// them take their time. They are this program, started again, so that their work is
// not on the client's bill.
type links struct {
	process *exec.Cmd
	input   io.Closer // its end is theirs
	addrs   []string  // in place of those of the servers
}

// startLinks puts servers so far away that a round trip takes that long.
func startLinks(addrs []string, roundTrip time.Duration) (*links, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := exec.Command(self, append([]string{linksCommand, "--by", (roundTrip / 2).String()}, addrs...)...)
	p.Stderr = os.Stderr
	in, err := p.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := p.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.Start(); err != nil {
		return nil, err
	}
	l := &links{process: p, input: in}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		l.stop()
		return nil, fmt.Errorf("links: %w", err)
	}
	l.addrs = strings.Fields(line)
	return l, nil
}

func (l *links) stop() {
	_ = l.input.Close()
	_ = l.process.Wait() // it has nothing to say any more
}

// linksCommand makes this program the links.
const linksCommand = "links"

// beLinks listens once for each server, says where, and forwards until the end of
// its input.
func beLinks(args []string, in io.Reader, out io.Writer) error {
	flags := flag.NewFlagSet(linksCommand, flag.ContinueOnError)
	by := flags.Duration("by", 0, "")
	if err := flags.Parse(args); err != nil {
		return err
	}
	// A line that pauses keeps a processor of the runtime's, until that notices.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(runtime.NumCPU() + flags.NArg()))
	var here []string
	for _, addr := range flags.Args() {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		defer l.Close()
		go link(l, addr, *by)
		here = append(here, l.Addr().String())
	}
	fmt.Fprintln(out, strings.Join(here, " "))
	_, err := io.Copy(io.Discard, in)
	return err
}

// link forwards connections to addr until the listener is closed and they have ended.
func link(l net.Listener, addr string, by time.Duration) {
	var connections sync.WaitGroup
	line := make(delayLine, 1<<14)
	go line.run(pause) // ends when nobody can send any more
	defer func() {
		connections.Wait()
		close(line)
	}()
	for {
		near, err := l.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", addr)
		if err != nil {
			near.Close()
			continue
		}
		connections.Go(func() {
			defer near.Close()
			defer far.Close()
			var group sync.WaitGroup
			group.Go(func() { line.forward(far, near, by) })
			group.Go(func() { line.forward(near, far, by) })
			group.Wait()
		})
	}
}

// A delayLine says to all connections of a link when a piece is due. All pieces take
// the same time, so that what came first is due first, and whoever pauses for the first
// has paused for all: one thread sleeps, however many connections there are. If each
// connection slept for itself, the number of threads would be the number of pieces that
// can be on their way, and a client with many connections would be measured by that.
type delayLine chan moment

// A moment is when a piece is due; what waits for it hears that by come being closed.
type moment struct {
	due  time.Time
	come chan struct{}
}

func (l delayLine) run(pause func(time.Duration)) {
	for m := range l {
		pause(time.Until(m.due))
		close(m.come) // waits for nobody: a connection that is stuck holds up no other one
	}
}

// forward writes to dst what src brings, each piece so much later, and then the end.
func (l delayLine) forward(dst, src net.Conn, by time.Duration) {
	type piece struct {
		bytes []byte
		due   chan struct{}
	}
	pieces := make(chan piece, 1024)
	go func() {
		defer close(pieces)
		buffer := make([]byte, 64<<10)
		for {
			n, err := src.Read(buffer)
			if n > 0 {
				m := moment{time.Now().Add(by), make(chan struct{})}
				l <- m
				pieces <- piece{append([]byte(nil), buffer[:n]...), m.come}
			}
			if err != nil {
				return
			}
		}
	}()
	for p := range pieces {
		<-p.due
		if _, err := dst.Write(p.bytes); err != nil {
			src.Close() // ends the reader
		}
	}
	if half, ok := dst.(*net.TCPConn); ok {
		half.CloseWrite() // fails if it is broken: then it is over anyway
	}
}
