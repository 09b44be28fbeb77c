package goredis

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/pool"
	"github.com/redis/go-redis/v9"
)

// twice is a hook that repeats every command.
type twice struct {
	watch
	first, second error
}

func (h *twice) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		h.first = next(ctx, cmd)
		h.second = next(ctx, cmd)
		return h.second
	}
}

func TestHookThatRepeatsACommandThatWasSentGetsTheFirstOutcomeAgain(t *testing.T) {
	for sent, want := range map[string]string{
		"*2\r\n:1\r\n+a\r\n": "[1 a] <nil>",
		"$-1\r\n":            "<nil> <nil>",
		"-ERR no\r\n":        "<nil> ERR no",
		"$5\r\nha":           "lost",
	} {
		server := startScripted(t)
		client := redis.NewClient(&redis.Options{Addr: server.addr, ReadTimeout: 100 * time.Millisecond})
		repeats := new(twice)
		client.AddHook(repeats)
		got, err := New(client).Do(t.Context(), "REPLY", sent)
		if want == "lost" {
			if err == nil || errors.Is(err, pool.ErrNotSent) || errors.As(err, new(pool.Error)) {
				t.Errorf("%q: got %v, %v", sent, got, err)
			}
		} else if fmt.Sprint(got, " ", err) != want {
			t.Errorf("%q: got %v, %v, want %s", sent, got, err, want)
		}
		if n := server.asked.Load(); n != 1 {
			t.Errorf("%q: the server got the command %d times", sent, n)
		}
		if !errors.Is(repeats.second, repeats.first) {
			t.Errorf("%q: the hook heard %v, and then %v", sent, repeats.first, repeats.second)
		}
		_ = client.Close()
	}
}

func TestNoReplyAndNoErrorIsNotAGrantedLock(t *testing.T) {
	for _, sent := range []bool{true, false} {
		c := newCommand(t.Context(), nil, time.Second, []any{"SET", "key", "value"})
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
	c := newCommand(tardy{t.Context()}, nil, time.Second, []any{"ROLE"})
	c.inner = true
	if args := c.Args(); args[0] != "PING" || c.sent {
		t.Errorf("%v would be sent", args)
	}
}
