package redigo

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomodule/redigo/redis"
	"github.com/quorumlock/quorumlock/pool"
)

// A slow source opens connections in its own time.
type slow struct {
	mu     sync.Mutex // protects the rest
	takes  func(ctx context.Context, nth int) error
	opened int // connections that were begun
	closed int
}

func (s *slow) GetContext(ctx context.Context) (redis.Conn, error) {
	s.mu.Lock()
	s.opened++
	nth := s.opened
	s.mu.Unlock()
	if err := s.takes(ctx, nth); err != nil {
		return nil, err
	}
	return &prompt{source: s}, nil
}

func (s *slow) counts() (opened, closed int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.opened, s.closed
}

// A prompt connection answers each command with its name.
type prompt struct {
	redis.Conn
	source *slow
}

func (*prompt) Err() error { return nil }

func (*prompt) ReceiveWithTimeout(time.Duration) (any, error) { panic("used") }

func (*prompt) DoWithTimeout(_ time.Duration, name string, _ ...any) (any, error) {
	if name == "" {
		return nil, nil
	}
	return name, nil
}

func (c *prompt) Close() error {
	c.source.mu.Lock()
	defer c.source.mu.Unlock()
	c.source.closed++
	return nil
}

// after is a dial that takes as long, unless its context ends.
func after(d time.Duration) func(context.Context, int) error {
	return func(ctx context.Context, _ int) error {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

const timeout = 400 * time.Millisecond

func ask(t *testing.T, p *Pool) error {
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	_, err := p.Do(ctx, "PING")
	return err
}

func TestAConnectionThatTakesLongerThanItsCommandServesTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slow{takes: after(600 * time.Millisecond)}
		p := New(s)
		err := ask(t, p)
		if !errors.Is(err, pool.ErrNotSent) || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "opening a connection has taken 400ms") {
			t.Errorf("got %v", err)
		}
		if err := ask(t, p); err != nil { // waits for what is under way
			t.Error(err)
		}
		if opened, _ := s.counts(); opened != 1 {
			t.Errorf("%d connections were opened, one would do", opened)
		}

		_ = ask(t, p)
		time.Sleep(timeout) // it comes when no call waits
		if err := ask(t, p); err != nil {
			t.Error(err)
		}
		_ = ask(t, p)
		time.Sleep(spared + timeout) // and no call comes
		if opened, closed := s.counts(); opened != 3 || closed != 3 {
			t.Errorf("%d connections were opened and %d closed, want 3", opened, closed)
		}
	})
}

func TestACallThatWaitsForNothingLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := errors.New("refused")
		p := New(&slow{takes: func(context.Context, int) error { return refused }})
		for range 3 {
			if err := ask(t, p); !errors.Is(err, refused) || !errors.Is(err, pool.ErrNotSent) || errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
		}
		if p.opening.under != 0 || p.opening.waiting.Len() != 0 || p.opening.asks.Load() != 0 {
			t.Errorf("left: %d openings, %d calls", p.opening.under, p.opening.waiting.Len())
		}
	})
}

// As that of a machine that went away while its name moved to another one.
func TestADialThatHangsDoesNotDelayLaterOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slow{takes: func(ctx context.Context, nth int) error {
			if nth == 1 {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}}
		p := New(s)
		begun := time.Now()
		for ask(t, p) != nil {
		}
		if took := time.Since(begun); took > hanging+timeout {
			t.Errorf("it took %v until a call got a connection", took)
		}
		time.Sleep(openTimeout)
	})
}

func TestDialsThatNeverReturnAreFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hanging := make(chan struct{})
		s := &slow{takes: func(context.Context, int) error { <-hanging; return nil }}
		p := New(s)
		const calls = 4
		for range 50 {
			var all sync.WaitGroup
			for range calls {
				all.Go(func() {
					if err := ask(t, p); !errors.Is(err, context.DeadlineExceeded) {
						t.Error(err)
					}
				})
			}
			all.Wait()
		}
		if opened, _ := s.counts(); opened > calls+extra {
			t.Errorf("%d dials for %d calls at a time", opened, calls)
		}
		close(hanging)
		time.Sleep(spared)
		synctest.Wait()
		if opened, closed := s.counts(); opened != closed {
			t.Errorf("%d connections are left", opened-closed)
		}
	})
}

func TestEachOfManyCallsGetsAConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slow{takes: after(timeout / 2)}
		p := New(s)
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				if err := ask(t, p); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if opened, closed := s.counts(); opened != 100 || closed != 100 {
			t.Errorf("%d connections were opened and %d closed, want 100", opened, closed)
		}
	})
}

// The values are those of the call that needs the connection; its end is not.
func TestADialHasTheValuesOfItsCallerAndATimeOfItsOwn(t *testing.T) {
	type key struct{}
	synctest.Test(t, func(t *testing.T) {
		s := &slow{takes: func(ctx context.Context, _ int) error {
			if at, ok := ctx.Deadline(); !ok || time.Until(at) != openTimeout {
				t.Errorf("its deadline is %v, %v", at, ok)
			}
			if ctx.Value(key{}) != "value" {
				t.Error("the caller's value is gone")
			}
			return nil
		}}
		ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), key{}, "value"), timeout)
		defer cancel()
		if _, err := New(s).Do(ctx, "PING"); err != nil {
			t.Error(err)
		}
	})
}

// A bare is a connection that cannot be compared.
type bare struct {
	redis.Conn
	_ []string
}

func TestASpareConnectionMayBeOfAnyType(t *testing.T) {
	var o opener
	o.pool = new(Pool)
	o.give(bare{Conn: silent{}})
	o.drop(o.spare)
	if o.spare != nil {
		t.Error("it is still there")
	}
}

type silent struct{ redis.Conn }

func (silent) Close() error { return nil }

// A brief connection answers after a while, until they all end.
type brief struct {
	redis.Conn
	ended *atomic.Bool
	err   error
}

func (c *brief) Err() error { return c.err }

func (*brief) ReceiveWithTimeout(time.Duration) (any, error) { panic("used") }

func (c *brief) DoWithTimeout(_ time.Duration, name string, _ ...any) (any, error) {
	if name == "" {
		return nil, nil
	}
	time.Sleep(20 * time.Millisecond)
	if c.ended.Load() {
		c.err = io.EOF
		return nil, c.err
	}
	return name, nil
}

func (*brief) Close() error { return nil }

func (c *brief) Do(string, ...any) (any, error) { return nil, c.err }

// Where all connections are in use, calls wait in the redis.Pool, and that dials in the
// time of one of them when a connection ended.
func TestCallersOfABusyPoolAreServedAgainAfterItsConnectionsEndedWhereDialsTakeLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended atomic.Bool
		source := &redis.Pool{MaxActive: 2, MaxIdle: 2, Wait: true, DialContext: func(ctx context.Context) (redis.Conn, error) {
			if err := after(timeout+200*time.Millisecond)(ctx, 0); err != nil {
				return nil, err
			}
			return &brief{ended: &ended}, nil
		}}
		defer source.Close()
		p := New(source)
		var served atomic.Int64
		var callers sync.WaitGroup
		come := func(d time.Duration) int64 {
			before := served.Load()
			for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(7 * time.Millisecond) {
				callers.Go(func() {
					if ask(t, p) == nil {
						served.Add(1)
					}
				})
			}
			return served.Load() - before
		}
		before := come(5 * time.Second)
		ended.Store(true)
		come(30 * time.Millisecond)
		ended.Store(false)
		after := come(5 * time.Second)
		callers.Wait()
		if before < 100 || after < 100 {
			t.Errorf("%d calls were served, and %d after the connections had ended", before, after)
		}
	})
}
