package board_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorumlock/quorumlock/board"
	"github.com/quorumlock/quorumlock/internal/fakenode"
	"github.com/quorumlock/quorumlock/pool"
	"github.com/quorumlock/quorumlock/redlock"
)

var ctx = context.Background()

// A fixture is a board on nodes in virtual time.
type fixture struct {
	*testing.T
	*board.Board
	nodes  []*fakenode.Node
	locker *redlock.Locker
}

func (f *fixture) another() (*board.Board, *redlock.Locker) {
	var pools []pool.Pool
	for _, n := range f.nodes {
		pools = append(pools, &fakenode.Client{Node: n})
	}
	locker, err := redlock.New(pools, redlock.WithOwner("test"))
	if err != nil {
		f.Fatal(err)
	}
	b, err := board.New(locker)
	if err != nil {
		f.Fatal(err)
	}
	return b, locker
}

func inBubble(t *testing.T, n int, test func(f *fixture)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := &fixture{T: t}
		f.nodes, _ = fakenode.Pools(n)
		f.Board, f.locker = f.another()
		test(f)
		f.faults(fakenode.Faults{})
		if err := f.locker.Close(ctx); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Hour) // the nodes give up what is with them
	})
}

// faults sets the faults of the nodes in numbers, or of all.
func (f *fixture) faults(faults fakenode.Faults, numbers ...int) {
	fakenode.SetFaults(f.nodes, faults, numbers...)
}

func (f *fixture) publish(path, value string, opts ...board.Option) board.Version {
	f.Helper()
	v, err := f.Publish(ctx, path, value, opts...)
	if err != nil {
		f.Fatal(err)
	}
	time.Sleep(time.Millisecond) // the nodes that were not waited for store it, too
	return v
}

// storeOn has one node only store a later value, as if its writer had been cut off.
func (f *fixture) storeOn(i int, path, value string, retention time.Duration) board.Version {
	f.Helper()
	var alone []pool.Pool
	alone = append(alone, &fakenode.Client{Node: f.nodes[i]})
	locker, err := redlock.New(alone)
	if err != nil {
		f.Fatal(err)
	}
	b, err := board.New(locker)
	if err != nil {
		f.Fatal(err)
	}
	v, err := b.Publish(ctx, path, value, board.WithRetention(retention))
	if err != nil {
		f.Fatal(err)
	}
	if err := locker.Close(ctx); err != nil {
		f.Fatal(err)
	}
	return v
}

func (f *fixture) latest(path, want string) board.Entry {
	f.Helper()
	e, err := f.Latest(ctx, path)
	if err != nil || e.Value != want || !e.Confirmed {
		f.Fatalf("the latest value is %.20q, confirmed %t, %v; want %.20q", e.Value, e.Confirmed, err, want)
	}
	return e
}

func TestTheLatestValueIsTheOneThatWasPublishedLast(t *testing.T) {
	for _, n := range []int{1, 2, 3, 5} {
		inBubble(t, n, func(f *fixture) {
			var last board.Version
			for _, value := range []string{"one", "", "three\x00\r\n\xff", strings.Repeat("x", board.MaxValue)} {
				v := f.publish("config", value)
				if v.Compare(last) <= 0 {
					f.Errorf("version %v comes after %v", v, last)
				}
				if e := f.latest("config", value); e.Version != v || e.Path != "config" || e.Without != nil || e.Remains < 23*time.Hour {
					f.Errorf("%v", e)
				}
				last = v
			}
		})
	}
}

