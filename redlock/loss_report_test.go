package redlock

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorumlock/quorumlock/internal/fakenode"
)

// A record of what was returned is a second message about one thing.
func TestLossIsLoggedOnlyIfNoCallerIsNotified(t *testing.T) {
	ctx := context.Background()
	lose := func(f *fixture) {
		synctest.Wait() // until all nodes carry it
		f.nodes[0].Lose()
		f.nodes[1].Lose()
	}
	var log safeBuffer
	for name, c := range map[string]struct {
		warns bool
		loss  func(f *fixture)
	}{
		"Do returns it": {false, func(f *fixture) {
			err := f.Do(ctx, "job", func(ctx context.Context) error {
				lose(f)
				<-ctx.Done()
				return nil
			})
			wantIs(f.t, err, ErrLost)
		}},
		"Do returns that it expired": {false, func(f *fixture) {
			err := f.Do(ctx, "job", func(ctx context.Context) error {
				f.clock.Step(time.Hour)
				return nil
			})
			wantIs(f.t, err, ErrLost, ErrExpired)
		}},
		"Extend returns it": {false, func(f *fixture) {
			k := f.lock("job")
			lose(f)
			wantIs(f.t, k.Extend(ctx), ErrNotHeld)
		}},
		"Extend returns that it expired": {false, func(f *fixture) {
			k := f.lock("job")
			f.clock.Step(time.Hour)
			wantIs(f.t, k.Extend(ctx), ErrNotHeld, ErrExpired)
		}},
		"Unlock returns it": {false, func(f *fixture) {
			k := f.lock("job")
			time.Sleep(9 * time.Second)
			wantIs(f.t, k.Unlock(ctx), ErrNotHeld, ErrExpired)
		}},
		"the caller has the context": {false, func(f *fixture) {
			k := f.lock("job", WithKeepAlive())
			defer func(ctx context.Context) { wantIs(f.t, context.Cause(ctx), ErrLost) }(k.Context())
			lose(f)
			time.Sleep(10 * time.Second)
		}},
		"it was handed over": {false, func(f *fixture) {
			handle := f.handle(f.lock("job", WithKeepAlive()))
			f.unlock(f.attach(f.another(), handle))
		}},
		"no caller looks, and a renewal finds it": {true, func(f *fixture) {
			f.lock("job", WithKeepAlive())
			lose(f)
			time.Sleep(10 * time.Second)
		}},
		"no caller looks, and it expires": {true, func(f *fixture) {
			f.lock("job", WithKeepAlive(), WithMaxHold(20*time.Second))
			time.Sleep(30 * time.Second)
		}},
		"another caller waits, and it expires": {true, func(f *fixture) {
			f.lock("job")
			f.unlock(f.lock("job"))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, 3, func(f *fixture) {
				log.reset()
				c.loss(f)
				synctest.Wait()
				if got := log.String(); strings.Contains(got, "lock lost") != c.warns {
					t.Errorf("the log: %s", got)
				}
				time.Sleep(10 * time.Second) // keys expire
			}, WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		})
	}
}

func TestDoSaysALossOnce(t *testing.T) {
	other := errors.New("upload failed")
	for name, fn := range map[string]func(ctx context.Context) error{
		"returns the cause":       context.Cause,
		"returns an error of it":  func(ctx context.Context) error { return fmt.Errorf("backup: %w", context.Cause(ctx)) },
		"returns nil":             func(context.Context) error { return nil },
		"returns something else":  func(context.Context) error { return other },
		"returns the context's":   func(ctx context.Context) error { return ctx.Err() },
		"returns what joins both": func(ctx context.Context) error { return errors.Join(other, context.Cause(ctx)) },
	} {
		for how, lose := range map[string]func(f *fixture){
			"lost": func(f *fixture) { f.nodes[0].Lose(); f.nodes[1].Lose() },
			"expired": func(f *fixture) {
				for _, n := range f.nodes {
					n.Set(fakenode.Faults{LoseRequests: true})
				}
			},
		} {
			t.Run(how+", "+name, func(t *testing.T) {
				inBubble(t, 3, func(f *fixture) {
					var returned, cause error
					err := f.Do(context.Background(), "job", func(ctx context.Context) error {
						synctest.Wait()
						lose(f)
						<-ctx.Done()
						cause, returned = context.Cause(ctx), fn(ctx)
						return returned
					})
					wantIs(t, err, ErrLost, cause)
					if returned != nil {
						wantIs(t, err, returned)
					}
					text := err.Error()
					if n := strings.Count(text, cause.Error()); n != 1 {
						t.Errorf("the cause is said %d times: %s", n, text)
					}
					if n := strings.Count(text, ErrLost.Error()); n != 1 {
						t.Errorf("the loss is said %d times: %s", n, text)
					}
					if !strings.Contains(text, `redlock: do "job": `) {
						t.Errorf("it does not say of which lock: %s", text)
					}
					if errors.Is(returned, cause) && !errors.Is(returned, other) && strings.Contains(text, "\n") {
						t.Errorf("two lines: %s", text)
					}
				})
			})
		}
	}
}

func TestDoSaysOnceThatTheLockerWasClosed(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		done := make(chan error)
		go func() {
			done <- f.Do(context.Background(), "job", func(ctx context.Context) error {
				<-ctx.Done()
				return context.Cause(ctx)
			})
		}()
		time.Sleep(time.Second)
		f.Close(context.Background())
		err := <-done
		if wantIs(t, err, ErrClosed); err.Error() != `redlock: do "job": locker is closed` {
			t.Error(err)
		}
	})
}
