package redlock

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorumlock/quorumlock/internal/fakenode"
	"github.com/quorumlock/quorumlock/pool"
)

func (f *fixture) forceRelease(l *Locker, name string) (Forced, error) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return l.ForceRelease(ctx, name)
}

// other is the Locker of an operator that deletes locks.
func (f *fixture) other() *Locker {
	l := mustNew(f.t, f)
	f.others = append(f.others, l)
	return l
}

func TestForceReleaseEndsTheContextOfTheHolderAtItsNextRenewal(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		k := f.lock("job", WithKeepAlive(), WithTTL(9*time.Second))
		ctx := k.Context()
		ended, err := f.forceRelease(f.other(), "job")
		if err != nil || ended.String() != `"job" was held by me and is released: the key of me on 3 of 3 nodes` || ended.Failed != nil {
			f.t.Errorf("%v, %v", ended, err)
		}
		f.wantCarriers("job", 0)
		if ctx.Err() != nil {
			f.t.Error("the holder knows already")
		}
		next, err := f.TryLock(context.Background(), "job")
		if err != nil {
			f.t.Fatal(err)
		}
		select {
		case <-ctx.Done():
			wantIs(f.t, context.Cause(ctx), ErrLost)
		case <-time.After(3*time.Second + time.Millisecond):
			f.t.Error("the holder works on after its renewal")
		}
		synctest.Wait()
		if next.Context().Err() != nil {
			f.t.Error("the next holder has lost it")
		}
		f.wantCarriers("job", 3)
		f.unlock(next)
	})
}

func TestForceReleaseNotifiesTheWaiters(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		holder := f.other()
		k, err := holder.Lock(context.Background(), "job", WithTTL(time.Minute))
		if err != nil {
			f.t.Fatal(err)
		}
		// One waits at the Locker that takes the lock away, and one elsewhere.
		there := f.other()
		first := f.LockAsync(context.Background(), "job", WithRetryDelay(20*time.Second, 20*time.Second))
		time.Sleep(time.Second)
		second := there.LockAsync(context.Background(), "job", WithRetryDelay(20*time.Second, 20*time.Second))
		time.Sleep(time.Second)
		begun := time.Now()
		if _, err := f.forceRelease(f.Locker, "job"); err != nil {
			f.t.Error(err)
		}
		for range 2 {
			select {
			case <-first.Done():
				got, err := first.Wait(context.Background())
				if err != nil {
					f.t.Fatal(err)
				}
				f.unlock(got)
				first = second
			case <-second.Done():
				got, err := second.Wait(context.Background())
				if err != nil {
					f.t.Fatal(err)
				}
				f.unlock(got)
				second = first
			}
		}
		if took := time.Since(begun); took > time.Second {
			f.t.Errorf("the waiters got it after %v", took)
		}
		wantIs(f.t, k.Unlock(context.Background()), ErrNotHeld)
	})
}

func TestForceReleaseDeletesWhatSeveralHoldersHaveLeft(t *testing.T) {
	inBubble(t, 5, func(f *fixture) {
		for i, value := range []string{dead, "redsync", "redsync", "another"} {
			f.nodes[i].Hold("job", value, time.Minute)
		}
		state, err := f.Inspect(context.Background(), "job")
		if want := `nobody can get "job" for 1m0s; no holder has a majority, and it is free on 1 of 5 nodes; 0 wait`; err != nil || state.String() != want {
			f.t.Errorf("%v, %v", state, err)
		}
		ended, err := f.forceRelease(f.Locker, "job")
		if err != nil || ended.Held != "" || len(ended.Holders) != 3 || ended.Holders[0].Nodes != 2 {
			f.t.Errorf("%v, %v", ended, err)
		}
		if text := ended.String(); !strings.HasPrefix(text, `nobody held "job"; what kept others from it is deleted: the key of foreign holder #`) || !strings.Contains(text, "of dead on 1 of 5 nodes") {
			f.t.Error(text)
		}
		f.wantCarriers("job", 0)
	})
}

// stepIn is a client that lets something happen before a release is sent.
type stepIn struct {
	pool.Pool
	before func() error
}

func (s stepIn) Do(ctx context.Context, args ...any) (any, error) {
	if text, ok := args[1].(string); args[0] == "EVAL" && ok && strings.Contains(text, "PUBLISH") {
		if err := s.before(); err != nil {
			return nil, err
		}
	}
	return s.Pool.Do(ctx, args...)
}

