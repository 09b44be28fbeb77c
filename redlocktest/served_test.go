package redlocktest_test

import (
	"io"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/redlocktest"
)

func TestIdleConnectionsAreClosedAndBusyOnesStay(t *testing.T) {
	inBothModes(t, 1, func(t *testing.T, c *redlocktest.Cluster) {
		n := c.Node(0)
		idle, listening, waiting, held := dial(t, n), dial(t, n), dial(t, n), dial(t, n)
		for range 3 { // as soon as an answer is there the connection is idle
			idle.send(t, "PING")
			idle.expect(t, "+PONG")
		}
		listening.send(t, "SUBSCRIBE news")
		listening.expect(t, "*3", "$9", "subscribe", "$4", "news", ":1")
		waiting.send(t, "INCR waits", "BLPOP list 0")
		waiting.expect(t, ":1")
		busy(t, n, 1) // with BLPOP
		n.Freeze()
		held.send(t, "SET k v")
		busy(t, n, 2)

		if closed := n.CloseIdle(); closed != 2 {
			t.Fatalf("%d connections were closed, want 2", closed)
		}
		n.Thaw()
		held.expect(t, "+OK")
		for name, w := range map[string]*wire{"idle": idle, "listening": listening} {
			if _, err := w.r.ReadByte(); err != io.EOF {
				t.Errorf("%s: %v, want %v", name, err, io.EOF)
			}
		}
		other := dial(t, n)
		other.send(t, "RPUSH list x")
		other.expect(t, ":1")
		waiting.expect(t, "*2", "$4", "list", "$1", "x")
		if s := n.Stats(); s.ClosedIdle != 2 {
			t.Errorf("%+v, want two closed", s)
		}
		n.Stop()
		if closed := n.CloseIdle(); closed != 0 {
			t.Errorf("%d connections of a stopped node were closed", closed)
		}
	})
}

// busy waits until so many connections have a command that is not done.
func busy(t *testing.T, n *redlocktest.Node, connections int) {
	t.Helper()
	for begun := time.Now(); n.Busy() != connections; time.Sleep(time.Millisecond) {
		if time.Since(begun) > 10*time.Second {
			t.Fatalf("%d connections are busy, want %d", n.Busy(), connections)
		}
	}
}

func TestNoConnectionThatWasClosedLosesAnAnswerOrExecutesMore(t *testing.T) {
	inBothModes(t, 1, func(t *testing.T, c *redlocktest.Cluster) {
		n := c.Node(0)
		long := strings.Repeat("x", 100<<10)
		n.Hold("long", long, 0)
		for range 50 {
			w := dial(t, n)
			w.send(t, "GET long")
			if line, err := w.r.ReadString('\n'); err != nil || line != "$102400\r\n" {
				t.Fatalf("%q, %v", line, err)
			}
			n.CloseIdle() // in the midst of the answer, or just after it
			w.expect(t, long)
			w = dial(t, n)
			w.send(t, "PING")
			w.expect(t, "+PONG")
			n.CloseIdle()
			_, _ = io.WriteString(w, "*2\r\n$4\r\nINCR\r\n$1\r\nk\r\n") // may meet a broken pipe
			if b, err := w.r.ReadByte(); err == nil {
				t.Fatalf("a closed connection answers: %q", b)
			}
		}
		if v, ok := n.Get("k"); ok {
			t.Errorf("k = %q, want none", v)
		}
	})
}

func TestACommandOnAClosedConnectionIsNotExecutedAndAllOthersAreAnswered(t *testing.T) {
	inBothModes(t, 1, func(t *testing.T, c *redlocktest.Cluster) {
		n := c.Node(0)
		var answers atomic.Int64
		var clients sync.WaitGroup
		for range 8 {
			clients.Go(func() {
				for range 50 {
					w := dial(t, n)
					for {
						_, _ = io.WriteString(w, "*2\r\n$4\r\nINCR\r\n$1\r\nk\r\n")
						if _, err := w.r.ReadString('\n'); err != nil {
							break // closed
						}
						answers.Add(1)
					}
					w.Close()
				}
			})
		}
		var running atomic.Bool
		running.Store(true)
		go func() { clients.Wait(); running.Store(false) }()
		for closings := 1; running.Load(); closings++ { // no pause: in a bubble none would end
			want := int64(closings)
			n.CloseIdle()
			for answers.Load() < want && running.Load() {
				runtime.Gosched()
			}
		}
		if v, _ := n.Get("k"); v != strconv.FormatInt(answers.Load(), 10) {
			t.Errorf("%s were executed, %d answered", v, answers.Load())
		}
	})
}