func TestNeverPublishedExpiredForgottenAndUnreachableAreFourAnswers(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		if _, err := f.Latest(ctx, "config"); !errors.Is(err, board.ErrNotPublished) {
			f.Error(err)
		}

		v := f.publish("config", "value", board.WithRetention(time.Minute))
		time.Sleep(59 * time.Second)
		f.latest("config", "value")
		time.Sleep(2 * time.Second)
		if e, err := f.Latest(ctx, "config"); !errors.Is(err, board.ErrExpired) || e.Version != v || e.Value != "" {
			f.Error(e, err)
		}

		// One master has a later value, which expires. No reader goes back from that.
		f.publish("config", "value", board.WithRetention(time.Hour))
		f.faults(fakenode.Faults{Refuse: true}, 1, 2)
		expired := f.storeOn(0, "config", "later", time.Second)
		f.faults(fakenode.Faults{})
		time.Sleep(2 * time.Second)
		f.faults(fakenode.Faults{Refuse: true}, 1)
		if e, err := f.Latest(ctx, "config"); !errors.Is(err, board.ErrExpired) || e.Version.Compare(expired) < 0 {
			f.Error(e, err)
		}
		f.faults(fakenode.Faults{})
		f.faults(fakenode.Faults{Refuse: true}, 0)
		if e, err := f.Latest(ctx, "config"); !errors.Is(err, board.ErrExpired) {
			f.Errorf("a reader goes back to %+v, %v", e, err)
		}
		f.faults(fakenode.Faults{})

		f.publish("config", "value", board.WithRetention(board.Forever))
		f.nodes[1].Lose()
		f.faults(fakenode.Faults{Refuse: true}, 2)
		if e := f.latest("config", "value"); len(e.Without) != 1 || e.Without[0] != "node-2" || e.Remains >= 0 {
			f.Errorf("%+v", e)
		}
		if e := f.latest("config", "value"); e.Without != nil { // it was stored there again
			f.Errorf("%+v", e)
		}

		f.faults(fakenode.Faults{Refuse: true}, 1, 2)
		if _, err := f.Latest(ctx, "config"); !errors.Is(err, redlock.ErrNoQuorum) {
			f.Error(err)
		}
		if _, err := f.Publish(ctx, "config", "other"); !errors.Is(err, redlock.ErrNoQuorum) {
			f.Error(err)
		}
		f.faults(fakenode.Faults{})
		f.latest("config", "value")
	})
}

// Two of three masters forget. A majority knows nothing, and the third is asked before that is
// said.
func TestAValueIsFoundOnTheOnlyNodeThatHasNotForgottenIt(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		f.publish("config", "value")
		f.nodes[0].Lose()
		f.nodes[1].Lose()
		f.faults(fakenode.Faults{Delay: 5 * time.Millisecond}, 2)
		if e := f.latest("config", "value"); len(e.Without) == 0 {
			f.Errorf("%+v", e)
		}
		f.faults(fakenode.Faults{Refuse: true}, 2)
		f.latest("config", "value")
	})
}

// What one reader has seen on a single node, all later readers see.
func TestAValueOfOneNodeThatWasReadIsNotLostAgain(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		f.publish("config", "old")
		v := f.storeOn(0, "config", "new", time.Hour)
		f.faults(fakenode.Faults{Refuse: true}, 2)
		if e := f.latest("config", "new"); e.Version != v || len(e.Without) != 1 {
			f.Errorf("%+v", e)
		}
		f.faults(fakenode.Faults{}, 2)
		f.faults(fakenode.Faults{Refuse: true}, 0)
		f.latest("config", "new")
	})
}

func TestOnlyTheHolderOfTheLockPublishesAsIt(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		lock, err := f.locker.Lock(ctx, "writer", redlock.WithFencing())
		if err != nil {
			f.Fatal(err)
		}
		time.Sleep(time.Millisecond)
		sent := func() (n int) {
			time.Sleep(time.Millisecond)
			for _, node := range f.nodes {
				n += node.Sent()
			}
			return n
		}
		before := sent()
		v, err := f.PublishAs(ctx, lock, "config", "one")
		if err != nil {
			f.Fatal(err)
		}
		if n := sent() - before; n != 3 {
			f.Errorf("it took %d commands on three masters", n)
		}
		w, err := f.PublishAs(ctx, lock, "config", "two")
		if err != nil || w.Compare(v) <= 0 {
			f.Error(w, v, err)
		}
		f.latest("config", "two")

		// Somebody else writes the path, too. Nothing of the next value was stored anywhere, so
		// it is sent again.
		f.publish("config", "foreign")
		if _, err := f.PublishAs(ctx, lock, "config", "three"); err != nil {
			f.Error(err)
		}
		f.latest("config", "three")

		if err := lock.Unlock(ctx); err != nil {
			f.Fatal(err)
		}
		if _, err := f.PublishAs(ctx, lock, "config", "late"); !errors.Is(err, redlock.ErrNotHeld) {
			f.Error(err)
		}
		plain, err := f.locker.Lock(ctx, "writer")
		if err != nil {
			f.Fatal(err)
		}
		for _, no := range []*redlock.Lock{plain, nil} {
			if _, err := f.PublishAs(ctx, no, "config", "no"); err == nil {
				f.Errorf("%v publishes", no)
			}
		}
		if err := plain.Unlock(ctx); err != nil {
			f.Fatal(err)
		}
		f.latest("config", "three")
	})
}

