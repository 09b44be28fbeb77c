package redlock

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorumlock/quorumlock/internal/fakenode"
)

// another is a further Locker on the same nodes: that of another process.
func (f *fixture) another() *Locker {
	l := mustNew(f.t, f)
	f.others = append(f.others, l)
	return l
}

func (f *fixture) handle(k *Lock) []byte {
	f.t.Helper()
	handle, err := k.Handle()
	if err != nil {
		f.t.Fatal(err)
	}
	return handle
}

func (f *fixture) attach(l *Locker, handle []byte) *Lock {
	f.t.Helper()
	k, err := l.Attach(context.WithValue(context.Background(), ctxKey{}, "attached"), handle)
	if err != nil {
		f.t.Fatal(err)
	}
	synctest.Wait()
	return k
}

func TestHandedOverLockGoesOnElsewhereWithItsOptions(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		k := f.lock("job", WithFencing(), WithTTL(5*time.Second), WithKeepAlive(), WithMaxHold(time.Minute), WithMinHold(30*time.Second))
		ctx, token := k.Context(), k.Token()
		time.Sleep(10 * time.Second)
		handle := f.handle(k)
		wantIs(t, context.Cause(ctx), ErrHandedOver)
		time.Sleep(2 * time.Second) // on its way

		there := f.attach(f.another(), handle)
		if there.Name() != "job" || there.Token() != token || there.Context().Value(ctxKey{}) != "attached" {
			t.Errorf("attached to %q with token %d, want %d", there.Name(), there.Token(), token)
		}
		if held, _ := there.Held(); held != 3 {
			t.Errorf("held on %d nodes", held)
		}
		time.Sleep(10 * time.Second) // it is kept alive
		if err := there.Context().Err(); err != nil {
			t.Error(context.Cause(there.Context()))
		}
		f.unlock(there)
		f.wantLeft("job", 10*time.Second) // of the least hold, without the way
		time.Sleep(11 * time.Second)
	})
}

func TestMaxHoldCountsWhatWasHeldBeforeTheLockWasHandedOver(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		k := f.lock("job", WithTTL(5*time.Second), WithKeepAlive(), WithMaxHold(time.Minute))
		time.Sleep(50 * time.Second)
		there := f.attach(f.another(), f.handle(k))
		begun := time.Now()
		<-there.Context().Done()
		if lasted := time.Since(begun); lasted < 9900*time.Millisecond || lasted > 10*time.Second {
			t.Errorf("held for %v more", lasted)
		}
	})
}

func TestHolderThatHandedOverNeitherRenewsNorReleases(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		k := f.lock("job", WithTTL(5*time.Second), WithKeepAlive())
		time.Sleep(time.Second)
		handle := f.handle(k)
		sent := f.nodes[0].Sent()
		for what, err := range map[string]error{
			"unlock": k.Unlock(context.Background()), "extend": k.Extend(context.Background()), "hand over": second(k.Handle()),
		} {
			wantIs(t, err, ErrNotHeld, ErrHandedOver)
			if want := `redlock: ` + what + ` "job": lock is not held: lock was handed over`; err.Error() != want {
				t.Errorf("%q, want %q", err, want)
			}
		}
		if held, _ := k.Held(); held != 0 {
			t.Errorf("held on %d nodes", held)
		}
		if err := f.Close(context.Background()); err != nil {
			t.Errorf("Close: %v", err)
		}
		time.Sleep(3 * time.Second)
		if now := f.nodes[0].Sent(); now != sent {
			t.Errorf("%d commands were sent", now-sent)
		}
		f.unlock(f.attach(f.another(), handle))
		f.wantCarriers("job", 0)
	})
}

func TestHandleWorksOnce(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		handle := f.handle(f.lock("job", WithKeepAlive()))
		first := f.attach(f.another(), handle)
		_, err := f.another().Attach(context.Background(), handle)
		wantIs(t, err, ErrNotHeld)
		time.Sleep(time.Minute)
		if err := first.Extend(context.Background()); err != nil {
			t.Error(err)
		}
		// It can be handed over again, and the old handle is of no use then either.
		again := f.handle(first)
		_, err = f.Attach(context.Background(), handle)
		wantIs(t, err, ErrNotHeld)
		f.unlock(f.attach(f.Locker, again))
		_, err = f.Attach(context.Background(), again)
		wantIs(t, err, ErrNotHeld)
		f.wantCarriers("job", 0)
	})
}

