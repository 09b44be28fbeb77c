package main

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// far is the server behind a link: it hands its connections to the test.
func far(t *testing.T) (*link, chan net.Conn) {
	t.Helper()
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	conns := make(chan net.Conn, 8)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := server.Accept()
			if err != nil {
				return
			}
			conns <- c
		}
	}()
	l, err := openLink(server.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.close()
		server.Close()
		<-done
		close(conns)
		for c := range conns {
			c.Close()
		}
	})
	return l, conns
}

func dial(t *testing.T, l *link) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", l.addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func send(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
}

func receive(t *testing.T, c net.Conn, want string) {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(5 * time.Second))
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
		t.Fatalf("%q, %v, want %q", got, err, want)
	}
}

func nothingCame(t *testing.T, c net.Conn) {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(30 * ms))
	if n, err := c.Read(make([]byte, 1)); n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("%d bytes, %v, want nothing", n, err)
	}
}

func TestWhatIsHeldArrivesLateAlsoIfTheSenderHasHungUp(t *testing.T) {
	l, conns := far(t)
	near := dial(t, l)
	server := <-conns
	defer server.Close()
	l.set(weather{holdUp: true})
	send(t, near, "SET")
	near.Close()
	nothingCame(t, server)
	if felt := l.set(weather{}); felt == 0 {
		t.Error("it was held, and the link felt nothing")
	}
	receive(t, server, "SET")
	if _, err := server.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("%v, want the end", err)
	}
}

func TestAPartitionCanBeOneSided(t *testing.T) {
	l, conns := far(t)
	near := dial(t, l)
	server := <-conns
	defer server.Close()
	l.set(weather{holdDown: true})
	send(t, near, "SET")
	receive(t, server, "SET")
	send(t, server, "OK")
	nothingCame(t, near)
	l.set(weather{})
	receive(t, near, "OK")
}

func TestALossyPartitionCutsWhatItHeld(t *testing.T) {
	l, conns := far(t)
	held, idle := dial(t, l), dial(t, l)
	server, other := <-conns, <-conns
	defer server.Close()
	defer other.Close()
	l.set(weather{holdUp: true, holdDown: true, forgetful: true})
	send(t, held, "SET")
	nothingCame(t, held) // by now it is held
	l.set(weather{})
	held.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := held.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v, want a connection that was cut", err)
	}
	send(t, idle, "PING")
	select {
	case <-time.After(5 * time.Second):
		t.Fatal("nothing arrives on the connection that held nothing")
	case <-arrived(server, other):
	}
}

// arrived is closed when one of the connections brings something.
func arrived(conns ...net.Conn) chan struct{} {
	some := make(chan struct{}, len(conns))
	for _, c := range conns {
		go func() { // ends with the connection
			if n, _ := c.Read(make([]byte, 4)); n > 0 {
				some <- struct{}{}
			}
		}()
	}
	return some
}

func TestCutLinksEndConnectionsAndRefuseNewOnes(t *testing.T) {
	l, conns := far(t)
	near := dial(t, l)
	server := <-conns
	defer server.Close()
	l.set(weather{refuse: true})
	for _, c := range []net.Conn{near, dial(t, l)} {
		c.SetReadDeadline(time.Now().Add(5 * time.Second))
		if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%v, want a connection that was cut", err)
		}
	}
	if felt := l.set(weather{}); felt != 2 {
		t.Errorf("felt %d times, want 2", felt)
	}
	again := dial(t, l)
	next := <-conns
	defer next.Close()
	send(t, again, "PING")
	receive(t, next, "PING")
}

func TestDelayedPiecesComeInOrderAndNotTooSoon(t *testing.T) {
	l, conns := far(t)
	near := dial(t, l)
	server := <-conns
	defer server.Close()
	l.set(weather{delay: 20 * ms})
	begun := time.Now()
	send(t, near, "one ")
	send(t, near, "two")
	receive(t, server, "one two")
	if took := time.Since(begun); took < 20*ms {
		t.Errorf("it took %v", took)
	}
	if felt := l.set(weather{}); felt == 0 {
		t.Error("nothing was felt")
	}
}