// A node stored the value, and its reply was lost with the connection. The value was read, and
// replaced, before the node gets the command again. All nodes refuse it by then, and it must not
// come back all the same.
func TestAValueThatWasReadAndReplacedDoesNotComeBack(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		lock, err := f.locker.Lock(ctx, "writer", redlock.WithFencing())
		if err != nil {
			f.Fatal(err)
		}
		if _, err := f.PublishAs(ctx, lock, "config", "zero"); err != nil {
			f.Fatal(err)
		}
		time.Sleep(time.Millisecond)
		another, locker := f.another()
		defer locker.Close(ctx)

		f.faults(fakenode.Faults{Delay: 20 * time.Millisecond})
		f.nodes[0].EndIdle(1, 0)
		published := make(chan error, 1)
		go func() {
			_, err := f.PublishAs(ctx, lock, "config", "one")
			published <- err
		}()
		synctest.Wait()
		f.faults(fakenode.Faults{})
		f.faults(fakenode.Faults{Refuse: true}, 2)
		if e, err := another.Latest(ctx, "config"); e.Value != "one" {
			f.Fatalf("the reader of nodes 0 and 1 finds %q, %v", e.Value, err)
		}
		f.faults(fakenode.Faults{}, 2)
		if _, err := another.Publish(ctx, "config", "other"); err != nil {
			f.Fatal(err)
		}
		f.latest("config", "other")
		if err := <-published; !errors.Is(err, board.ErrSuperseded) {
			f.Errorf("PublishAs returns %v", err)
		}
		f.latest("config", "other")
		if err := lock.Unlock(ctx); err != nil {
			f.Error(err)
		}
	})
}

// A slow reader finds a value that was published as the holder of a lock after a later version was
// there already. That value was refused, and readers before and after find the other one.
func TestASlowReaderDoesNotFindAValueThatWasRefused(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		lock, err := f.locker.Lock(ctx, "writer", redlock.WithFencing())
		if err != nil {
			f.Fatal(err)
		}
		if _, err := f.PublishAs(ctx, lock, "config", "zero"); err != nil {
			f.Fatal(err)
		}
		time.Sleep(time.Millisecond)
		another, locker := f.another()
		defer locker.Close(ctx)

		f.faults(fakenode.Faults{Refuse: true}, 1)
		f.faults(fakenode.Faults{Delay: 20 * time.Millisecond}, 2)
		found := make(chan string, 1)
		go func() {
			e, err := another.Latest(ctx, "config")
			found <- fmt.Sprint(e.Value, e.Confirmed, err)
		}()
		synctest.Wait() // the reader has the answer of node 0
		f.faults(fakenode.Faults{})
		f.faults(fakenode.Faults{Refuse: true}, 2)
		f.publish("config", "other")
		f.faults(fakenode.Faults{}, 2)
		if _, err := f.PublishAs(ctx, lock, "config", "late"); !errors.Is(err, board.ErrSuperseded) {
			f.Errorf("PublishAs returns %v", err)
		}
		if got, want := <-found, fmt.Sprint("other", true, nil); got != want {
			f.Errorf("the slow reader finds %s, want %s", got, want)
		}
		f.latest("config", "other")
		if err := lock.Unlock(ctx); err != nil {
			f.Error(err)
		}
	})
}

// The lock is gone on the nodes, and its holder does not know.
func TestANodeStoresNothingForALockThatItDoesNotHave(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		f.publish("config", "old")
		lock, err := f.locker.Lock(ctx, "writer", redlock.WithFencing())
		if err != nil {
			f.Fatal(err)
		}
		for _, n := range f.nodes {
			n.Hold("writer", "rl1:00000000000000000000000000000000:another", time.Minute)
		}
		if v, err := f.PublishAs(ctx, lock, "config", "new"); !errors.Is(err, redlock.ErrNotHeld) {
			f.Errorf("version %v was published, %v", v, err)
		}
		f.latest("config", "old")
		_ = lock.Unlock(ctx)
	})
}