func TestOneCommandFailsAndOthersDoNot(t *testing.T) {
	inBothModes(t, 1, func(t *testing.T, c *redlocktest.Cluster) {
		n := c.Node(0)
		w := dial(t, n)
		n.FailCommand("incr", "ERR unknown command 'INCR'")
		n.FailCommand("HELLO", "NOPROTO no")
		n.FailWith("OOM no memory")
		w.send(t, "INCR k", "HELLO 3", "SET k v", "PING")
		w.expect(t, "-ERR unknown command 'INCR'", "-NOPROTO no", "-OOM no memory", "+PONG")
		n.FailWith("")
		n.FailCommand("INCR", "")
		w.send(t, "INCR k", "HELLO 9")
		w.expect(t, ":1", "-NOPROTO no")
		if s := n.Stats(); s.Failed != 4 || s.Commands != 1 {
			t.Errorf("%+v, want four failed and one executed", s)
		}
	})
}

func TestADemotedNodeRefusesWritesOnConnectionsThatStay(t *testing.T) {
	inBothModes(t, 1, func(t *testing.T, c *redlocktest.Cluster) {
		n := c.Node(0)
		w := dial(t, n)
		w.send(t, "SET k v")
		w.expect(t, "+OK")
		n.Demote()
		const refused = "-READONLY You can't write against a read only replica."
		w.send(t, "SET k w", "DEL k", "EXPIRE k 1", "GET k", "PUBLISH news x", "TIME1", "PING")
		w.expect(t, refused, refused, refused, "$1", "v", ":0",
			"-ERR unknown command `TIME1`, with args beginning with: ", "+PONG")
		w.send(t, "EVAL return{redis.call('GET',KEYS[1])} 1 k", "EVAL return{redis.call('DEL',KEYS[1])} 1 k")
		w.expect(t, "*1", "$1", "v")
		if line, err := w.r.ReadString('\n'); err != nil || line[0] != '-' || !strings.Contains(line, refused[1:]) {
			t.Errorf("%q, %v, want an error with %q", line, err, refused)
		}
		n.Promote()
		w.send(t, "APPEND k w")
		w.expect(t, ":2")
		if s := n.Stats(); s.ReadOnly != 3 {
			t.Errorf("%+v, want three refused", s)
		}
	})
}

func TestAConnectionOpensLateAndThenIsFast(t *testing.T) {
	inBothModes(t, 1, func(t *testing.T, c *redlocktest.Cluster) {
		const late = 50 * time.Millisecond
		n := c.Node(0)
		before := dial(t, n)
		before.send(t, "PING")
		before.expect(t, "+PONG")
		n.DelayDials(late)
		start := time.Now()
		w := dial(t, n)
		before.send(t, "PING") // as fast as ever
		before.expect(t, "+PONG")
		w.send(t, "SET k v")
		w.expect(t, "+OK")
		if took := time.Since(start); took < late {
			t.Errorf("it opened after %v, want %v", took, late)
		}
		opened := time.Now()
		for range 100 {
			w.send(t, "INCR n")
			w.r.ReadString('\n')
		}
		if took := time.Since(opened); took > 100*late/2 {
			t.Errorf("commands took %v", took)
		}

		n.DelayDials(time.Hour)
		opening := dial(t, n)
		opening.send(t, "SET k w")
		await(t, n, func(s redlocktest.Stats) bool { return s.DelayedDials == 2 })
		if closed := n.CloseIdle(); closed != 2 {
			t.Errorf("%d connections were closed, want the two that are open", closed)
		}
		n.DelayDials(0)
		now := dial(t, n)
		now.send(t, "GET k")
		now.expect(t, "$1", "v")
		n.Stop() // wakes what still waits
	})
}