func TestADoubledPieceComesOnceMoreOnAnotherConnectionByTheEndOfTheWeather(t *testing.T) {
	l, conns := far(t)
	near := dial(t, l)
	server := <-conns
	defer server.Close()
	l.set(weather{double: time.Hour})
	send(t, near, "SET nonce")
	receive(t, server, "SET nonce")
	if !l.doubled("nonce") || l.doubled("another") {
		t.Error("it is not known what was doubled")
	}
	select {
	case <-conns:
		t.Fatal("it came at once; an hour is not over")
	case <-time.After(20 * ms):
	}
	l.set(weather{})
	select {
	case again := <-conns:
		defer again.Close()
		receive(t, again, "SET nonce")
	case <-time.After(5 * time.Second):
		t.Fatal("the weather is over, and it did not come")
	}
	send(t, near, "GET")
	receive(t, server, "GET")
	nothingCame(t, server)
}

func TestATornReplyEndsInTheMiddleAndItsConnectionWithIt(t *testing.T) {
	l, conns := far(t)
	l.set(weather{torn: true})
	for range 50 {
		near := dial(t, l)
		server := <-conns
		send(t, server, "+REPLY")
		near.SetReadDeadline(time.Now().Add(5 * time.Second))
		got, err := io.ReadAll(io.LimitReader(near, 6))
		server.Close()
		switch {
		case string(got) == "+REPLY" && err == nil:
		case len(got) > 3 || errors.Is(err, os.ErrDeadlineExceeded):
			t.Fatalf("%q, %v, want half of it and the end", got, err)
		default:
			if l.set(weather{}) == 0 {
				t.Error("nothing was felt")
			}
			return
		}
	}
	t.Error("none of fifty was torn")
}

func TestATricklingPieceComesAByteAtATimeAndTheRestWhenTheWeatherIsOver(t *testing.T) {
	l, conns := far(t)
	near := dial(t, l)
	server := <-conns
	defer server.Close()
	l.set(weather{trickleDown: 10 * ms})
	send(t, near, "PING")
	receive(t, server, "PING")
	begun := time.Now()
	send(t, server, "PONG")
	receive(t, near, "PONG")
	if took := time.Since(begun); took < 30*ms {
		t.Errorf("four bytes took %v", took)
	}
	l.set(weather{trickleDown: time.Hour})
	send(t, server, "PONG")
	receive(t, near, "P")
	nothingCame(t, near)
	if l.set(weather{}) == 0 {
		t.Error("nothing was felt")
	}
	receive(t, near, "ONG")
}

func TestAnIdleConnectionEndsWithTheNextRequest(t *testing.T) {
	l, conns := far(t)
	near := dial(t, l)
	server := <-conns
	defer server.Close()
	send(t, near, "first")
	receive(t, server, "first")
	l.set(weather{idle: time.Hour})
	send(t, near, "second")
	receive(t, server, "second")
	l.set(weather{idle: 1})
	send(t, near, "third")
	near.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := near.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v, want the end", err)
	}
	if felt := l.set(weather{}); felt != 1 {
		t.Errorf("felt %d times", felt)
	}
	select {
	case other := <-conns: // it comes late, once in two times
		receive(t, other, "third")
		other.Close()
	case <-time.After(maxBelated + 50*ms):
	}
}

func TestANewConnectionTakesLongAndTheOldOnesEnd(t *testing.T) {
	l, conns := far(t)
	old := dial(t, l)
	first := <-conns
	defer first.Close()
	l.set(weather{dial: time.Hour})
	old.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := old.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v, want the end", err)
	}
	near := dial(t, l)
	send(t, near, "hello")
	nothingCame(t, near)
	if felt := l.set(weather{}); felt != 2 {
		t.Errorf("felt %d times", felt)
	}
	server := <-conns
	defer server.Close()
	receive(t, server, "hello")
}

func TestAProxyAnswersInTheServersPlaceAndHangsUp(t *testing.T) {
	l, conns := far(t)
	l.set(weather{proxied: true})
	for range 100 {
		near := dial(t, l)
		server := <-conns
		send(t, near, "request")
		near.SetReadDeadline(time.Now().Add(50 * ms))
		said, err := io.ReadAll(near)
		server.Close()
		if err == nil {
			if string(said) != proxyError {
				t.Errorf("it says %q", said)
			}
			return
		}
	}
	t.Error("it never answers")
}
