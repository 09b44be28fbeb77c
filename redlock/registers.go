package redlock

import (
	"context"
	"errors"
	"fmt"

	"github.com/quorumlock/quorumlock/internal/node"
	"github.com/quorumlock/quorumlock/internal/register"
	"github.com/quorumlock/quorumlock/internal/waiting"
)

// Packages election and board stand on the registers of a Locker.
func init() {
	register.Of = func(locker any) *register.Registers { return locker.(*Locker).registers }
	register.WriterOf = func(lock any) *register.Writer { return lock.(*Lock).writerOf() }
	register.Label = holderOf
}

func (l *Locker) newRegisters() *register.Registers {
	return register.New(register.Config{
		Group:     l.group,
		Timeout:   l.config.nodeTimeout,
		Closing:   l.closing,
		Subscribe: l.hub.Subscribe,
		FlagTTL:   waiting.MaxFlagTTL,
		Key:       func(path string) (string, error) { return keyOf(l.config.prefix, path) },
		Enter: func() error {
			if err := l.enter(); err != nil {
				return fmt.Errorf("redlock: %w", err)
			}
			return nil
		},
		Leave: l.leave,
		Failed: func(op, path string, done int, answers []node.Answer) error {
			q := &QuorumError{Op: op, Name: path, Granted: done, Needed: l.group.Majority(), Total: len(answers), kind: ErrNoQuorum}
			for i, a := range answers {
				if a.Err != nil && !errors.Is(a.Err, context.Canceled) {
					q.addNode(l.group.Name(i), a.Err)
				}
			}
			return q
		},
		NotHeld: func(op, path string) error {
			return fmt.Errorf("redlock: %s %q: %w: too many nodes do not have the lock: it expired, was deleted, or was forgotten in a restart there", op, path, ErrNotHeld)
		},
		Interrupted: func(ctx context.Context, op, path string) error { return interrupted(ctx, op, path, nil) },
	})
}

// writerOf returns the lock as a writer of published values, nil if it has no fencing token.
func (k *Lock) writerOf() *register.Writer {
	if k == nil || k.token == 0 {
		return nil
	}
	if w := k.writer.Load(); w != nil {
		return w
	}
	k.writer.CompareAndSwap(nil, register.NewWriter(k.claim, k.token, register.WriterID(k.claim.Value()), func() error {
		if cause := k.lease.EndIfExpired(true); cause != nil {
			return k.notHeld("publish", cause)
		}
		return nil
	}))
	return k.writer.Load()
}
