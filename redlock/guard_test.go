package redlock

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorumlock/quorumlock/internal/fakenode"
	"github.com/quorumlock/quorumlock/internal/quorum"
)

const longest = 8 * time.Second

// quarantine is how long a node that may have forgotten locks grants none, on a clock
// that is as fast as ours.
var quarantine = quorum.Lifetime(longest, 0.01).Truncate(time.Millisecond) + time.Millisecond

// guarded runs f on nodes that count.
func guarded(t *testing.T, n int, f func(f *fixture)) {
	t.Helper()
	inBubble(t, n, func(x *fixture) {
		x.unlock(x.lock("first"))
		time.Sleep(quarantine)
		x.unlock(x.lock("second")) // also on those that were not needed before
		f(x)
	}, WithRestartGuard(longest))
}

// try takes a lock if it can, and gives it back.
func (f *fixture) try(opts ...LockOption) error {
	f.t.Helper()
	k, err := f.TryLock(context.Background(), "job", opts...)
	synctest.Wait()
	if err == nil {
		f.unlock(k)
		synctest.Wait()
	}
	return err
}

func TestANewNodeGrantsNothingUntilAllLocksOfBeforeHaveExpired(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		begun := time.Now()
		err := f.try()
		wantIs(f.t, err, ErrNoQuorum, ErrQuarantine)
		for _, text := range []string{"node node-", "may have forgotten locks", "another 808", "votes again by itself"} {
			if !strings.Contains(fmt.Sprint(err), text) {
				f.t.Errorf("the error does not say %q: %v", text, err)
			}
		}
		k := f.lock("job", WithFencing()) // waits
		if waited := time.Since(begun); waited < quarantine || waited > quarantine+f.config.retryMax {
			f.t.Errorf("it counts after %v, want %v", waited, quarantine)
		}
		f.unlock(k)
	}, WithRestartGuard(longest))
}

func TestTheGuardCostsNoRoundTrip(t *testing.T) {
	guarded(t, 3, func(f *fixture) {
		before := f.nodes[0].Count("acquire")
		for range 10 {
			f.unlock(f.lock("job"))
		}
		if n := f.nodes[0].Count("acquire") - before; n != 10 {
			f.t.Errorf("10 locks took %d commands", n)
		}
	})
}

// Whatever makes a node forget.
func TestANodeThatMayHaveForgottenLocksDoesNotCount(t *testing.T) {
	for name, forget := range map[string]func(n *fakenode.Node){
		"restarted without its data": (*fakenode.Node).Lose,
		"restarted with its data":    (*fakenode.Node).Restart, // or with most of it
		"flushed":                    (*fakenode.Node).Flush,
	} {
		t.Run(name, func(t *testing.T) {
			guarded(t, 3, func(f *fixture) {
				forget(f.nodes[0])
				if err := f.try(); err != nil {
					f.t.Errorf("two of three are enough: %v", err)
				}
				f.nodes[1].Set(fakenode.Faults{Refuse: true})
				wantIs(f.t, f.try(), ErrNoQuorum)
				time.Sleep(quarantine - time.Millisecond)
				wantIs(f.t, f.try(), ErrNoQuorum)
				time.Sleep(time.Millisecond)
				if err := f.try(); err != nil {
					f.t.Errorf("after %v: %v", quarantine, err)
				}
			})
		})
	}
}

func TestANodeThatLostItsScriptsAloneCountsAtOnce(t *testing.T) {
	guarded(t, 3, func(f *fixture) {
		for _, n := range f.nodes {
			n.FlushScripts()
		}
		if err := f.try(); err != nil {
			f.t.Error(err)
		}
	})
}

// The scenario of docs/guarantees.md: a holder on nodes 1 to 3, while 4 and 5 are down;
// 3 restarts without its data; 4 and 5 come back.
func TestARestartCanMakeASecondHolderWithoutTheGuardAndNoneWithIt(t *testing.T) {
	scenario := func(f *fixture) (first *Lock, err error) {
		for _, n := range f.nodes[3:] {
			n.Set(fakenode.Faults{Refuse: true})
		}
		first = f.lock("job", WithTTL(longest))
		f.nodes[2].Lose()
		for _, n := range f.nodes[3:] {
			n.Set(fakenode.Faults{})
		}
		other := mustNew(f.t, f)
		if f.config.longest > 0 {
			other, err = New(newPools(f), WithRestartGuard(longest))
			if err != nil {
				f.t.Fatal(err)
			}
		}
		f.others = append(f.others, other)
		second, err := other.TryLock(context.Background(), "job")
		synctest.Wait()
		if err == nil {
			defer f.unlock(second)
		}
		if first.Context().Err() != nil {
			f.t.Error("the first holder lost it: that would be no second one")
		}
		return first, err
	}
	inBubble(t, 5, func(f *fixture) {
		first, err := scenario(f)
		if err != nil {
			f.t.Errorf("the hole is not there: %v", err)
		}
		_ = first.Unlock(context.Background())
	})
	guarded(t, 5, func(f *fixture) {
		first, err := scenario(f)
		wantIs(f.t, err, ErrTaken)
		_ = first.Unlock(context.Background()) // two of five still have it
	})
}

