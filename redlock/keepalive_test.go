package redlock

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorumlock/quorumlock/internal/clock"
	"github.com/quorumlock/quorumlock/internal/fakenode"
)

func TestKeepAliveHoldsTheLockAndRenewsAtAThirdOfTheTTL(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		k := f.lock("job", WithKeepAlive())
		time.Sleep(10 * time.Minute)
		if k.Context().Err() != nil || f.carriers("job") != 3 {
			t.Errorf("after ten minutes: %v", context.Cause(k.Context()))
		}
		// 225 thirds of 8 s, each up to a tenth early.
		if got := f.nodes[0].Count("extend"); got < 225 || got > 250 {
			t.Errorf("%d renewals in ten minutes", got)
		}
		f.unlock(k)
	})
}

func TestKeepAliveGoesOnThroughAnOutageThatEndsInTime(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		k := f.lock("job", WithKeepAlive())
		for range 5 {
			time.Sleep(8 * time.Second)
			f.nodes[0].Freeze()
			f.nodes[1].Freeze()
			time.Sleep(4 * time.Second)
			f.nodes[0].Thaw()
			f.nodes[1].Thaw()
		}
		time.Sleep(time.Minute)
		if err := context.Cause(k.Context()); err != nil {
			t.Errorf("lost: %v", err)
		}
		f.unlock(k)
	})
}

func TestKeepAliveEndsWithTheValidityWhenTheMajorityIsGone(t *testing.T) {
	var log bytes.Buffer
	inBubble(t, 5, func(f *fixture) {
		log.Reset()
		k := f.lock("job", WithKeepAlive())
		time.Sleep(time.Minute)
		for _, n := range f.nodes[:3] {
			n.Freeze()
		}
		<-k.Context().Done()
		if late := time.Since(k.Until()); late != 0 {
			t.Errorf("noticed %v after Until()", late)
		}
		// The cause says why nothing could be done about it.
		wantIs(t, context.Cause(k.Context()), ErrExpired, ErrNoQuorum, context.DeadlineExceeded)
		for _, n := range f.nodes[:3] {
			n.Thaw()
		}
		time.Sleep(time.Second)
		f.wantCarriers("job", 0) // also those that the renewals in vain prolonged
		f.unlock(f.lock("job"))  // and it can be had again
		if strings.Contains(log.String(), "lock lost") || strings.Count(log.String(), "WARN msg=\"redlock: renewal failed") != 1 {
			t.Errorf("log: %s", log.String())
		}
	}, WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
}

func TestKeepAliveStopsAtOnceWhenAMajorityDeniesTheLock(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		k := f.lock("job", WithKeepAlive())
		synctest.Wait()
		f.nodes[0].Lose()
		f.nodes[1].Lose()
		<-k.Context().Done()
		if left := time.Until(k.Until()); left < 4*time.Second {
			t.Errorf("noticed with only %v left", left)
		}
		wantIs(t, context.Cause(k.Context()), ErrLost)
		var q *QuorumError
		if !errors.As(context.Cause(k.Context()), &q) || q.Name != "job" {
			t.Errorf("the cause does not say what the nodes said: %v", context.Cause(k.Context()))
		}
		want := ", or was forgotten in a restart on " + k.locker.group.Name(0) + ", " + k.locker.group.Name(1)
		if text := context.Cause(k.Context()).Error(); !strings.HasSuffix(text, want) {
			t.Errorf("the cause is %q and does not end with %q", text, want)
		}
		f.wantCarriers("job", 0)
	})
}

// A stuck handler writes to a pipe that nobody reads.
type hangingHandler struct{ read chan struct{} }

func (s *hangingHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn
}
func (s *hangingHandler) Handle(context.Context, slog.Record) error { <-s.read; return nil }
func (s *hangingHandler) WithAttrs([]slog.Attr) slog.Handler        { return s }
func (s *hangingHandler) WithGroup(string) slog.Handler             { return s }

func TestContextsEndInTimeThoughTheLoggerBlocks(t *testing.T) {
	full := new(hangingHandler)
	logging := WithLogger(slog.New(full))
	inBubble(t, 3, func(f *fixture) { // where a renewal fails
		full.read = make(chan struct{})
		k := f.lock("job", WithKeepAlive())
		ctx, until := k.Context(), k.Until()
		f.nodes[0].Freeze()
		f.nodes[1].Freeze()
		go func() { // ends after all
			time.Sleep(time.Minute)
			close(full.read)
		}()
		<-ctx.Done()
		if late := time.Since(until); late > time.Millisecond {
			t.Errorf("it ends %v after Until", late)
		}
		f.nodes[0].Thaw()
		f.nodes[1].Thaw()
		time.Sleep(2 * time.Minute)
	}, logging)
	fake := new(clock.Fake) // where the machine was suspended
	_, pools := fakenode.Pools(3)
	full.read = make(chan struct{})
	l, err := newLocker(fake, pools, []Option{logging})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Lock(context.Background(), "nobody asks"); err != nil { // so its loss is logged
		t.Fatal(err)
	}
	var done []<-chan struct{}
	for _, name := range []string{"a", "b", "c"} {
		k, err := l.Lock(context.Background(), name)
		if err != nil {
			t.Fatal(err)
		}
		done = append(done, k.Context().Done())
	}
	fake.Step(time.Hour)
	for _, d := range done {
		select {
		case <-d:
		case <-time.After(10 * time.Second):
			t.Fatal("a context is open long after a sleep")
		}
	}
	close(full.read)
	if err := l.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestMaxHoldBoundsTheLockToTheMillisecond(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		start := time.Now()
		k := f.lock("job", WithKeepAlive(), WithMaxHold(30*time.Second))
		<-k.Context().Done()
		if held := time.Since(start); held != 30*time.Second {
			t.Errorf("held for %v", held)
		}
		wantIs(t, context.Cause(k.Context()), ErrExpired)
		if want := "lock expired: it was held for as long as WithMaxHold(30s) allows"; context.Cause(k.Context()).Error() != want {
			t.Errorf("cause %q", context.Cause(k.Context()))
		}
		time.Sleep(500 * time.Millisecond)
		f.wantCarriers("job", 0)
	})
	inBubble(t, 3, func(f *fixture) {
		k := f.lock("job", WithMaxHold(8*time.Second))
		time.Sleep(7 * time.Second)
		if err := k.Extend(context.Background()); err != nil {
			t.Errorf("Extend to the bound: %v", err)
		}
		if left := time.Until(k.Until()); left != time.Second {
			t.Errorf("%v left, want one second", left)
		}
		if err := k.Extend(context.Background()); err == nil || !strings.Contains(err.Error(), "WithMaxHold of 8s") {
			t.Errorf("Extend at the bound: %v", err)
		}
		f.unlock(k)
	})
}

