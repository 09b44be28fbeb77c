package pipeline

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/pool"
)

// Clients read the greeting of a frozen server with timeouts of their own, or none.
func TestADialThatDoesNotReturnHoldsUpNoCallsAndIsTheOnlyOne(t *testing.T) {
	onServer(t, func(t *testing.T, p *Pipe, s *server) {
		hanging := make(chan struct{})
		s.set(func() { s.hanging = hanging })
		first := submit(t, p, "first")
		time.Sleep(timeout + dialing)
		first.wantError(t, false, context.DeadlineExceeded)

		time.Sleep(dialTimeout + dialSlack)
		for range 60 {
			later := submit(t, p, "later")
			time.Sleep(time.Second)
			later.wantError(t, false, errHangs)
		}
		s.set(func() {
			if s.dials != 1 {
				t.Errorf("%d dials", s.dials)
			}
			s.hanging = nil
		})
		close(hanging)
		settle()
		s.wantLastClosed(t)
		time.Sleep(maxPause)
		warm(t, p)
	})
}

func TestADialThatOutlastsItsCallersServesTheNextAndIsSpokenOf(t *testing.T) {
	onServer(t, func(t *testing.T, p *Pipe, s *server) {
		hanging := make(chan struct{})
		s.set(func() { s.hanging = hanging })
		time.AfterFunc(2*timeout, func() { close(hanging) })
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		defer cancel()
		const doing = "opening a connection has taken 400ms and goes on"
		submitted := submit(t, p, "submitted")
		_, err := p.Do(ctx, "done")
		settle()
		submitted.wantError(t, false, context.DeadlineExceeded)
		for _, err := range []error{err, submitted.err} {
			if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(fmt.Sprint(err), doing) {
				t.Errorf("got %v, want the deadline, and %q", err, doing)
			}
		}
		time.Sleep(3 * timeout) // no call waits when it has come
		warm(t, p)
		if got := s.sent(); got != "warm" || s.dials != 1 {
			t.Errorf("sent %q, %d dials", got, s.dials)
		}
	})
}

func TestACallThatWaitsForADialReportsTheErrorOfTheDialBefore(t *testing.T) {
	onServer(t, func(t *testing.T, p *Pipe, s *server) {
		down := errors.New("no such host")
		s.set(func() { s.down = down })
		first := submit(t, p, "first")
		settle()
		first.wantError(t, false, down)
		time.Sleep(maxPause)
		s.set(func() { s.hang = true })
		second := submit(t, p, "second")
		time.Sleep(2 * timeout)
		second.wantError(t, false, down, context.DeadlineExceeded)
	})
}

func TestADialThatReturnsLateButWellIsUsed(t *testing.T) {
	onServer(t, func(t *testing.T, p *Pipe, s *server) {
		hanging := make(chan struct{})
		s.set(func() { s.hanging = hanging })
		time.AfterFunc(dialTimeout+dialSlack/2, func() { close(hanging) })
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if reply, err := p.Do(ctx, "patient"); err != nil || reply != "patient" {
			t.Errorf("got %v, %v", reply, err)
		}
	})
}

func TestCloseDoesNotWaitForADialThatDoesNotReturn(t *testing.T) {
	onServer(t, func(t *testing.T, p *Pipe, s *server) {
		hanging := make(chan struct{})
		s.set(func() { s.hanging = hanging })
		under := submit(t, p, "under way")
		settle()
		begun := time.Now()
		p.Close()
		if took := time.Since(begun); took > dialSlack {
			t.Errorf("Close took %v", took)
		}
		under.wantError(t, false, pool.ErrClosed)
		if _, err := p.Do(context.Background(), "after it"); !errors.Is(err, pool.ErrNotSent) {
			t.Errorf("after it: %v", err)
		}
		close(hanging)
		settle()
		s.wantLastClosed(t)
	})
}

// wantLastClosed checks that the connection that came late was closed.
func (s *server) wantLastClosed(t *testing.T) {
	t.Helper()
	select {
	case <-s.last().closed:
	default:
		t.Error("the connection that came late is open")
	}
}