// What a node still has counts for its holder; what it does not have is not set again
// before others could not have forgotten it, too.
func TestExtensionsCountWhatANodeInQuarantineStillHas(t *testing.T) {
	guarded(t, 3, func(f *fixture) {
		k := f.lock("job")
		extend := func() error {
			defer synctest.Wait()
			return k.Extend(context.Background())
		}
		f.nodes[0].Restart()
		f.nodes[1].Set(fakenode.Faults{Refuse: true})
		if err := extend(); err != nil {
			f.t.Errorf("two nodes have it: %v", err)
		}
		f.nodes[1].Set(fakenode.Faults{})
		f.nodes[2].Lose()
		if err := extend(); err != nil {
			f.t.Error(err)
		}
		f.wantCarriers("job", 2)
		for range 3 {
			time.Sleep(longest / 2)
			if err := extend(); err != nil {
				f.t.Error(err)
			}
		}
		f.wantCarriers("job", 3)
		f.unlock(k)
	})
}

func TestClientsThatDisagreeAreRefusedAndTheErrorNamesBothSides(t *testing.T) {
	guarded(t, 3, func(f *fixture) {
		others := map[string]func() (*Locker, error){
			"(4 8000 8083)": func() (*Locker, error) {
				return New(append(newPools(f), fakenode.New("fourth")), WithRestartGuard(longest))
			},
			"(3 60000 60609)": func() (*Locker, error) { return New(newPools(f), WithRestartGuard(time.Minute)) },
		}
		for name, open := range others {
			l, err := open()
			if err != nil {
				f.t.Fatal(err)
			}
			f.others = append(f.others, l)
			begun := time.Now()
			_, err = l.Lock(context.Background(), "job") // does not wait: that cannot help
			wantIs(f.t, err, ErrNoQuorum)
			for _, text := range []string{"(3 8000 8083)", name, "WithRestartGuard"} {
				if !strings.Contains(fmt.Sprint(err), text) {
					f.t.Errorf("the error does not say %q: %v", text, err)
				}
			}
			// The fourth node is new: as long as it counts for nobody that may be mended.
			if took := time.Since(begun); took > 0 && name == "(3 60000 60609)" || took > quarantine+f.config.retryMax {
				f.t.Errorf("notified after %v", took)
			}
		}
		// Also when the node restarted: a disagreement is no reason to forget what was agreed on.
		f.nodes[0].Restart()
		_, _ = f.others[0].TryLock(context.Background(), "job")
		synctest.Wait()
		if err := f.try(); err != nil {
			f.t.Error(err)
		}
	})
}

func TestTheGuardRefusesLongerTTLs(t *testing.T) {
	_, pools := fakenode.Pools(3)
	for _, opts := range [][]Option{
		{WithRestartGuard(time.Second)}, // of the default
		{WithRestartGuard(0)},
		{WithRestartGuard(maxTTL + 1)},
		{WithTTL(time.Minute), WithRestartGuard(longest)},
	} {
		if _, err := New(pools, opts...); err == nil || !strings.Contains(err.Error(), "WithRestartGuard") {
			t.Errorf("%v", err)
		}
	}
	guarded(t, 3, func(f *fixture) {
		_, err := f.TryLock(context.Background(), "job", WithTTL(longest+1))
		if err == nil || errors.Is(err, ErrNoQuorum) || !strings.Contains(err.Error(), "WithRestartGuard") {
			f.t.Errorf("%v", err)
		}
		f.unlock(f.lock("job", WithTTL(longest)))
	})
}

func TestTheGuardGoesWithFencingAndWaiting(t *testing.T) {
	for mode, opts := range map[string][]LockOption{"waiting": nil, "waiting for a token": {WithFencing()}} {
		t.Run(mode, func(t *testing.T) {
			guarded(t, 3, func(f *fixture) {
				first := f.lock("job", opts...)
				waiting := f.LockAsync(context.Background(), "job", opts...)
				time.Sleep(time.Second)
				f.nodes[0].Lose()
				f.nodes[1].Set(fakenode.Faults{Refuse: true}) // so the one that forgot is needed
				forgot := time.Now()
				_ = first.Unlock(context.Background()) // one of two denies it
				second, err := waiting.Wait(context.Background())
				f.nodes[1].Set(fakenode.Faults{})
				if err != nil {
					f.t.Fatal(err)
				}
				if waited := time.Since(forgot); waited < quarantine || waited > quarantine+2*f.config.retryMax {
					f.t.Errorf("granted %v after a node forgot, want %v", waited, quarantine)
				}
				if len(opts) > 0 && second.Token() <= first.Token() {
					f.t.Errorf("token %d after %d", second.Token(), first.Token())
				}
				f.unlock(second)
			})
		})
	}
}
