package servers_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/internal/redisproc"
	"github.com/quorumlock/quorumlock/redlock"
)

// Values as other libraries write them.
const (
	ofRedsync     = "sdQjHT8xvB8xm1kxBCcV/A=="
	ofRedislock   = "Zm9vYmFyYmF6cXV4MTIzNA"
	ofNodeRedlock = "0f8fad5bd9cb469fa16570867728950e"
	ofRedlockRb   = "0f8fad5b-d9cb-469f-a165-70867728950e"
)

func mustList(t testing.TB, l *redlock.Locker, prefix string) redlock.Listing {
	t.Helper()
	found, err := l.List(within20(t), prefix)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// said is a listing as text.
func said(found redlock.Listing) string {
	var lines []string
	for _, s := range found.Locks {
		holder := s.Holder
		switch {
		case s.Unclear:
			holder = "?"
		case holder == "" && s.Blocked > 0:
			holder = "nobody can"
		case holder == "":
			holder = "nobody"
		case strings.HasPrefix(holder, "foreign"):
			holder = "foreign"
		}
		lines = append(lines, fmt.Sprintf("%s: %s on %d of %d, %d wait", s.Name, holder, s.Nodes, s.Total, s.Waiting))
	}
	return strings.Join(lines, "\n")
}

func wantListing(t testing.TB, found redlock.Listing, want ...string) {
	t.Helper()
	if got := said(found); got != strings.Join(want, "\n") {
		t.Errorf("it lists\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

func TestListShowsLocksOfAllLibrariesAndNoData(t *testing.T) {
	withTwo(t, func(t *testing.T, lib library) {
		all := startServers(t, 3, redisproc.Options{})
		l := lib.Locker(t, all.addrs(), redlock.WithPrefix("app:"), redlock.WithOwner("web-1"))
		ours := mustLock(t, l, "ours", redlock.WithKeepAlive(), redlock.WithFair())
		next := l.LockAsync(within20(t), "ours", redlock.WithFair())
		tagged := mustLock(t, l, "{tag}:ours", redlock.WithKeepAlive(), redlock.WithFencing())
		eventually(t, "all have them", func() bool { return all.carry("app:ours") == 3 && all.carry("app:{tag}:ours") == 3 })
		all.must(t, "SET", "other:ours", ofRedsync, "PX", "60000")
		for name, value := range map[string]string{"redsync": ofRedsync, "redislock": ofRedislock, "node-redlock": ofNodeRedlock, "redlock-rb": ofRedlockRb} {
			all.must(t, "SET", "app:"+name, value, "PX", "60000")
		}
		servers{all[0]}.must(t, "SET", "app:left over", ofRedsync, "PX", "60000")
		servers{all[0]}.must(t, "SET", "app:split", ofRedsync, "PX", "60000")
		servers{all[1]}.must(t, "SET", "app:split", ofNodeRedlock, "PX", "60000")

		// Data of every kind, under the same prefix and under side keys that look like others'.
		all.must(t, "SET", "app:data", "42", "PX", "60000")
		all.must(t, "SET", "app:data of a token's length", "0123456789 12345678901", "PX", "60000")
		all.must(t, "SET", "app:token without an end", ofRedsync)
		all.must(t, "SETRANGE", "app:big", "1000000", ofRedsync)
		all.must(t, "SETRANGE", "app:big and ours", "1000000", "x")
		all.must(t, "SETRANGE", "app:big and ours", "0", "rl1:")
		all.must(t, "HSET", "app:hash", "field", ofRedsync)
		all.must(t, "LPUSH", "app:list", ofRedsync)
		all.must(t, "ZADD", "app:set", "1", ofRedsync)

		// Another process lists: it knows only the waiters that the servers report.
		seer := lib.Locker(t, all.addrs(), redlock.WithPrefix("app:"))
		eventually(t, "one waits", func() bool { n, _ := seer.Waiters(within20(t), "ours"); return n == 1 })
		all.must(t, "CONFIG", "RESETSTAT")
		found := mustList(t, seer, "")
		for _, s := range all { // no large text was moved, to us or to a script
			if stats, err := s.Do("INFO", "commandstats"); err != nil || strings.Contains(fmt.Sprint(stats), "cmdstat_get:") || !strings.Contains(fmt.Sprint(stats), "cmdstat_getrange:") {
				t.Errorf("%v, %v", stats, err)
			}
			if sent := sentBy(t, s); sent > 20_000 {
				t.Errorf("a server sent %d bytes", sent)
			}
		}
		wantListing(t, found, "left over: nobody on 2 of 3, 0 wait", "node-redlock: foreign on 3 of 3, 0 wait", "ours: web-1 on 3 of 3, 1 wait",
			"redislock: foreign on 3 of 3, 0 wait", "redlock-rb: foreign on 3 of 3, 0 wait", "redsync: foreign on 3 of 3, 0 wait",
			"split: nobody can on 1 of 3, 0 wait", "{tag}:ours: web-1 on 3 of 3, 0 wait")
		for _, s := range found.Locks {
			if d := s.TTL; s.Holder != "" && (d <= 0 || d > time.Minute) {
				t.Errorf("%s for %v", s.Name, d)
			}
		}
		wantListing(t, mustList(t, l, "red"), "redislock: foreign on 3 of 3, 0 wait", "redlock-rb: foreign on 3 of 3, 0 wait", "redsync: foreign on 3 of 3, 0 wait")
		wantListing(t, mustList(t, l, "nothing"))
		next.Cancel()
		mustUnlock(t, ours)
		mustUnlock(t, tagged)
	})
}

// A position in the queue is that of a process, and says how many of its callers wait. A position
// with an expired lease does not count, nor does a text that is no lease. The node that knows of most
// is right: others have lost some.
func TestListAndInspectCountWaitersAndNotPositions(t *testing.T) {
	all := startServers(t, 3, redisproc.Options{})
	l := viaGoRedis.Locker(t, all.addrs())
	later, before := fmt.Sprint(time.Now().Add(time.Hour).UnixMilli()), fmt.Sprint(time.Now().Add(-time.Hour).UnixMilli())
	queue := func(on servers, name string, leases ...string) {
		for i, lease := range leases {
			process := fmt.Sprint("process ", i, " of ", name) // none has the same in two queues
			on.must(t, "ZADD", "{"+name+"}:queue", fmt.Sprint(i+1), process)
			on.must(t, "HSET", "{"+name+"}:lease", process, lease)
		}
	}
	for _, name := range []string{"alone", "busy", "calm"} {
		all.must(t, "SET", name, "rl1:0f8fad5bd9cb469fa16570867728950e:web-1", "PX", "60000")
	}
	queue(all, "calm", later+" 1")
	queue(all, "busy", later+" 3", before+" 7", later+" -9", later, later+" 2")
	all[2:].must(t, "DEL", "{busy}:queue")
	queue(all[2:], "busy", later+" 3")
	wantListing(t, mustList(t, l, ""), "alone: web-1 on 3 of 3, 0 wait", "busy: web-1 on 3 of 3, 5 wait", "calm: web-1 on 3 of 3, 1 wait")
	if s, _, err := l.InspectNodes(within20(t), "busy"); err != nil || s.Waiting != 5 {
		t.Errorf("Inspect: %v, %v", s, err)
	}
}

// sentBy is how many bytes a server has sent.
func sentBy(t testing.TB, s *redisproc.Server) (n int) {
	t.Helper()
	info, err := s.Do("INFO", "stats")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(fmt.Sprint(info), "total_net_output_bytes:")
	if _, err := fmt.Sscan(text, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// A prefix is a text, whatever a pattern would make of it.
func TestListTakesAPrefixWordForWord(t *testing.T) {
	all := startServers(t, 3, redisproc.Options{})
	l := viaGoRedis.Locker(t, all.addrs())
	prefixes := []string{"*", "?", "[a-z]", "[^a]", `\`, `\*`, `a\`, "a*b", "]", "^", "a\x00b", "\xff*", "ä?", "{x}:*", "{x*", "a-z"}
	for _, p := range prefixes {
		all.must(t, "SET", p+"name", ofRedsync, "PX", "60000")
	}
	for _, other := range []string{"z", "ab", "a", "axb", "xx"} {
		all.must(t, "SET", other+"name", ofRedsync, "PX", "60000")
	}
	for _, p := range prefixes {
		wants := 0
		for _, other := range prefixes {
			if strings.HasPrefix(other+"name", p) {
				wants++
			}
		}
		found := mustList(t, l, p)
		if len(found.Locks) != wants {
			t.Errorf("%q: %d locks, want %d\n%s", p, len(found.Locks), wants, said(found))
		}
	}
}

func TestListWithoutANodeSaysWhichAndWhatItLeavesUnclear(t *testing.T) {
	withTwo(t, func(t *testing.T, lib library) {
		all := startServers(t, 3, redisproc.Options{})
		l := lib.NewLocker(t, all.addrs(), nil, redlock.WithTTL(time.Minute), redlock.WithNodeTimeout(500*time.Millisecond))
		all.must(t, "SET", "held", ofRedsync, "PX", "60000")
		servers{all[0]}.must(t, "SET", "split", ofRedsync, "PX", "60000")
		wantListing(t, mustList(t, l, ""), "held: foreign on 3 of 3, 0 wait", "split: nobody on 2 of 3, 0 wait")

		servers{all[2]}.freeze(t)
		begun := time.Now()
		found := mustList(t, l, "")
		if took := time.Since(begun); took > 10*time.Second {
			t.Errorf("it took %v", took)
		}
		wantListing(t, found, "held: foreign on 2 of 3, 0 wait", "split: ? on 1 of 3, 0 wait")
		if len(found.Failed) != 1 || found.Failed[0].Node != all[2].Addr() {
			t.Errorf("failed: %v", found.Failed)
		} else {
			wantError(t, found.Failed[0], context.DeadlineExceeded)
		}
		servers{all[2]}.thaw(t)
		all[1].Kill()
		all[2].Kill()
		_, err := l.List(within20(t), "")
		wantError(t, err, redlock.ErrNoQuorum)
		wantText(t, err, `redlock: list "": no quorum: 1 of 3 nodes agreed`, all[1].Addr(), all[2].Addr(), "connection refused")

		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_, err = l.List(ctx, "")
		wantError(t, err, context.Canceled)
		_ = l.Close(context.Background())
		_, err = l.List(context.Background(), "")
		wantError(t, err, redlock.ErrClosed)
	})
}

// Names come and go while they are listed, and a connection may have ended that was idle.
// The locks that stay are in every list, once.
func TestListShowsWhatStaysWhileOthersComeAndGo(t *testing.T) {
	withTwo(t, func(t *testing.T, lib library) {
		all := startServers(t, 3, redisproc.Options{})
		l := lib.Locker(t, all.addrs())
		const stay = 2500 // several pages
		for _, s := range all {
			if _, err := s.Do("EVAL", "for i = 1, ARGV[1] do redis.call('SET', 'stay:' .. i, ARGV[2], 'PX', 600000) end", "0", fmt.Sprint(stay), ofRedsync); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithCancel(context.Background())
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			for i := 0; ctx.Err() == nil; i++ {
				for _, s := range all { // many, so that the tables grow and shrink
					_, _ = s.Do("EVAL", "for i = 1, 2000 do redis.call('SET', 'stay:come' .. i, ARGV[1], 'PX', 600000) end", "0", ofRedsync)
					_, _ = s.Do("EVAL", "for i = 1, 2000 do redis.call('DEL', 'stay:come' .. i) end", "0")
				}
			}
		}()
		for range 2 {
			all.must(t, "CLIENT", "KILL", "TYPE", "normal")
			found := mustList(t, l, "stay:")
			seen := 0
			for i, s := range found.Locks {
				if i > 0 && s.Name <= found.Locks[i-1].Name {
					t.Errorf("%s after %s", s.Name, found.Locks[i-1].Name)
				}
				if !strings.HasPrefix(s.Name, "stay:come") {
					seen++
					if s.Nodes != 3 {
						t.Errorf("%v", s)
					}
				}
			}
			if seen != stay || found.Failed != nil {
				t.Errorf("%d names of %d; failed: %v", seen, stay, found.Failed)
			}
		}
		cancel()
		<-stopped
	})
}

func TestAListThatNeedsARightSaysWhich(t *testing.T) {
	all := startServers(t, 3, redisproc.Options{})
	const locks = "resetchannels ~app:* ~{app:*}:* +set +get +getrange +del +pexpire +pttl +eval +evalsha +ping +time +zrange +zadd +zrem +zscore +hget +hset +hdel +hexists +exists"
	all.must(t, append([]string{"ACL", "SETUSER", "app", "on", ">secret"}, strings.Fields(locks)...)...)
	open := func() *redlock.Locker { return lockerAs(t, viaGoRedis, all.addrs(), "app", "secret") }
	all.must(t, "SET", "app:job", ofRedsync, "PX", "60000")
	all.must(t, "SET", "secret", ofRedsync, "PX", "60000")
	_, err := open().List(within20(t), "app:")
	wantError(t, err, redlock.ErrNoQuorum)
	wantText(t, err, "ACL SETUSER <user> +scan")
	all.must(t, "ACL", "SETUSER", "app", "+scan") // as it said
	wantListing(t, mustList(t, open(), "app:"), "app:job: foreign on 3 of 3, 0 wait")
	_, err = open().List(within20(t), "")
	wantError(t, err, redlock.ErrNoQuorum)
	wantText(t, err, "ask for a prefix that this user may read")
	all.must(t, "ACL", "SETUSER", "app", "-getrange")
	_, err = open().List(within20(t), "app:")
	wantText(t, err, "+getrange")
}