// Whatever is lost on the way, and in whatever order commands arrive.
func TestAtMostOneOfSeveralSimultaneousAttachesSucceeds(t *testing.T) {
	faults := []fakenode.Faults{
		{}, {Delay: time.Millisecond}, {ReplyDelay: 3 * time.Millisecond}, {LoseReplies: true}, {LoseRequests: true}, {Reset: true},
		{Delay: time.Second}, {ReplyDelay: time.Second},
	}
	won, rounds := 0, 8
	if long() {
		rounds = 200
	}
	for seed := range rounds {
		inBubble(t, 3, func(f *fixture) {
			handle := f.handle(f.lock("job", WithKeepAlive(), WithTTL(4*time.Second)))
			for i, n := range f.nodes {
				n.Set(faults[(seed>>(2*i)+i*seed)%len(faults)])
			}
			var mu sync.Mutex
			var held []*Lock
			var all sync.WaitGroup
			for range 3 {
				l := f.another()
				all.Go(func() {
					k, err := l.Attach(context.Background(), handle)
					mu.Lock()
					defer mu.Unlock()
					if err == nil {
						held = append(held, k)
					} else if !errors.Is(err, ErrNotHeld) && !errors.Is(err, ErrNoQuorum) {
						t.Error(err)
					}
				})
			}
			all.Wait()
			if len(held) > 1 {
				t.Fatalf("%d go on", len(held))
			}
			for _, n := range f.nodes {
				n.Set(fakenode.Faults{})
			}
			won += len(held)
			for _, k := range held {
				if k.Context().Err() == nil {
					f.unlock(k)
				}
			}
		})
	}
	if won < rounds/4 {
		t.Errorf("only %d of %d were taken over", won, 2*rounds)
	}
}

func TestAttachRepeatsASwapWhoseReplyWasLost(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		handle := f.handle(f.lock("job"))
		for _, n := range f.nodes[:2] {
			n.Set(fakenode.Faults{LoseReplies: true})
		}
		time.AfterFunc(time.Second, func() {
			for _, n := range f.nodes {
				n.Set(fakenode.Faults{})
			}
		})
		begun := time.Now()
		k := f.attach(f.another(), handle)
		// What was swapped first counts.
		if until := k.Until(); until.After(begun.Add(8 * time.Second)) {
			t.Errorf("valid until %v after the first swap", until.Sub(begun))
		}
		f.unlock(k)
		f.wantCarriers("job", 0)
	})
}

func TestFailedAttachLeavesNothingOfItsOwn(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		handle := f.handle(f.lock("job", WithTTL(time.Minute)))
		old := f.nodes[2].Get("job")
		f.nodes[0].Set(fakenode.Faults{Delay: 3 * time.Second}) // swapped when nobody waits any more
		f.nodes[1].Set(fakenode.Faults{LoseReplies: true})
		f.nodes[2].Set(fakenode.Faults{Refuse: true})
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		l := f.another()
		_, err := l.Attach(ctx, handle)
		wantIs(t, err, context.DeadlineExceeded)
		for _, n := range f.nodes {
			n.Set(fakenode.Faults{})
		}
		if err := l.Close(context.Background()); err != nil {
			t.Error(err)
		}
		for i, n := range f.nodes {
			if got := n.Get("job"); got != "" && got != old {
				t.Errorf("node %d has what Attach put there", i+1)
			}
		}
		time.Sleep(time.Minute)
	})
}

func TestAttachAfterTheLockHasEndedMatchesNotHeld(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		handle := f.handle(f.lock("job"))
		time.Sleep(9 * time.Second)
		_, err := f.Attach(context.Background(), handle)
		if wantIs(t, err, ErrNotHeld); !strings.Contains(err.Error(), "the key has expired, was deleted") {
			t.Error(err)
		}
		k := f.lock("job") // another client's
		_, err = f.another().Attach(context.Background(), handle)
		if wantIs(t, err, ErrNotHeld); !strings.Contains(err.Error(), "taken by me on ") {
			t.Error(err)
		}
		if err := k.Extend(context.Background()); err != nil {
			t.Error(err)
		}
		f.unlock(k)
		_, err = k.Handle()
		wantIs(t, err, ErrNotHeld, ErrReleased)
		f.Close(context.Background())
		_, err = f.Attach(context.Background(), handle)
		wantIs(t, err, ErrClosed)
	})
}

