package kit_test

import (
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/redlocktest"
)

// The kit's faults, each through both clients, over TCP and in a bubble.

func TestKitAStoppedNodeRefusesAndStartsAgainWithItsData(t *testing.T) {
	onKit(t, func(t *testing.T, n *redlocktest.Node, dial func() kitClient) {
		do := dial()
		kitWant(t, do, "OK", "SET", "k", "v")
		n.Stop()
		if _, err := dial()("GET", "k"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("%v, want a refusal", err)
		}
		if n.Stats().Refused == 0 {
			t.Error("the refusal was not counted")
		}
		if _, err := do("GET", "k"); err == nil {
			t.Fatal("a connection from before answers")
		}
		n.Start()
		kitWant(t, dial(), "v", "GET", "k")
		n.StartEmpty()
		kitWant(t, dial(), nil, "GET", "k")
	})
}

func TestKitANodeThatStartsHasLostItsScripts(t *testing.T) {
	onKit(t, func(t *testing.T, n *redlocktest.Node, dial func() kitClient) {
		const script = "return redis.call('GET', KEYS[1])"
		n.Hold("k", "v", 0)
		for name, lose := range map[string]func(){
			"Start":        func() { n.Stop(); n.Start() },
			"StartEmpty":   func() { n.StartEmpty(); n.Hold("k", "v", 0) },
			"FlushScripts": n.FlushScripts,
		} {
			sha, err := dial()("SCRIPT", "LOAD", script)
			if err != nil {
				t.Fatal(err)
			}
			kitWant(t, dial(), "v", "EVALSHA", sha, 1, "k")
			lose()
			if _, err := dial()("EVALSHA", sha, 1, "k"); err == nil || !strings.HasPrefix(err.Error(), "NOSCRIPT") {
				t.Errorf("after %s: %v, want NOSCRIPT", name, err)
			}
		}
	})
}

func TestKitWhatWasSentToAFrozenNodeTakesEffectOnThawEvenIfTheClientHungUp(t *testing.T) {
	onKit(t, func(t *testing.T, n *redlocktest.Node, dial func() kitClient) {
		do := dial()
		kitWant(t, do, "OK", "SET", "k", "before")
		n.Freeze()
		kitWantTimeout(t, do, "SET", "k", "sent while frozen") // both clients hang up after a timeout
		kitWantTimeout(t, dial(), "PING")                      // a new connection is accepted and not answered either
		if v, _ := n.Get("k"); v != "before" {
			t.Fatalf("a frozen node executed the command: %q", v)
		}
		n.Thaw()
		kitAwait(t, n, func(s redlocktest.Stats) bool { return s.Commands == 2 })
		kitWant(t, dial(), "sent while frozen", "GET", "k")
	})
}

func TestKitWhatAFrozenNodeHoldsDiesWhenItIsStopped(t *testing.T) {
	onKit(t, func(t *testing.T, n *redlocktest.Node, dial func() kitClient) {
		do := dial()
		kitWant(t, do, "OK", "SET", "k", "before")
		n.Freeze()
		kitWantTimeout(t, do, "SET", "k", "sent while frozen")
		n.Stop()
		n.Thaw()
		n.Start()
		kitWant(t, dial(), "before", "GET", "k") // and it is not frozen any more
	})
}

func TestKitADelayedCommandIsExecutedAfterTheDelay(t *testing.T) {
	onKit(t, func(t *testing.T, n *redlocktest.Node, dial func() kitClient) {
		do := dial()
		kitWant(t, do, "OK", "SET", "k", "v")
		n.Delay(kitPatience / 3)
		start := time.Now()
		kitWant(t, do, "v", "GET", "k")
		if d := time.Since(start); d < kitPatience/3 {
			t.Errorf("it took %v", d)
		}
		n.Delay(0)
		kitWant(t, do, "v", "GET", "k")
		if s := n.Stats(); s.Delayed != 1 {
			t.Errorf("%+v, want one delayed", s)
		}
	})
}

func TestKitADroppedRequestHasNoEffectAndItsConnectionStaysDead(t *testing.T) {
	onKit(t, func(t *testing.T, n *redlocktest.Node, dial func() kitClient) {
		do := dial()
		kitWant(t, do, "OK", "SET", "k", "before")
		n.DropRequests(true)
		kitWantTimeout(t, do, "SET", "k", "after")
		n.DropRequests(false)
		kitWant(t, dial(), "before", "GET", "k")
		if s := n.Stats(); s.DroppedRequests != 1 {
			t.Errorf("%+v, want one dropped request", s)
		}
	})
}

func TestKitADroppedReplyLeavesTheEffect(t *testing.T) {
	onKit(t, func(t *testing.T, n *redlocktest.Node, dial func() kitClient) {
		do := dial()
		kitWant(t, do, "OK", "SET", "k", "before")
		n.DropReplies(true)
		kitWantTimeout(t, do, "SET", "k", "after")
		n.DropReplies(false)
		kitWant(t, dial(), "after", "GET", "k")
		if s := n.Stats(); s.DroppedReplies != 1 {
			t.Errorf("%+v, want one dropped reply", s)
		}
	})
}

func TestKitFailWithMeetsCommandsButNotTheHandshake(t *testing.T) {
	onKit(t, func(t *testing.T, n *redlocktest.Node, dial func() kitClient) {
		const text = "OOM command not allowed when used memory > 'maxmemory'."
		n.FailWith(text)
		do := dial()
		if _, err := do("SET", "k", "v"); err == nil || err.Error() != text {
			t.Fatalf("%v, want %s", err, text)
		}
		kitWant(t, do, "PONG", "PING")
		if s := n.Stats(); s.Failed == 0 || s.Commands != 0 {
			t.Errorf("%+v, want a failed command and none executed", s)
		}
		n.FailWith("")
		kitWant(t, do, nil, "GET", "k")
	})
}