// redisson#2515: the failed renewal of one lock disabled the watchdog of the next.
func TestALostLockDoesNotDisturbTheNextOneOfThatName(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		k := f.lock("job", WithKeepAlive())
		synctest.Wait()
		for _, n := range f.nodes {
			n.Lose()
		}
		<-k.Context().Done()
		next := f.lock("job", WithKeepAlive())
		time.Sleep(time.Minute)
		if next.Context().Err() != nil {
			t.Errorf("the next lock: %v", context.Cause(next.Context()))
		}
		wantIs(t, k.Unlock(context.Background()), ErrNotHeld, ErrLost)
		if next.Context().Err() != nil || f.carriers("job") != 3 {
			t.Error("the late Unlock touched the next holder's lock")
		}
		f.unlock(next)
	})
}

// redisson#7272: a renewal under way when the lock is released must not renew on.
func TestUnlockDuringARenewalEndsTheRenewing(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		k := f.lock("job", WithKeepAlive())
		for _, n := range f.nodes {
			n.Set(fakenode.Faults{ReplyDelay: 100 * time.Millisecond})
		}
		for f.nodes[0].Count("extend") == 0 {
			time.Sleep(time.Millisecond)
		}
		f.unlock(k)
		extensions := f.nodes[0].Count("extend")
		time.Sleep(time.Hour)
		f.wantCarriers("job", 0)
		if got := f.nodes[0].Count("extend"); got != extensions {
			t.Errorf("%d renewals after the unlock", got-extensions)
		}
	})
}

// rueidis#923: timer lag added up until the lock was lost.
func TestDelaysOfRenewalsDoNotAddUp(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		k := f.lock("job", WithKeepAlive())
		for _, n := range f.nodes {
			n.Set(fakenode.Faults{ReplyDelay: 350 * time.Millisecond})
		}
		time.Sleep(10 * time.Minute)
		if got := f.nodes[0].Count("extend"); got < 225 {
			t.Errorf("%d renewals in ten minutes, want one every 2.67s at least", got)
		}
		for _, n := range f.nodes {
			n.Set(fakenode.Faults{})
		}
		time.Sleep(time.Second)
		f.unlock(k)
	})
}

func TestTheNextWaiterIsServedThoughTheLoggerBlocks(t *testing.T) {
	full := new(hangingHandler)
	inBubble(t, 3, func(f *fixture) {
		full.read = make(chan struct{})
		until := f.lock("job", WithTTL(time.Second)).Until()
		go func() { // ends after all
			time.Sleep(time.Minute)
			close(full.read)
		}()
		next := f.lock("job")
		if late := time.Since(until); late > time.Second {
			f.t.Errorf("it was served %v after the one before had expired", late)
		}
		f.unlock(next)
		time.Sleep(2 * time.Minute)
	}, WithLogger(slog.New(full)))
}

// After a suspend two locks have ended, and an extension of each failed. A Trace that is slow
// about one of them, or closes the Locker, does not delay the other.
func TestTheEndOfALockDoesNotWaitForTheLogger(t *testing.T) {
	for name, lost := range map[string]func(f *fixture){
		"is slow": func(*fixture) { time.Sleep(5 * time.Second) },
		"closes": func(f *fixture) {
			begun := time.Now()
			ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
			defer cancel()
			if err := f.Close(ctx); err != nil || time.Since(begun) > time.Minute {
				f.t.Errorf("Close: %v after %v", err, time.Since(begun))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			var first string
			var notified func()
			inBubble(t, 3, func(f *fixture) {
				first, notified = "", func() { lost(f) }
				for _, name := range []string{"a", "b"} {
					k := f.lock(name)
					k.Context()
					f.nodes[0].Set(fakenode.Faults{LoseReplies: true})
					f.nodes[1].Set(fakenode.Faults{LoseReplies: true})
					k.Extend(context.Background())
					f.nodes[0].Set(fakenode.Faults{})
					f.nodes[1].Set(fakenode.Faults{})
				}
				f.clock.Step(8 * time.Second)
				time.Sleep(2 * suspendPeriod)
				synctest.Wait()
				other := map[string]string{"a": "b", "b": "a"}[first]
				begun := time.Now()
				k, err := f.TryLock(context.Background(), other)
				if took := time.Since(begun); took > 2*f.config.nodeTimeout {
					f.t.Errorf("TryLock(%q): %v after %v", other, err, took)
				}
				if err == nil {
					f.unlock(k)
				}
				time.Sleep(2 * time.Minute)
			}, WithTrace(&Trace{Lost: func(name string, _ error) {
				if first == "" {
					first = name
					notified()
				}
			}}))
		})
	}
}
