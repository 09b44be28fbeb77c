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
	runtime.GOMAXPROCS(64) // who pauses keeps one, see pause
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

// link forwards connections to addr until the listener is closed.
func link(l net.Listener, addr string, by time.Duration) {
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
		var group sync.WaitGroup
		group.Go(func() { forward(far, near, by) })
		group.Go(func() { forward(near, far, by) })
		go func() {
			group.Wait()
			near.Close()
			far.Close()
		}()
	}
}

// forward writes to dst what src brings, each piece so much later, and then the end.
func forward(dst, src net.Conn, by time.Duration) {
	type piece struct {
		bytes []byte
		due   time.Time
	}
	pieces := make(chan piece, 1024)
	go func() {
		defer close(pieces)
		buffer := make([]byte, 64<<10)
		for {
			n, err := src.Read(buffer)
			if n > 0 {
				pieces <- piece{append([]byte(nil), buffer[:n]...), time.Now().Add(by)}
			}
			if err != nil {
				return
			}
		}
	}()
	for p := range pieces {
		pause(time.Until(p.due))
		if _, err := dst.Write(p.bytes); err != nil {
			src.Close() // ends the reader
		}
	}
	if half, ok := dst.(*net.TCPConn); ok {
		half.CloseWrite() // fails if it is broken: then it is over anyway
	}
}
