package pooltest

import (
	"context"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/quorumlock/quorumlock/pool"
)

// attempt sends a command that may fail.
func attempt(p pool.Pool, args ...any) outcome {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	reply, err := p.Do(ctx, args...)
	return outcome{reply: reply, err: err}
}

func arguments(tb testing.TB, open Opener) {
	s, p := setup(tb, open)
	got := make(chan []string, 1)
	s.on("TAKE", func(p *peer, args []string) {
		got <- args
		p.reply(simple("OK"))
	})
	call(tb, p, "TAKE", "", "a b", "line\r\nline", "\x00\xff", "{tag}:fence", int64(0), int64(-1), int64(1<<62))
	want := []string{"TAKE", "", "a b", "line\r\nline", "\x00\xff", "{tag}:fence", "0", "-1", strconv.Itoa(1 << 62)}
	if have := <-got; !reflect.DeepEqual(have, want) {
		tb.Errorf("the server got %q, want %q", have, want)
	}
}

func largeArgument(tb testing.TB, open Opener) {
	s, p := setup(tb, open)
	s.on("MEASURE", func(p *peer, args []string) {
		p.reply(bulk(fmt.Sprintf("%d %s", len(args[1]), strings.Trim(args[1], "x"))))
	})
	// Below, at and beyond the buffers that clients have.
	for _, size := range []int{4000, 4096, 5000, 32 << 10, 64<<10 + 1, 1 << 20} {
		value := "<" + strings.Repeat("x", size-2) + ">"
		got := call(tb, p, "MEASURE", value, int64(1))
		// Trim removes nothing: the value does not begin or end with x.
		if want := fmt.Sprintf("%d %s", size, value); got != want {
			tb.Errorf("a value of %d bytes did not arrive as it was sent", size)
		}
	}
}

func argumentsUnchanged(tb testing.TB, open Opener) {
	_, p := setup(tb, open)
	args := []any{"Echo", "text", int64(3)}
	s := append(args[:2:2], "beyond")[:2] // its capacity does not belong to Do either
	_ = attempt(p, args...)
	if want := []any{"Echo", "text", int64(3)}; !reflect.DeepEqual(args, want) {
		tb.Errorf("the arguments are now %v, they were %v", args, want)
	}
	_ = attempt(p, s...)
	if behind := s[:3][2]; behind != "beyond" {
		tb.Errorf("Do wrote %v behind the end of the slice", behind)
	}
}

// argumentsNotKept relies on the race detector to find a client that reads the arguments of a call
// that has returned.
func argumentsNotKept(tb testing.TB, open Opener) {
	s, p := setup(tb, open)
	s.on("SET", func(p *peer, _ []string) { p.reply(simple("OK")) })
	mustEcho(tb, p, "a connection")
	again := func(ctx context.Context, size int) {
		args := []any{"SET", "key", strings.Repeat("x", size), "PX", int64(1000)}
		overdue(tb, p, ctx, args...)
		for i := range args {
			args[i] = "used again"
		}
	}
	// The context ends while the client prepares the command.
	for i := range 200 {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		again(&abrupt{Context: ctx, cancel: cancel, left: i % 8}, []int{10, 10_000}[i/8%2])
		cancel()
	}
	// The context ends while the client waits for a reply, and while it writes.
	s.freeze()
	for _, size := range []int{10, 10_000, 8 << 20} {
		ctx, cancel := context.WithTimeout(context.Background(), short)
		again(ctx, size)
		cancel()
	}
	s.thaw()
	mustEcho(tb, p, "after it")
	if n := s.count("SET used again") + s.count("USED AGAIN"); n > 0 {
		tb.Errorf("%d commands were sent with arguments of a later call", n)
	}
}

// abrupt is a context that is cancelled by the call of Done number left.
type abrupt struct {
	context.Context
	cancel context.CancelFunc

	mu   sync.Mutex // protects left
	left int
}

func (a *abrupt) Done() <-chan struct{} {
	a.mu.Lock()
	a.left--
	now := a.left == 0
	a.mu.Unlock()
	if now {
		a.cancel()
	}
	return a.Context.Done()
}

func emptyCommand(tb testing.TB, open Opener) {
	_, p := setup(tb, open)
	mustEcho(tb, p, "a connection")
	attempt(p).neverSent(tb)
	mustEcho(tb, p, "after it")
}