func TestWrongArgumentsAreRefusedAndNothingIsSent(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		for what, call := range map[string]func() error{
			"no path":          func() error { _, err := f.Publish(ctx, "", "v"); return err },
			"a side key":       func() error { _, err := f.Latest(ctx, "{x}:value"); return err },
			"a long value":     func() error { _, err := f.Publish(ctx, "p", strings.Repeat("x", board.MaxValue+1)); return err },
			"no retention":     func() error { _, err := f.Publish(ctx, "p", "v", board.WithRetention(0)); return err },
			"a negative one":   func() error { _, err := f.Publish(ctx, "p", "v", board.WithRetention(-2)); return err },
			"a nil option":     func() error { _, err := f.Publish(ctx, "p", "v", nil); return err },
			"a watch of none":  func() error { _, err := f.Watch(ctx, ""); return err },
			"no Locker":        func() error { _, err := board.New(nil); return err },
			"an option of New": func() error { _, err := board.New(f.locker, board.WithRetention(1)); return err },
		} {
			if err := call(); err == nil {
				f.Errorf("%s is allowed", what)
			} else if strings.Count(err.Error(), ":") == 0 {
				f.Errorf("%s: %v", what, err)
			}
		}
		for _, n := range f.nodes {
			if n.Sent() > 0 {
				f.Errorf("%d commands were sent", n.Sent())
			}
		}
	})
}

func (f *fixture) next(changes <-chan board.Change, kind board.Kind, value string) board.Change {
	f.Helper()
	select {
	case c := <-changes:
		if c.Kind != kind || c.Entry.Value != value {
			f.Fatalf("the watcher is told %v %.20q (%v), want %v %.20q", c.Kind, c.Entry.Value, c.Err, kind, value)
		}
		return c
	case <-time.After(time.Hour):
		f.Fatalf("the watcher is told nothing, want %v %.20q", kind, value)
	}
	return board.Change{}
}

// watch watches "config" until the test ends.
func (f *fixture) watch() <-chan board.Change {
	f.Helper()
	changes, err := f.Watch(f.Context(), "config")
	if err != nil {
		f.Fatal(err)
	}
	return changes
}

func (f *fixture) quiet(changes <-chan board.Change, d time.Duration) {
	f.Helper()
	select {
	case c, open := <-changes:
		if open {
			f.Fatalf("the watcher is told %v %.20q (%v)", c.Kind, c.Entry.Value, c.Err)
		}
	case <-time.After(d):
	}
}

func TestAWatcherIsToldOfEachState(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		ctx, cancel := context.WithCancel(ctx)
		changes, err := f.Watch(ctx, "config")
		if err != nil {
			f.Fatal(err)
		}
		f.next(changes, board.None, "")
		begun := time.Now()
		f.publish("config", "one", board.WithRetention(10*time.Second))
		f.next(changes, board.Published, "one")
		if took := time.Since(begun); took > 3*time.Millisecond {
			f.Errorf("the news took %v", took)
		}
		f.quiet(changes, 9*time.Second)
		f.next(changes, board.Expired, "")
		f.publish("config", "two")
		f.next(changes, board.Published, "two")

		f.faults(fakenode.Faults{Refuse: true}, 0, 1)
		if c := f.next(changes, board.Unknown, ""); !errors.Is(c.Err, redlock.ErrNoQuorum) {
			f.Error(c.Err)
		}
		f.quiet(changes, time.Minute)
		f.faults(fakenode.Faults{})
		f.next(changes, board.Published, "two")

		// A slow reader misses all but the last.
		for i := range 5 {
			f.publish("config", fmt.Sprint("value ", i))
			time.Sleep(time.Second)
		}
		f.next(changes, board.Published, "value 4")
		f.quiet(changes, time.Minute)
		cancel()
		synctest.Wait()
		if c, open := <-changes; open {
			f.Errorf("after the end: %v", c)
		}
	})
}

// No message arrives.
func TestAWatcherFindsWhatItWasNotToldOf(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		f.faults(fakenode.Faults{DropMessages: true})
		changes := f.watch()
		f.next(changes, board.None, "")
		begun := time.Now()
		f.publish("config", "one")
		f.next(changes, board.Published, "one")
		if took := time.Since(begun); took > 1100*time.Millisecond {
			f.Errorf("it took %v", took)
		}
	})
}

// A watcher that comes later is told the state of now, and not what the first one heard.
func TestWatchersOfAPathShareReads(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		var all []<-chan board.Change
		for range 100 {
			changes, err := f.Watch(ctx, "config")
			if err != nil {
				f.Fatal(err)
			}
			all = append(all, changes)
		}
		for _, changes := range all {
			f.next(changes, board.None, "")
		}
		time.Sleep(10 * time.Second)
		before := f.nodes[0].Sent()
		f.publish("config", "one")
		for _, changes := range all {
			f.next(changes, board.Published, "one")
		}
		if sent := f.nodes[0].Sent() - before; sent > 6 {
			f.Errorf("a hundred watchers sent %d commands to a node", sent)
		}
	})
}

