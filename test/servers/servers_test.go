package servers_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/internal/redisproc"
	"github.com/quorumlock/quorumlock/redlock"
)

// servers are real redis-server processes that know nothing of each other.
type servers []*redisproc.Server

func startServers(t testing.TB, n int, opts redisproc.Options) (all servers) {
	t.Helper()
	for range n {
		all = append(all, redisproc.Start(t, opts))
	}
	return all
}

func (all servers) addrs() (addrs []string) {
	for _, s := range all {
		addrs = append(addrs, s.Addr())
	}
	return addrs
}

func (all servers) freeze(t testing.TB) {
	t.Helper()
	for _, s := range all {
		if err := s.Freeze(); err != nil {
			t.Fatal(err)
		}
	}
}

func (all servers) thaw(t testing.TB) {
	t.Helper()
	for _, s := range all {
		if err := s.Thaw(); err != nil {
			t.Fatal(err)
		}
	}
}

// must sends a command to every server.
func (all servers) must(t testing.TB, args ...string) {
	t.Helper()
	for _, s := range all {
		if _, err := s.Do(args...); err != nil {
			t.Fatalf("%s on %s: %v", args, s.Addr(), err)
		}
	}
}

// keys lists the keys on all servers.
func (all servers) keys(t testing.TB) (keys []string) {
	t.Helper()
	for i, s := range all {
		reply, err := s.Do("KEYS", "*")
		if err != nil {
			t.Fatalf("KEYS on %s: %v", s.Addr(), err)
		}
		for _, key := range reply.([]any) {
			keys = append(keys, fmt.Sprintf("%v on %d", key, i))
		}
	}
	return keys
}

// isOld reports whether a server is older than Redis 7, and so takes no lock without a
// script.
func isOld(t testing.TB, s *redisproc.Server) bool {
	t.Helper()
	info, err := s.Do("INFO", "server")
	if err != nil {
		t.Fatal(err)
	}
	_, version, _ := strings.Cut(fmt.Sprint(info), "redis_version:")
	return version < "7" // none has two digits
}

// carry is the number of servers that have the key.
func (all servers) carry(key string) (n int) {
	for _, s := range all {
		if reply, err := s.Do("EXISTS", key); err == nil && reply == int64(1) {
			n++
		}
	}
	return n
}

// lives lists the keys on all servers, and until when each lives unless it is deleted.
func (all servers) lives(t testing.TB) map[string]time.Time {
	t.Helper()
	until := make(map[string]time.Time)
	for i, s := range all {
		reply, err := s.Do("KEYS", "*")
		if err != nil {
			t.Fatalf("KEYS on %s: %v", s.Addr(), err)
		}
		for _, key := range reply.([]any) {
			asked := time.Now()
			left, err := s.Do("PTTL", key.(string))
			if err != nil {
				t.Fatalf("PTTL on %s: %v", s.Addr(), err)
			}
			name := fmt.Sprintf("%v on %d", key, i)
			switch ms := left.(int64); {
			case ms >= 0:
				until[name] = asked.Add(time.Duration(ms) * time.Millisecond)
			case ms == -1:
				until[name] = asked.Add(time.Hour) // for ever
			}
		}
	}
	return until
}

// wantEmpty waits until no server has a key, and none comes for a while: keys may come
// late, too. A lock has to be released, so one that lives until its time is over fails
// the test. (The flags of waiters are under {job}:wait, and may expire.)
func (all servers) wantEmpty(t testing.TB) {
	t.Helper()
	const quiet = 300 * time.Millisecond
	begun := time.Now()
	last := begun // when there was a key
	var before map[string]time.Time
	for time.Since(last) < quiet {
		keys := all.lives(t)
		now := time.Now()
		for key, until := range before {
			if _, there := keys[key]; !there && now.After(until) && !strings.HasPrefix(key, "{") {
				t.Errorf("the lock %s was left to expire", key)
			}
		}
		if len(keys) > 0 {
			last = now
		}
		if now.Sub(begun) > 20*time.Second {
			t.Errorf("there are still %d keys left: %.200q", len(keys), slices.Collect(maps.Keys(keys)))
			return
		}
		before = keys
		time.Sleep(10 * time.Millisecond) // between two looks
	}
	t.Logf("the last key was seen %v after", last.Sub(begun).Round(time.Millisecond))
}

// A referee sees whether two hold a lock at the same time. It knows nothing of
// nodes: only when a holder knew that it has the lock, and until when it
// believed so. All holders are in this process, on one clock.
type referee struct {
	mu    sync.Mutex
	holds []hold
}

type hold struct {
	holder     string
	begin, end time.Time
}

// holds notes a hold: begin is when Lock returned; it ends now, or ended when
// the lock's context did, which cannot have been after Until.
func (r *referee) held(holder string, begin time.Time, lock *redlock.Lock) {
	end := time.Now()
	if context.Cause(lock.Context()) != nil && lock.Until().Before(end) {
		end = lock.Until()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.holds = append(r.holds, hold{holder, begin, end})
}

// judge fails the test if any two holds overlap, and returns their number.
func (r *referee) judge(t testing.TB) int {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, a := range r.holds {
		for _, b := range r.holds[:i] {
			if a.begin.Before(b.end) && b.begin.Before(a.end) {
				t.Errorf("two holders: %s from %s to %s, and %s from %s to %s",
					a.holder, clockTime(a.begin), clockTime(a.end), b.holder, clockTime(b.begin), clockTime(b.end))
			}
		}
	}
	return len(r.holds)
}

func clockTime(t time.Time) string { return t.Format("05.000000") }

// compete lets several workers take and release the lock called name, over and
// over, each with a Locker of its own, until stop is called. Their errors do not
// matter, only what the referee sees.
func compete(t testing.TB, r *referee, name string, work time.Duration, lockers ...*redlock.Locker) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for i, locker := range lockers {
		all.Go(func() {
			for ctx.Err() == nil {
				lock, err := locker.Lock(ctx, name)
				if err != nil {
					continue // ctx ended
				}
				begin := time.Now()
				select {
				case <-lock.Context().Done():
				case <-time.After(work):
				case <-ctx.Done():
				}
				r.held(fmt.Sprintf("competitor %d", i), begin, lock)
				_ = lock.Unlock(context.Background())
			}
		})
	}
	return func() {
		cancel()
		all.Wait()
	}
}

func TestTheRefereeSeesTwoHolders(t *testing.T) {
	second := func(n int) time.Time { return time.Unix(int64(n), 0) }
	for name, c := range map[string]struct {
		holds []hold
		two   bool
	}{
		"one after the other": {[]hold{{"a", second(1), second(2)}, {"b", second(2), second(3)}}, false},
		"overlapping":         {[]hold{{"a", second(1), second(3)}, {"b", second(2), second(4)}}, true},
		"one inside another":  {[]hold{{"b", second(2), second(3)}, {"a", second(1), second(4)}}, true},
	} {
		result := &verdict{TB: t}
		(&referee{holds: c.holds}).judge(result)
		if result.failed != c.two {
			t.Errorf("%s: two holders seen: %v", name, result.failed)
		}
	}
}

// A verdict notes that a test would have failed.
type verdict struct {
	testing.TB
	failed bool
}

func (v *verdict) Errorf(string, ...any) { v.failed = true }

// wallClock returns the time by the clock that the servers count by, without the monotonic one.
// The two part where a virtual machine is stopped for a moment, and its clock then set.
func wallClock() time.Time { return time.Now().Round(0) }
