package redlock

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorumlock/quorumlock/internal/fakenode"
)

// watching runs f on what a watch of "job" on n nodes tells.
func watching(t *testing.T, n int, f func(f *fixture, next func(ChangeKind))) {
	t.Helper()
	inBubble(t, n, func(x *fixture) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		changes, err := x.Watch(ctx, "job")
		if err != nil {
			x.t.Fatal(err)
		}
		f(x, func(want ChangeKind) {
			x.t.Helper()
			select {
			case got := <-changes:
				if got.Kind != want {
					x.t.Errorf("it tells %v, want %v", got, want)
				}
			case <-time.After(time.Minute):
				x.t.Errorf("it tells nothing, want %v", want)
			}
		})
		select {
		case more := <-changes:
			x.t.Errorf("and then %v", more)
		case <-time.After(2 * time.Second):
		}
		cancel()
		synctest.Wait()
	})
}

const dead = "rl1:00000000000000000000000000000000:dead"

// Keys expire a little after one another, and are deleted so. A node that is down is no
// reason to tell what is between.
func TestAWatchReportsTheEndOfALockWhereANodeIsDown(t *testing.T) {
	watching(t, 3, func(f *fixture, next func(ChangeKind)) {
		next(Released)
		f.nodes[2].Set(fakenode.Faults{Refuse: true})
		f.nodes[0].Hold("job", dead, time.Second)
		f.nodes[1].Hold("job", dead, time.Second+5*time.Millisecond)
		next(Acquired)
		next(Expired)
	})
	for range 10 {
		watching(t, 3, func(f *fixture, next func(ChangeKind)) {
			next(Released)
			f.nodes[2].Set(fakenode.Faults{Refuse: true})
			k := f.lock("job")
			next(Acquired)
			f.nodes[1].Set(fakenode.Faults{Delay: 2 * time.Millisecond})
			go f.unlock(k)
			next(Released)
		})
	}
}

func TestAWatchReportsThatANodeThatIsDownDecides(t *testing.T) {
	watching(t, 3, func(f *fixture, next func(ChangeKind)) {
		next(Released)
		f.nodes[2].Set(fakenode.Faults{Refuse: true})
		f.nodes[0].Hold("job", dead, time.Minute)
		next(Unknown)
		f.nodes[2].Set(fakenode.Faults{})
		next(Released)
		f.nodes[0].Delete("job")
	})
}

// To be connected again is no news of a release.
func TestAWatchReportsAfterAnOutageThatALockExpired(t *testing.T) {
	watching(t, 3, func(f *fixture, next func(ChangeKind)) {
		next(Released)
		for _, n := range f.nodes {
			n.Hold("job", dead, time.Second)
		}
		next(Acquired)
		f.nodes[1].Set(fakenode.Faults{Refuse: true})
		f.nodes[2].Set(fakenode.Faults{Refuse: true})
		next(Unknown)
		time.Sleep(2 * time.Second)
		f.nodes[1].Set(fakenode.Faults{})
		f.nodes[2].Set(fakenode.Faults{})
		next(Expired)
	})
}

// Each of the remaining nodes reports the release alone.
func TestAWatchOfManyNodesReportsARelease(t *testing.T) {
	for range 10 {
		watching(t, 7, func(f *fixture, next func(ChangeKind)) {
			next(Released)
			for _, n := range f.nodes[4:] {
				n.Set(fakenode.Faults{Refuse: true})
			}
			k := f.lock("job")
			next(Acquired)
			for i, n := range f.nodes[:4] {
				n.Set(fakenode.Faults{Delay: time.Duration(i+1) * 5 * time.Millisecond})
			}
			go f.unlock(k)
			synctest.Wait()
			for _, n := range f.nodes[:4] {
				n.Set(fakenode.Faults{})
			}
			next(Released)
		})
	}
}