func TestAWatchEndsWithItsLocker(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		b, locker := f.another()
		changes, err := b.Watch(ctx, "config")
		if err != nil {
			f.Fatal(err)
		}
		f.next(changes, board.None, "")
		if err := locker.Close(ctx); err != nil {
			f.Error(err)
		}
		if c, open := <-changes; open {
			f.Errorf("after the end: %v", c)
		}
		for what, err := range map[string]error{
			"watch":   func() error { _, err := b.Watch(ctx, "config"); return err }(),
			"publish": func() error { _, err := b.Publish(ctx, "config", "v"); return err }(),
			"read":    func() error { _, err := b.Latest(ctx, "config"); return err }(),
		} {
			if !errors.Is(err, redlock.ErrClosed) {
				f.Errorf("%s: %v", what, err)
			}
		}
	})
}

// The clock of a master was ahead, and is set back.
func TestVersionsGrowThoughTheClocksOfTheMastersGoBack(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		f.faults(fakenode.Faults{Ahead: time.Hour})
		first := f.publish("config", "one")
		f.faults(fakenode.Faults{})
		if second := f.publish("config", "two"); second.Compare(first) <= 0 {
			f.Errorf("version %v comes after %v", second, first)
		}
		f.latest("config", "two")
	})
}

// A master that forgot has taken an earlier value from another one, which had missed the last.
func TestVersionsGrowWhereMastersComeBackWithOlderData(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		f.publish("config", "one")
		f.faults(fakenode.Faults{Refuse: true}, 2)
		var last board.Version
		for range 5 {
			last = f.publish("config", "two")
		}
		f.faults(fakenode.Faults{})
		f.nodes[0].Flush()
		f.faults(fakenode.Faults{Refuse: true}, 1)
		f.latest("config", "one") // and stored again
		if v := f.publish("config", "three"); v.Compare(last) <= 0 {
			f.Errorf("version %v comes after %v", v, last)
		}
		f.faults(fakenode.Faults{})
		f.latest("config", "three")
	})
}

// One master has forgotten a path, or all.
func TestVersionsGrowWhereMastersHaveForgottenThePath(t *testing.T) {
	for _, forgetful := range []int{1, 3} {
		inBubble(t, 3, func(f *fixture) {
			f.publish("config", "one")
			last := f.publish("config", "two")
			for _, n := range f.nodes[:forgetful] {
				n.Flush()
			}
			f.faults(fakenode.Faults{Refuse: true}, 2) // so that one which has forgotten answers
			if v := f.publish("config", "three"); v.Compare(last) <= 0 {
				f.Errorf("version %v comes after %v", v, last)
			}
			f.latest("config", "three")
		})
	}
}

func TestAPublishTakesTwoTripsAndMostlyOneScript(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		for i, want := range []int{0, 1, 1, 0, 1} { // a script asks for the time, too
			if i == 3 {
				time.Sleep(time.Minute) // and that is no longer known
			}
			n := f.nodes[0]
			sent, native := n.Sent(), n.Count("read version")
			f.publish("config", "value")
			if sent, native = n.Sent()-sent, n.Count("read version")-native; sent != 2 || native != want {
				f.Errorf("publish %d: %d commands for a node, %d without a script; want 2 and %d", i, sent, native, want)
			}
		}
	})
}

// Two masters of three forget, and the third has an earlier value.
func TestAWatcherIsNotToldOfAnEarlierValueThanBefore(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		f.publish("config", "one")
		f.faults(fakenode.Faults{Refuse: true}, 2)
		f.publish("config", "two")
		changes := f.watch()
		f.next(changes, board.Published, "two")
		f.nodes[0].Lose()
		f.nodes[1].Lose()
		f.faults(fakenode.Faults{}, 2)
		f.quiet(changes, 10*time.Second)
		f.latest("config", "one") // a reader cannot know better
		f.publish("config", "three")
		f.next(changes, board.Published, "three")
	})
}

// The read that is under way began before the watcher came, and before a value was published.
func TestAWatcherIsNotToldWhatAReadFoundThatBeganBefore(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		f.publish("config", "zero")
		f.faults(fakenode.Faults{ReplyDelay: 100 * time.Millisecond, DropMessages: true})
		early, err := f.Watch(ctx, "config")
		if err != nil {
			f.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
		f.faults(fakenode.Faults{DropMessages: true})
		f.publish("config", "one")
		late, err := f.Watch(ctx, "config")
		if err != nil {
			f.Fatal(err)
		}
		f.next(late, board.Published, "one")
		_ = early
	})
}
