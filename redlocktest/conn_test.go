package redlocktest

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestWhatWasSentBeforeCloseCanStillBeRead(t *testing.T) {
	client, server := pipe(nil, nil)
	write(t, client, "hello")
	client.Close()
	if b, err := io.ReadAll(server); string(b) != "hello" || err != nil {
		t.Errorf("%q, %v", b, err)
	}
}

func TestAClosedEndRefusesAndTheOtherFindsABrokenPipe(t *testing.T) {
	client, server := pipe(nil, nil)
	client.Close()
	client.Close()
	b := make([]byte, 1)
	for name, check := range map[string]struct {
		do   func([]byte) (int, error)
		want error
	}{
		"write on the closed end": {client.Write, net.ErrClosed},
		"read on the closed end":  {client.Read, net.ErrClosed},
		"write on the other":      {server.Write, syscall.EPIPE},
		"read on the other":       {server.Read, io.EOF},
	} {
		if _, err := check.do(b); !errors.Is(err, check.want) {
			t.Errorf("%s: %v, want %v", name, err, check.want)
		}
	}
}

func TestAServerThatDoesNotReadMakesWritesWaitUntilTheirDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := pipe(nil, nil)
		start := time.Now()
		client.SetWriteDeadline(start.Add(time.Second))
		n, err := client.Write(make([]byte, 2*requestLimit))
		if n != requestLimit || !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Second {
			t.Fatalf("%d, %v after %v", n, err, time.Since(start))
		}
		client.SetWriteDeadline(time.Time{})
		done := make(chan error, 1)
		go func() { _, err := client.Write([]byte("more")); done <- err }()
		synctest.Wait()
		if _, err := io.ReadFull(server, make([]byte, requestLimit+4)); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}

func TestAnswersNeverWaitForAClientThatDoesNotRead(t *testing.T) {
	_, server := pipe(nil, nil)
	if n, err := server.Write(make([]byte, 8<<20)); n != 8<<20 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

func TestADeadlineThatIsMovedMovesTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := pipe(nil, nil)
		start := time.Now()
		read := func() error { _, err := client.Read(make([]byte, 1)); return err }
		var timeout net.Error

		client.SetReadDeadline(start.Add(time.Second))
		go func() {
			time.Sleep(time.Second / 2)
			client.SetReadDeadline(start.Add(3 * time.Second)) // while the read waits
		}()
		if err := read(); !errors.As(err, &timeout) || !timeout.Timeout() || time.Since(start) != 3*time.Second {
			t.Fatalf("%v after %v", err, time.Since(start))
		}
		if err := read(); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("%v: a deadline does not stay passed", err)
		}
		client.SetReadDeadline(time.Time{})
		write(t, server, "x")
		if err := read(); err != nil {
			t.Fatalf("%v: a deadline cannot be taken back", err)
		}
		go func() {
			time.Sleep(time.Second)
			client.SetDeadline(time.Now()) // in the past: interrupts
		}()
		if err := read(); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
	})
}

func write(t *testing.T, c net.Conn, s string) {
	t.Helper()
	if _, err := c.Write([]byte(s)); err != nil {
		t.Fatal(err)
	}
}
