package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorumlock/quorumlock/internal/fakenode"
	"github.com/quorumlock/quorumlock/pool"
)

// slowDial is a client that tries to connect for longer than any caller waits.
type slowDial struct {
	*fakenode.Node
	err  error
	ends atomic.Bool
}

func (s *slowDial) Do(ctx context.Context, args ...any) (any, error) {
	if s.ends.Load() {
		return s.Node.Do(ctx, args...)
	}
	time.Sleep(timeout + timeout/8)
	return nil, fmt.Errorf("%w: %w: %w", pool.ErrNotSent, context.DeadlineExceeded, s.err)
}

func TestCallGivenUpReportsTheEarlierDialError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
		s := &slowDial{Node: fakenode.New("a"), err: refused}
		n := newNode(t, s)
		if a := ask(t, n, Acquire, "k", "v"); errors.As(a.Err, new(*net.OpError)) {
			t.Errorf("%v is known before the first dial has ended", a.Err)
		}
		time.Sleep(timeout)
		a := ask(t, n, Acquire, "k", "v")
		if !strings.Contains(a.Err.Error(), "no answer within the node timeout; before that: ") || !strings.Contains(a.Err.Error(), syscall.ECONNREFUSED.Error()) {
			t.Errorf("the error is %q", a.Err)
		}
		if !errors.As(a.Err, new(*net.OpError)) || !errors.Is(a.Err, syscall.ECONNREFUSED) || !errors.Is(a.Err, context.DeadlineExceeded) {
			t.Errorf("%v does not match what it says", a.Err)
		}
		if errors.Is(a.Err, pool.ErrNotSent) {
			t.Error("of a call that the client still has it is not known that nothing was sent")
		}
		time.Sleep(timeout)

		s.ends.Store(true)
		wantStatus(t, ask(t, n, Acquire, "k", "v"), Granted)
		s.Freeze()
		defer s.Thaw()
		if a := ask(t, n, Acquire, "k", "v"); errors.Is(a.Err, syscall.ECONNREFUSED) {
			t.Errorf("%v is from before the node answered", a.Err)
		}
	})
}

// The client's own bound may come before the node's.
func TestCallGivenUpByItsClientReportsTheEarlierDialError(t *testing.T) {
	for _, unsent := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			over := error(context.DeadlineExceeded)
			if unsent {
				over = fmt.Errorf("%w: %w", pool.ErrNotSent, over)
			}
			refused := fmt.Errorf("%w: %w", pool.ErrNotSent, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED})
			n := newNode(t, &failing{errs: []error{over, refused, over, nil, over}})
			for i, known := range []bool{false, true, true, false, false} {
				a := ask(t, n, Acquire, "k", "v")
				if errors.Is(a.Err, syscall.ECONNREFUSED) != known {
					t.Errorf("call %d: %v", i, a.Err)
				}
				if i == 2 && (errors.Is(a.Err, pool.ErrNotSent) != unsent || !errors.Is(a.Err, context.DeadlineExceeded)) {
					t.Errorf("call %d: %v does not match what it did", i, a.Err)
				}
			}
		})
	}
}

func TestEarlierErrorNeverProvesThatNothingWasDone(t *testing.T) {
	for _, before := range []error{
		nil, pool.ErrNotSent, pool.ErrClosed, ErrBusy, pool.Error("NOAUTH no"),
		fmt.Errorf("%w: %w", pool.ErrNotSent, pool.Error("ERR max number of clients reached")),
		errors.Join(pool.ErrNotSent, pool.ErrNoConn, io.EOF),
	} {
		err := fmt.Errorf("wrapped: %w", noAnswer{before})
		if errors.Is(err, pool.ErrNotSent) || errors.Is(err, pool.ErrClosed) || errors.Is(err, ErrBusy) || errors.As(err, new(pool.Error)) {
			t.Errorf("%v does", err)
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v is no timeout", err)
		}
	}
}
