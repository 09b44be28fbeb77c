package redlocktest_test

import (
	"bytes"
	"testing"

	"github.com/quorumlock/quorumlock/redlocktest"
)

func TestPipelinedCommandsAreHeldAndExecutedInTheirOrder(t *testing.T) {
	inBothModes(t, 1, func(t *testing.T, c *redlocktest.Cluster) {
		n := c.Node(0)
		n.Freeze()
		w := dial(t, n)
		w.send(t, "SET k a", "APPEND k b", "GET k", "DEL k")
		await(t, n, func(s redlocktest.Stats) bool { return s.Frozen == 1 })
		n.Thaw()
		w.expect(t, "+OK", ":2", "$2", "ab", ":1")
	})
}

func TestAConnectionThatLostARequestStaysDead(t *testing.T) {
	inBothModes(t, 1, func(t *testing.T, c *redlocktest.Cluster) {
		n := c.Node(0)
		w := dial(t, n)
		n.DropRequests(true)
		w.send(t, "SET k v")
		await(t, n, func(s redlocktest.Stats) bool { return s.DroppedRequests == 1 })
		n.DropRequests(false)
		w.send(t, "SET k w")
		await(t, n, func(s redlocktest.Stats) bool { return s.DroppedRequests == 2 })
		if v, ok := n.Get("k"); ok {
			t.Errorf("k = %q, want none", v)
		}
	})
}

func TestAConnectionThatLostAnAnswerStaysSilent(t *testing.T) {
	inBothModes(t, 1, func(t *testing.T, c *redlocktest.Cluster) {
		n := c.Node(0)
		w := dial(t, n)
		n.DropReplies(true)
		w.send(t, "INCR k")
		await(t, n, func(s redlocktest.Stats) bool { return s.DroppedReplies == 1 })
		n.DropReplies(false)
		w.send(t, "INCR k")
		await(t, n, func(s redlocktest.Stats) bool { return s.DroppedReplies == 2 && s.Commands == 2 })
		other := dial(t, n)
		other.send(t, "GET k")
		other.expect(t, "$1", "2")
	})
}

func TestASubscriberThatDoesNotReadBlocksNoOther(t *testing.T) {
	inBothModes(t, 1, func(t *testing.T, c *redlocktest.Cluster) {
		n := c.Node(0)
		subscriber, publisher := dial(t, n), dial(t, n)
		subscriber.send(t, "SUBSCRIBE news")
		subscriber.expect(t, "*3", "$9", "subscribe", "$4", "news", ":1")
		message := string(bytes.Repeat([]byte("x"), 64<<10))
		for range 200 {
			publisher.send(t, "PUBLISH news "+message)
			publisher.expect(t, ":1")
		}
		subscriber.expect(t, "*3", "$7", "message", "$4", "news", "$65536", message)
		n.Stop() // while the rest still waits to be read
	})
}

func TestACommandThatWaitsForAnotherClientDoesNotHoldUpAFault(t *testing.T) {
	inBothModes(t, 1, func(t *testing.T, c *redlocktest.Cluster) {
		n := c.Node(0)
		waiting, other := dial(t, n), dial(t, n)
		waiting.send(t, "BLPOP list 0")
		other.send(t, "PING")
		other.expect(t, "+PONG")
		n.Freeze()
		n.Thaw()
		other.send(t, "RPUSH list x")
		other.expect(t, ":1")
		waiting.expect(t, "*2", "$4", "list", "$1", "x")
	})
}

func TestRESP3IsSpoken(t *testing.T) {
	inBothModes(t, 1, func(t *testing.T, c *redlocktest.Cluster) {
		w := dial(t, c.Node(0))
		w.send(t, "HELLO 3")
		line, err := w.r.ReadString('\n')
		if err != nil || line[0] != '%' {
			t.Errorf("answer %q, %v, want a map", line, err)
		}
	})
}