// An extension in flight when the lock is handed over is no reason for a rollback.
func TestExtensionUnderWayDoesNotDisturbAHandOver(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		k := f.lock("job")
		for _, n := range f.nodes {
			n.Set(fakenode.Faults{Delay: 100 * time.Millisecond})
		}
		extended := make(chan error)
		go func() { extended <- k.Extend(context.Background()) }()
		time.Sleep(50 * time.Millisecond)
		handle := f.handle(k)
		wantIs(t, <-extended, ErrNotHeld, ErrHandedOver)
		for _, n := range f.nodes {
			n.Set(fakenode.Faults{})
		}
		time.Sleep(time.Second)
		f.wantCarriers("job", 3)
		f.unlock(f.attach(f.another(), handle))
	})
}

func TestAttachedLockTakesNodesThatMissIt(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		k := f.lock("job", WithFencing())
		f.nodes[1].Lose()
		there := f.attach(f.another(), f.handle(k))
		time.Sleep(time.Second)
		f.wantCarriers("job", 3)
		if held, _ := there.Held(); held != 3 {
			t.Errorf("held on %d nodes", held)
		}
		if f.nodes[1].Get("{job}:fence") != strconv.FormatUint(there.Token(), 10) {
			t.Errorf("it was taken without its token")
		}
		f.unlock(there)
	})
}

func TestFunctionOfDoMayHandItsLockOver(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		var handle []byte
		err := f.Do(context.Background(), "job", func(ctx context.Context) error {
			k, _ := FromContext(ctx)
			handle = f.handle(k)
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		there := f.attach(f.another(), handle)
		time.Sleep(time.Minute) // Do keeps its locks alive
		f.unlock(there)
	})
}

func TestHandleThatDoesNotFitIsRefusedBeforeAnythingIsSent(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		handle := f.handle(f.lock("job", WithTTL(20*time.Second)))
		changed := func(i int, by byte) []byte {
			b := append([]byte(nil), handle...)
			b[i] ^= by
			return b
		}
		prefixed, err := New(newPools(f), WithPrefix("app:"))
		if err != nil {
			t.Fatal(err)
		}
		fewer, err := New(newPools(f)[:2])
		if err != nil {
			t.Fatal(err)
		}
		guarded, err := New(newPools(f), WithRestartGuard(10*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		f.others = append(f.others, prefixed, fewer, guarded)
		sent := f.nodes[0].Sent()
		for want, c := range map[string]struct {
			l      *Locker
			handle []byte
		}{
			"no handle":                             {f.Locker, []byte("rl1:0123")},
			"these bytes are no handle":             {f.Locker, nil},
			"another version":                       {f.Locker, changed(3, 3)},
			"damaged or was cut short":              {f.Locker, changed(20, 1)},
			"damaged or was cut":                    {f.Locker, handle[:len(handle)-1]},
			"damaged or was":                        {f.Locker, handle[:3]},
			"damaged or":                            {f.Locker, append(append([]byte(nil), handle...), 0)},
			"longer than 65536 bytes":               {f.Locker, make([]byte, 1<<20)},
			`taken with the prefix "", and this Lo`: {prefixed, handle},
			"taken on 3 nodes, and this Locker has": {fewer, handle},
			"WithRestartGuard(10s): must not be be": {guarded, handle},
		} {
			k, err := c.l.Attach(context.Background(), c.handle)
			if k != nil || err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "redlock: attach") {
				t.Errorf("%v, want %q", err, want)
			}
		}
		long := f.lock(strings.Repeat("x", 70_000))
		if _, err := long.Handle(); err == nil || !strings.Contains(err.Error(), "too long for a handle") {
			t.Errorf("a long name: %v", err)
		}
		f.unlock(long) // it is held as before
		if now := f.nodes[0].Sent(); now > sent+2 {
			t.Errorf("%d commands were sent", now-sent)
		}
		f.unlock(f.attach(f.Locker, handle))
	})
}

// The value of a lock releases it.
func TestLockIsPrintedWithoutItsSecret(t *testing.T) {
	inBubble(t, 1, func(f *fixture) {
		k := f.lock("job")
		secret := f.nodes[0].Get("job")[len(valuePrefix):][:nonceDigits]
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
			if text := fmt.Sprintf(verb, k); strings.Contains(text, secret) || text == "" {
				t.Errorf("%s: %s", verb, text)
			}
		}
		if k.String() != `lock "job"` {
			t.Error(k.String())
		}
		f.unlock(k)
	})
}
