package goredis

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/pool"
	"github.com/redis/go-redis/v9"
)

// twice is a hook that repeats every command.
type twice struct{ watch }

func (*twice) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		_ = next(ctx, cmd)
		return next(ctx, cmd)
	}
}

func TestAHookThatRepeatsACommandGetsTheSecondReply(t *testing.T) {
	server := startScripted(t)
	client := redis.NewClient(&redis.Options{Addr: server.addr})
	defer client.Close()
	client.AddHook(new(twice))
	for sent, want := range map[string]any{"*2\r\n:1\r\n+a\r\n": 2, "$-1\r\n": 0, "-ERR no\r\n": pool.Error("ERR no")} {
		got, err := New(client).Do(t.Context(), "REPLY", sent)
		if refusal, isError := want.(pool.Error); isError {
			if !errors.Is(err, refusal) {
				t.Errorf("%q: got %v, %v", sent, got, err)
			}
		} else if values, _ := got.([]any); err != nil || len(values) != want {
			t.Errorf("%q: got %v, %v", sent, got, err)
		}
	}
}

func TestNoReplyAndNoErrorIsNotAGrantedLock(t *testing.T) {
	for _, sent := range []bool{true, false} {
		c := newCommand(t.Context(), nil, []any{"SET", "key", "value"})
		c.ran, c.sent = true, sent
		if got, err := c.outcome(nil); err == nil || errors.Is(err, pool.ErrNotSent) == sent {
			t.Errorf("sent %t: got %v, %v", sent, got, err)
		}
	}
}

// tardy is a context past its deadline whose timer has not come round.
type tardy struct{ context.Context }

func (tardy) Deadline() (time.Time, bool) { return time.Now().Add(-time.Nanosecond), true }

func TestADeadlineIsOverWhenTheClockSaysSo(t *testing.T) {
	server := startScripted(t)
	client := redis.NewClient(&redis.Options{Addr: server.addr})
	defer client.Close()
	got, err := New(client).Do(tardy{t.Context()}, "ROLE")
	if !errors.Is(err, pool.ErrNotSent) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, %v", got, err)
	}
	// The same while it waits for a connection.
	c := newCommand(tardy{t.Context()}, client, []any{"ROLE"})
	c.inner = true
	if args := c.Args(); args[0] != "PING" || c.sent {
		t.Errorf("%v would be sent", args)
	}
}