func TestKitAClosedIdleConnectionCostsACommandAndTheNextOpensAnother(t *testing.T) {
	onKit(t, func(t *testing.T, n *redlocktest.Node, dial func() kitClient) {
		do := dial()
		kitWant(t, do, int64(1), "INCR", "k")
		if closed := n.CloseIdle(); closed != 1 {
			t.Fatalf("%d connections were closed, want 1", closed)
		}
		// A client that looks at its connection first (go-redis over TCP) is not disturbed.
		if _, err := do("INCR", "k"); err != nil {
			kitWant(t, do, int64(2), "INCR", "k")
		}
		if v, _ := n.Get("k"); v != "2" {
			t.Errorf("k = %q, want 2: a command on an ended connection was executed", v)
		}
	})
}

func TestKitADemotedNodeRefusesWritesAndScriptsThatWrite(t *testing.T) {
	onKit(t, func(t *testing.T, n *redlocktest.Node, dial func() kitClient) {
		do := dial()
		kitWant(t, do, "OK", "SET", "k", "v")
		n.Demote()
		for _, write := range [][]any{{"SET", "k", "w"}, {"EVAL", "return redis.call('SET', KEYS[1], 'w')", 1, "k"}} {
			if _, err := do(write...); err == nil || !strings.Contains(err.Error(), "READONLY ") {
				t.Errorf("%v: %v, want READONLY", write, err)
			}
		}
		kitWant(t, do, "v", "GET", "k")
		n.Promote()
		kitWant(t, do, "OK", "SET", "k", "w")
	})
}

func TestKitAConnectionThatOpensTooLateIsATimeout(t *testing.T) {
	onKit(t, func(t *testing.T, n *redlocktest.Node, dial func() kitClient) {
		do := dial()
		kitWant(t, do, "PONG", "PING")
		n.DelayDials(10 * kitPatience)
		kitWant(t, do, "PONG", "PING") // it is open
		kitWantTimeout(t, dial(), "PING")
		n.DelayDials(kitPatience / 3)
		start := time.Now()
		kitWant(t, dial(), "PONG", "PING")
		if took := time.Since(start); took < kitPatience/3 {
			t.Errorf("it opened after %v", took)
		}
	})
}

func TestKitKeysExpireAsTheNodesClockSays(t *testing.T) {
	onKit(t, func(t *testing.T, n *redlocktest.Node, dial func() kitClient) {
		do := dial()
		kitWant(t, do, "OK", "SET", "k", "v", "PX", 60_000)
		n.JumpClock(-time.Hour) // the key expires an hour later than it should
		kitWantAbout(t, time.Hour+time.Minute, n.TTL("k"))
		kitWantAbout(t, -time.Hour, kitTime(t, do))
		n.JumpClock(time.Hour)
		kitWantAbout(t, time.Minute, n.TTL("k"))
		n.Advance(50 * time.Second)
		kitWantAbout(t, 10*time.Second, n.TTL("k"))
		kitWantAbout(t, 50*time.Second, kitTime(t, do))
		kitWant(t, do, "v", "GET", "k")
		n.Advance(10 * time.Second)
		kitWant(t, do, nil, "GET", "k")
	})
}

func TestKitKeysExpireByThemselvesAsTimePasses(t *testing.T) {
	onKit(t, func(t *testing.T, n *redlocktest.Node, dial func() kitClient) {
		do := dial()
		kitWant(t, do, "OK", "SET", "k", "v", "PX", 20)
		kitWant(t, do, "OK", "SET", "stopped", "v", "PX", 20)
		n.Stop() // a server's clock runs on while the server does not
		time.Sleep(21 * time.Millisecond)
		n.Start()
		if keys := n.Keys(); len(keys) > 0 {
			t.Errorf("%q are left", keys)
		}
	})
}

func TestKitAForeignHolderCanBePutInAndTakenOut(t *testing.T) {
	onKit(t, func(t *testing.T, n *redlocktest.Node, dial func() kitClient) {
		do := dial()
		kitWant(t, do, int64(1), "RPUSH", "k", "a list")
		n.Hold("k", "another", time.Minute)
		kitWant(t, do, nil, "SET", "k", "me", "NX")
		kitWantAbout(t, time.Minute, n.TTL("k"))
		n.Hold("k", "for ever", 0)
		if ttl := n.TTL("k"); ttl != 0 {
			t.Errorf("TTL %v, want none", ttl)
		}
		if !n.Delete("k") || n.Delete("k") {
			t.Error("Delete does not report whether the key was there")
		}
		kitWant(t, do, "OK", "SET", "k", "me", "NX")
	})
}

func TestKitAFreezeHoldsAScriptAsAWhole(t *testing.T) {
	onKit(t, func(t *testing.T, n *redlocktest.Node, dial func() kitClient) {
		do := dial()
		kitWant(t, do, "v", "EVAL", "redis.call('SET', KEYS[1], 'v'); return redis.call('GET', KEYS[1])", 1, "k")
		if s := n.Stats(); s.Commands != 1 {
			t.Errorf("%+v, want the script to count as one command", s)
		}
		n.Freeze()
		kitWantTimeout(t, do, "EVAL", "redis.call('SET', KEYS[1], 'w'); return 1", 1, "k")
		n.Thaw()
		kitAwait(t, n, func(s redlocktest.Stats) bool { return s.Commands == 2 })
		kitWant(t, dial(), "w", "GET", "k")
	})
}
