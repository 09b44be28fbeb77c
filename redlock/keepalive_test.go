package redlock

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
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
		if !strings.Contains(log.String(), "lock lost") || strings.Count(log.String(), "WARN msg=\"redlock: renewal failed") != 1 {
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
		f.wantCarriers("job", 0)
	})
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
			t.Error("the stale Unlock touched the next holder's lock")
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

// A clockLog notes when the clock is read.
type clockLog struct {
	clock.Clock
	mu    sync.Mutex
	reads map[time.Time]bool
}

func (c *clockLog) Read() clock.Reading {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reads[time.Now()] = true
	return c.Clock.Read()
}

func TestTheDeadlineOfALockIsPutOffWithEveryRenewal(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		log := &clockLog{Clock: f.clock, reads: make(map[time.Time]bool)}
		f.Locker.clock = log
		k := f.lock("job", WithKeepAlive())
		time.Sleep(time.Minute)
		f.unlock(k)
		log.mu.Lock()
		defer log.mu.Unlock()
		for _, c := range f.nodes[0].Log() {
			if deadline := c.At.Add(k.validity); log.reads[deadline] {
				t.Errorf("the timer came round %v after %q", k.validity, c.Does)
			}
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

func TestRenewalsOfManyLocksComeInCompany(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		const locks = 500
		var held []*Lock
		for i := range locks {
			held = append(held, f.lock(fmt.Sprint(i), WithKeepAlive()))
			time.Sleep(7 * time.Millisecond)
		}
		begin := time.Now()
		time.Sleep(8 * time.Second) // a TTL
		moments := make(map[time.Time]int)
		for _, c := range f.nodes[0].Log() {
			if c.Does == "extend" && c.At.After(begin) {
				moments[c.At]++
			}
		}
		total, most := 0, 0
		for _, n := range moments {
			total, most = total+n, max(most, n)
		}
		if len(moments) > maxMoments || total < 3*locks {
			t.Errorf("%d renewals at %d moments", total, len(moments))
		}
		if most > locks/4 {
			t.Errorf("%d of %d locks were renewed at one moment", most, locks)
		}
		for _, k := range held {
			f.unlock(k)
		}
	})
}

// Renewals that are all due at once must not wait for each other until all are
// given up.
func TestRenewalsDueAtOnceAreDoneOneAfterTheOther(t *testing.T) {
	var failed atomic.Int64
	trace := &Trace{Round: func(r RoundInfo) {
		if r.Err != nil {
			failed.Add(1)
		}
	}}
	inBubble(t, 3, func(f *fixture) {
		const locks = 2000
		failed.Store(0)
		var held []*Lock
		for i := range locks {
			held = append(held, f.lock(fmt.Sprint(i), WithKeepAlive()))
		}
		for _, n := range f.nodes {
			n.Set(fakenode.Faults{ReplyDelay: 50 * time.Millisecond}) // 128 at a time: 0.8 s for all
		}
		f.together(held)
		time.Sleep(5 * time.Second)
		for _, k := range held {
			if left := time.Until(k.Until()); k.Context().Err() != nil || left < 3*time.Second {
				t.Fatalf("lock %s: %v left, %v", k.Name(), left, context.Cause(k.Context()))
			}
		}
		for _, n := range f.nodes {
			if got := n.Count("extend"); got > 3*locks {
				t.Errorf("%v carried out %d extensions for %d locks", n, got, locks)
			}
			n.Set(fakenode.Faults{})
		}
		if n := failed.Load(); n > 0 {
			t.Errorf("%d renewals failed", n)
		}
		for _, k := range held {
			k.end(ErrReleased)
			k.claim.Undo()
		}
	}, WithTrace(trace))
}