func TestForceReleaseLeavesALockAloneThatIsNewerThanWhatItSaw(t *testing.T) {
	const newer = "rl1:11111111111111111111111111111111:newer"
	for replaced, want := range map[int]error{1: nil, 3: ErrNotHeld} {
		synctest.Test(t, func(t *testing.T) {
			nodes, pools := fakenode.Pools(3)
			for i, n := range nodes {
				n.Hold("job", dead, time.Minute)
				pools[i] = stepIn{n, func() error {
					if i < replaced {
						n.Hold("job", newer, time.Minute)
					}
					return nil
				}}
			}
			l, err := New(pools)
			if err != nil {
				t.Fatal(err)
			}
			ended, err := l.ForceRelease(context.Background(), "job")
			if !errors.Is(err, want) {
				t.Errorf("%v, %v", ended, err)
			}
			if want == nil && (len(ended.Holders) != 1 || ended.Holders[0].Nodes != 3-replaced || ended.Held != "dead") {
				t.Errorf("%v", ended)
			}
			for i, n := range nodes {
				if i < replaced && n.Get("job") != newer || i >= replaced && n.Get("job") != "" {
					t.Errorf("node %d has %q", i, n.Get("job"))
				}
			}
			if err := l.Close(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestForceReleaseSaysWhatIsUnknown(t *testing.T) {
	const timeout = 500 * time.Millisecond
	inBubble(t, 3, func(f *fixture) {
		hold := func() {
			for _, n := range f.nodes {
				n.Hold("job", dead, time.Minute)
			}
		}
		_, err := f.forceRelease(f.Locker, "job")
		wantIs(f.t, err, ErrNotHeld)

		// One node is away.
		hold()
		f.nodes[2].Set(fakenode.Faults{Refuse: true})
		ended, err := f.forceRelease(f.Locker, "job")
		if err != nil || len(ended.Failed) != 1 || ended.Failed[0].Node != "node-3" || ended.Holders[0].Nodes != 2 || ended.Held != "dead" {
			f.t.Errorf("%v, %v, failed: %v", ended, err, ended.Failed)
		}
		if f.nodes[2].Get("job") == "" {
			f.t.Error("nobody can have deleted that")
		}

		// Most are away: nothing is touched.
		hold()
		f.nodes[1].Set(fakenode.Faults{Refuse: true})
		ended, err = f.forceRelease(f.Locker, "job")
		wantIs(f.t, err, ErrNoQuorum)
		if len(ended.Holders) != 0 || len(ended.Failed) != 2 || !strings.Contains(err.Error(), "nothing was deleted") {
			f.t.Errorf("%v, %v", ended, err)
		}
		f.wantCarriers("job", 3)
		f.nodes[1].Set(fakenode.Faults{})
		f.nodes[2].Set(fakenode.Faults{})

		// Connections that were idle have ended; what was sent on them was carried out.
		hold()
		ended, err = f.forceRelease(f.Locker, "job") // all have the script
		if err != nil {
			f.t.Error(err)
		}
		hold()
		l := f.other()
		if _, err := l.Inspect(context.Background(), "job"); err != nil {
			f.t.Error(err)
		}
		time.AfterFunc(100*time.Millisecond, func() {
			for _, n := range f.nodes {
				n.EndIdle(1, 0)
			}
		})
		for _, n := range f.nodes { // the look is answered after that
			n.Set(fakenode.Faults{ReplyDelay: 200 * time.Millisecond})
		}
		ended, err = f.forceRelease(l, "job")
		if err != nil || len(ended.Holders) != 1 || ended.Holders[0].Nodes != 3 {
			f.t.Errorf("after connections that ended: %v, %v", ended, err)
		}

		// The replies are lost.
		hold()
		time.AfterFunc(100*time.Millisecond, func() {
			for _, n := range f.nodes {
				n.Set(fakenode.Faults{LoseReplies: true})
			}
		})
		begun := time.Now()
		ended, err = f.forceRelease(f.Locker, "job")
		wantIs(f.t, err, ErrNoQuorum, context.DeadlineExceeded)
		if took := time.Since(begun); len(ended.Holders) != 0 || len(ended.Failed) != 3 || !strings.Contains(err.Error(), "is unknown") || took > 2*timeout {
			f.t.Errorf("%v, %v after %v", ended, err, took)
		}

		// The caller does not wait.
		for _, n := range f.nodes {
			n.Set(fakenode.Faults{})
		}
		hold()
		time.AfterFunc(100*time.Millisecond, func() {
			for _, n := range f.nodes {
				n.Freeze()
			}
		})
		for _, n := range f.nodes {
			n.Set(fakenode.Faults{ReplyDelay: 200 * time.Millisecond})
		}
		ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
		defer cancel()
		_, err = f.ForceRelease(ctx, "job")
		wantIs(f.t, err, context.DeadlineExceeded)
		if !strings.Contains(err.Error(), "may still be carried out") {
			f.t.Error(err)
		}
		time.Sleep(time.Second)
		for _, n := range f.nodes {
			n.Thaw()
			n.Set(fakenode.Faults{})
		}
	}, WithNodeTimeout(timeout))
}

func TestAClosedLockerReleasesNothing(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		l := f.other()
		if err := l.Close(context.Background()); err != nil {
			f.t.Error(err)
		}
		_, err := l.ForceRelease(context.Background(), "job")
		wantIs(f.t, err, ErrClosed)
		_, err = l.List(context.Background(), "job")
		wantIs(f.t, err, ErrClosed)
		_, _, err = l.InspectNodes(context.Background(), "job")
		wantIs(f.t, err, ErrClosed)
		if _, err = f.ForceRelease(context.Background(), ""); err == nil {
			f.t.Error("a lock without a name was released")
		}
	})
}
