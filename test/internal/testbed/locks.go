package testbed

import (
	"context"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/redlock"
)

// Unhurried gives nodes the time to answer that a busy machine needs, unless a test says
// how much they have.
func Unhurried(opts []redlock.Option) []redlock.Option {
	return append([]redlock.Option{redlock.WithNodeTimeout(time.Second)}, opts...)
}

// Settle closes a Locker, which has to become certain of everything that it sent.
func Settle(t testing.TB, locker *redlock.Locker) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := locker.Close(ctx); err != nil {
		t.Errorf("at the end of the test: %v", err)
	}
}

// MustLock waits for a lock.
func MustLock(t testing.TB, l *redlock.Locker, name string, opts ...redlock.LockOption) *redlock.Lock {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	lock, err := l.Lock(ctx, name, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return lock
}

// MustUnlock releases a lock.
func MustUnlock(t testing.TB, lock *redlock.Lock) {
	t.Helper()
	if err := lock.Unlock(context.Background()); err != nil {
		t.Error(err)
	}
}
