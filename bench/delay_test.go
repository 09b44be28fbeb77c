package main

import (
	"bufio"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestALinkBringsEverythingInOrderAndNoSooner(t *testing.T) {
	server := listen(t)
	go func() { // an echo
		for {
			c, err := server.Accept()
			if err != nil {
				return
			}
			io.Copy(c, c)
			c.Close()
		}
	}()

	in, end := io.Pipe()
	hear, say := io.Pipe()
	ended := make(chan error, 1)
	const by = 20 * time.Millisecond
	go func() {
		ended <- beLinks([]string{"--by", by.String(), server.Addr().String()}, in, say)
	}()
	addr, err := bufio.NewReader(hear).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", strings.TrimSpace(addr))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const text = "one two three"
	start := time.Now()
	for word := range strings.FieldsSeq(text) {
		if _, err := c.Write([]byte(word + " ")); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(c)
	if strings.TrimSpace(string(got)) != text || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if took := time.Since(start); took < 2*by {
		t.Errorf("it took %v, want %v at least", took, 2*by)
	}
	end.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", strings.TrimSpace(addr)); err == nil {
		t.Error("it still listens")
	}
}

// A pool has many connections. If their pieces had to wait for one another, it would be
// the link that is measured.
func TestManyConnectionsAreOnTheWayAtTheSameTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const by = 5 * time.Millisecond
		line := make(delayLine)
		oneThread := make(chan struct{}, 1)
		go line.run(func(d time.Duration) {
			oneThread <- struct{}{}
			time.Sleep(d)
			<-oneThread
		})
		var forwarders, echoes, clients sync.WaitGroup
		start := time.Now()
		for range 512 {
			client, near := net.Pipe()
			far, server := net.Pipe()
			forwarders.Go(func() { line.forward(far, near, by) })
			forwarders.Go(func() { line.forward(near, far, by) })
			echoes.Go(func() { io.CopyN(server, server, 1); server.Close() })
			clients.Go(func() {
				defer client.Close()
				if _, err := client.Write([]byte{1}); err != nil {
					t.Error(err)
				}
				if _, err := client.Read(make([]byte, 1)); err != nil {
					t.Error(err)
				}
				if took := time.Since(start); took != 2*by {
					t.Errorf("a round trip took %v, want %v", took, 2*by)
				}
			})
		}
		clients.Wait()
		echoes.Wait()
		forwarders.Wait()
		close(line)
	})
}

func TestALinkToAServerThatIsNotThereBreaks(t *testing.T) {
	gone, l := listen(t), listen(t)
	gone.Close()
	go link(l, gone.Addr().String(), time.Millisecond)
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("read: %v", err)
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}
