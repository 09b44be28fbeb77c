package servers_test

import (
	"context"
	"errors"
	"net"
	"syscall"
	"testing"

	"github.com/quorumlock/quorumlock/redlock"
)

// go-redis repeats a dial that is refused for 400 ms before it says so.
func TestWithDefaultOptionsARefusedConnectionIsSaidToBeRefused(t *testing.T) {
	withEach(t, func(t *testing.T, lib library) {
		locker := lib.Locker(t, []string{closedAddr(t), closedAddr(t), closedAddr(t)})
		_, err := locker.TryLock(context.Background(), "job")
		wantError(t, err, redlock.ErrNoQuorum)
		// On a busy machine the dial may end after the first call. The second knows.
		if !errors.Is(err, syscall.ECONNREFUSED) {
			_, err = locker.TryLock(context.Background(), "job")
		}
		var dial *net.OpError
		if !errors.As(err, &dial) || !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("the error is %q", err)
		}
	})
}
