package servers_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/board"
	"github.com/quorumlock/quorumlock/internal/redisproc"
	"github.com/quorumlock/quorumlock/redlock"
)

func mustBoard(t *testing.T, l *redlock.Locker) *board.Board {
	t.Helper()
	b, err := board.New(l)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// nextEntry is the next change of a kind; others are skipped.
func nextEntry(t *testing.T, changes <-chan board.Change, want string) board.Change {
	t.Helper()
	for {
		select {
		case c, open := <-changes:
			if !open {
				t.Fatalf("the watch ended before %.20q", want)
			}
			if c.Kind == board.Published && c.Entry.Value == want {
				return c
			}
		case <-patience(t).Done():
			t.Fatalf("no change to %.20q", want)
		}
	}
}

func TestAValueIsPublishedReadAndWatchedWithEveryClient(t *testing.T) {
	all := startServers(t, 3, redisproc.Options{})
	withEach(t, func(t *testing.T, lib library) {
		all.must(t, "FLUSHALL")
		writer, reader := lib.Locker(t, all.addrs()), lib.Locker(t, all.addrs())
		w, r := mustBoard(t, writer), mustBoard(t, reader)
		ctx := patience(t)
		if _, err := r.Latest(ctx, "config"); !errors.Is(err, board.ErrNotPublished) {
			t.Error(err)
		}
		watching, stop := context.WithCancel(ctx)
		defer stop()
		changes, err := r.Watch(watching, "config")
		if err != nil {
			t.Fatal(err)
		}
		for _, value := range []string{"one", "two\x00\r\n\xff\xfe", strings.Repeat("x", board.MaxValue), ""} {
			v, err := w.Publish(ctx, "config", value)
			if err != nil {
				t.Fatal(err)
			}
			e, err := r.Latest(ctx, "config")
			if err != nil || e.Value != value || e.Version != v || !e.Confirmed {
				t.Errorf("%.20q, %v, %v; want %.20q, %v", e.Value, e.Version, err, value, v)
			}
			if c := nextEntry(t, changes, value); c.Entry.Version != v {
				t.Errorf("the watcher is told version %v, want %v", c.Entry.Version, v)
			}
		}
		lock := mustLock(t, writer, "config", redlock.WithFencing())
		if _, err := w.PublishAs(ctx, lock, "config", "of the holder"); err != nil {
			t.Error(err)
		}
		nextEntry(t, changes, "of the holder")
		mustUnlock(t, lock)

		if _, err := w.Publish(ctx, "short", "value", board.WithRetention(50*time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the value expires", func() bool {
			_, err := r.Latest(ctx, "short")
			return errors.Is(err, board.ErrExpired)
		})
		if _, err := w.Publish(ctx, "short", "value", board.WithRetention(board.Forever)); err != nil {
			t.Fatal(err)
		}
		if e, err := r.Latest(ctx, "short"); err != nil || e.Remains >= 0 {
			t.Errorf("%+v, %v", e, err)
		}
		stop()
		settle(t, writer)
		settle(t, reader)
	})
}

// What is under the key was not published by this library.
func TestForeignDataUnderTheKeyOfAValueIsNeitherReadNorReplaced(t *testing.T) {
	all := startServers(t, 3, redisproc.Options{})
	withTwo(t, func(t *testing.T, lib library) {
		for _, foreign := range [][]string{{"SET", "{config}:value", "data"}, {"HSET", "{config}:value", "field", "data"}} {
			all.must(t, "FLUSHALL")
			all.must(t, foreign...)
			locker := lib.Locker(t, all.addrs())
			b := mustBoard(t, locker)
			if _, err := b.Publish(patience(t), "config", "value"); err == nil || !strings.Contains(err.Error(), "WRONGTYPE") {
				t.Errorf("%v: %v", foreign, err)
			}
			if _, err := b.Latest(patience(t), "config"); err == nil || errors.Is(err, board.ErrNotPublished) {
				t.Errorf("%v: %v", foreign, err)
			}
			settle(t, locker)
		}
	})
}

// Writers of many processes publish on one path. What a reader sees never goes back, and what was
// published before a read began is not missed.
func TestNoReaderGoesBackWhileManyWrite(t *testing.T) {
	all := startServers(t, 3, redisproc.Options{})
	withTwo(t, func(t *testing.T, lib library) {
		all.must(t, "FLUSHALL")
		var mu sync.Mutex
		var newest board.Version // that a Publish or a Latest has returned
		done := func(v board.Version) {
			mu.Lock()
			defer mu.Unlock()
			if v.Compare(newest) > 0 {
				newest = v
			}
		}
		now := func() board.Version {
			mu.Lock()
			defer mu.Unlock()
			return newest
		}
		ctx := patience(t)
		var group sync.WaitGroup
		for i := range 4 {
			locker := lib.Locker(t, all.addrs())
			b := mustBoard(t, locker)
			group.Go(func() {
				for j := range 50 {
					before := now()
					if i%2 == 0 {
						v, err := b.Publish(ctx, "config", fmt.Sprint(i, " ", j))
						if err != nil || v.Compare(before) <= 0 {
							t.Errorf("published %v after %v, %v", v, before, err)
							return
						}
						done(v)
						continue
					}
					e, err := b.Latest(ctx, "config")
					if errors.Is(err, board.ErrNotPublished) && before == (board.Version{}) {
						continue
					}
					if err != nil || e.Version.Compare(before) < 0 {
						t.Errorf("read %v after %v, %v", e.Version, before, err)
						return
					}
					done(e.Version)
				}
				settle(t, locker)
			})
		}
		group.Wait()
	})
}

// The masters give different answers, and this user may not write.
func TestAReaderWithoutTheRightToWriteSaysThatItCouldNotConfirm(t *testing.T) {
	all := startServers(t, 3, redisproc.Options{})
	withTwo(t, func(t *testing.T, lib library) {
		all.must(t, "FLUSHALL")
		locker := lib.Locker(t, all.addrs())
		b := mustBoard(t, locker)
		if _, err := b.Publish(patience(t), "config", "value"); err != nil {
			t.Fatal(err)
		}
		settle(t, locker)
		for _, s := range all[1:] { // as if the writer had reached one master only
			if _, err := s.Do("DEL", "{config}:value"); err != nil {
				t.Fatal(err)
			}
		}
		all.must(t, "ACL", "SETUSER", "default", "-set")
		defer all.must(t, "ACL", "SETUSER", "default", "+@all")
		readOnly := lib.Locker(t, all.addrs())
		b = mustBoard(t, readOnly)
		var e board.Entry
		eventually(t, "the master that has it is heard in time", func() bool {
			var err error
			e, err = b.Latest(patience(t), "config")
			if err != nil && !errors.Is(err, board.ErrNotPublished) {
				t.Fatal(err)
			}
			return err == nil
		})
		if e.Confirmed || e.Value != "value" || len(e.Without) == 0 {
			t.Errorf("%+v", e)
		}
		settle(t, readOnly)
	})
}

// A master that restarts from its snapshot has earlier versions, and another one missed the last.
func TestVersionsGrowWhereAMasterComesBackFromItsSnapshot(t *testing.T) {
	t.Parallel()
	all := startServers(t, 3, redisproc.Options{})
	b := mustBoard(t, viaGoRedis.Locker(t, all.addrs()))
	without := mustBoard(t, viaGoRedis.Locker(t, []string{all[0].Addr(), all[1].Addr(), closedAddr(t)}))
	publish := func(b *board.Board, value string) board.Version {
		t.Helper()
		v, err := b.Publish(patience(t), "path", value)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	publish(b, "one")
	if _, err := all[0].Do("SAVE"); err != nil {
		t.Fatal(err)
	}
	var last board.Version
	for range 5 {
		last = publish(without, "two")
	}
	_ = all[0].Restart()
	_ = all[1].Freeze()
	v := publish(b, "three")
	_ = all[1].Thaw()
	if v.Compare(last) <= 0 {
		t.Errorf("version %v comes after %v", v, last)
	}
	if e, err := b.Latest(patience(t), "path"); err != nil || e.Value != "three" {
		t.Errorf("the latest value is %q, %v", e.Value, err)
	}
}
