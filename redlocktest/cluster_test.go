package redlocktest_test

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorumlock/quorumlock/redlocktest"
)

// inBothModes runs a test on n nodes over TCP and in a bubble.
func inBothModes(t *testing.T, n int, test func(t *testing.T, c *redlocktest.Cluster)) {
	t.Run("TCP", func(t *testing.T) { test(t, redlocktest.New(t, n)) })
	t.Run("bubble", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { test(t, redlocktest.NewInMemory(t, n)) })
	})
}

func TestEachNodeHasItsOwnAddressAndData(t *testing.T) {
	inBothModes(t, 5, func(t *testing.T, c *redlocktest.Cluster) {
		addrs := c.Addrs()
		slices.Sort(addrs)
		if addrs = slices.Compact(addrs); len(addrs) != 5 || c.Len() != 5 || len(c.Nodes()) != 5 {
			t.Fatalf("addresses %q of %d nodes", addrs, c.Len())
		}
		c.Node(3).Hold("k", "v", 0)
		conn, err := c.Dial(t.Context(), "tcp", c.Node(3).Addr())
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
		for i, n := range c.Nodes() {
			host, _, err := net.SplitHostPort(n.Addr())
			if err != nil || net.ParseIP(host) == nil {
				t.Errorf("address %q is no IP address and port", n.Addr())
			}
			if _, ok := n.Get("k"); ok != (i == 3) {
				t.Errorf("node %d has the key: %v", i, ok)
			}
		}
		if _, err := c.Dial(t.Context(), "tcp", "203.0.113.1:6379"); err == nil {
			t.Error("a foreign address was dialled")
		}
	})
}

func TestNodesListenOnThePortsThatWereGiven(t *testing.T) {
	for {
		port := 11000 + rand.IntN(4000)
		c, err := redlocktest.StartAt(port, 3)
		if err != nil {
			continue // another process has one of them
		}
		for i, addr := range c.Addrs() {
			if want := net.JoinHostPort("127.0.0.1", strconv.Itoa(port+i)); addr != want {
				t.Errorf("node %d has the address %s, want %s", i, addr, want)
			}
		}
		if _, err := redlocktest.StartAt(port-1, 2); err == nil {
			t.Error("a port that is taken is given")
		}
		c.Close()
		c, err = redlocktest.StartAt(port, 3) // all ports were given back
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		if _, err := redlocktest.StartAt(65535, 2); err == nil {
			t.Error("there is no port 65536")
		}
		return
	}
}

func TestAStoppedNodeComesBackOnItsAddress(t *testing.T) {
	inBothModes(t, 1, func(t *testing.T, c *redlocktest.Cluster) {
		n := c.Node(0)
		addr := n.Addr()
		for range 20 {
			w := dial(t, n)
			w.send(t, "PING")
			w.expect(t, "+PONG")
			n.Stop()
			n.Stop()
			if _, err := w.r.ReadByte(); err == nil {
				t.Fatal("the connection was not cut")
			}
			n.Start()
			n.Start()
		}
		if n.Addr() != addr {
			t.Errorf("address %s, was %s", n.Addr(), addr)
		}
	})
}

func TestAClosedClusterCanNotBeStartedAgain(t *testing.T) {
	c, err := redlocktest.Start(2)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	c.Close()
	if err := c.Node(0).Start(); err == nil {
		t.Error("a node of a closed cluster started")
	}
	if _, err := c.Node(0).Dial(context.Background(), "", ""); err == nil {
		t.Error("a node of a closed cluster took a connection")
	}
}

func TestAClusterNeedsANode(t *testing.T) {
	for _, n := range []int{-1, 0, 255} {
		if c, err := redlocktest.Start(n); err == nil {
			c.Close()
			t.Errorf("%d nodes were started", n)
		}
	}
}

// Whatever state the nodes are in, nothing of them may be left: the bubble
// would report a deadlock.
func TestCloseWakesEverything(t *testing.T) {
	inBothModes(t, 4, func(t *testing.T, c *redlocktest.Cluster) {
		c.Node(0).Freeze()
		c.Node(1).Delay(time.Hour)
		c.Node(2).DropRequests(true)
		for _, n := range c.Nodes() {
			w := dial(t, n)
			w.send(t, "SUBSCRIBE news", "PING", "PING")
			dial(t, n).send(t, "BLPOP list 0")
		}
		await(t, c.Node(0), func(s redlocktest.Stats) bool { return s.Frozen == 2 })
		await(t, c.Node(1), func(s redlocktest.Stats) bool { return s.Delayed == 2 })
		await(t, c.Node(2), func(s redlocktest.Stats) bool { return s.DroppedRequests == 4 })
	})
}

func TestAwaitEndsWithItsContext(t *testing.T) {
	c := redlocktest.New(t, 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Node(0).Await(ctx, func(redlocktest.Stats) bool { return false }); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want %v", err, context.Canceled)
	}
}

func TestTwoHundredBubblesInARowWork(t *testing.T) {
	for range 200 {
		synctest.Test(t, func(t *testing.T) {
			c := redlocktest.NewInMemory(t, 3)
			for _, n := range c.Nodes() {
				w := dial(t, n)
				w.send(t, "SET k v PX 3600000", "GET k")
				w.expect(t, "+OK", "$1", "v")
				time.Sleep(time.Hour)
				w.send(t, "GET k")
				w.expect(t, "$-1")
			}
		})
	}
}

func TestNothingIsExecutedOnceFreezeHasReturned(t *testing.T) {
	inBothModes(t, 1, func(t *testing.T, c *redlocktest.Cluster) {
		n := c.Node(0)
		var clients sync.WaitGroup
		for range 8 {
			w := dial(t, n)
			w.send(t, strings.Split(strings.Repeat("INCR k\n", 1000), "\n")[:1000]...)
			clients.Go(func() { _, _ = io.Copy(io.Discard, w) })
		}
		for range 100 {
			n.Freeze()
			before, _ := n.Get("k")
			dial(t, n).send(t, "INCR k") // something new for the node to do wrong
			if after, _ := n.Get("k"); after != before {
				t.Fatalf("frozen at %s, now %s", before, after)
			}
			n.Thaw()
		}
		await(t, n, func(s redlocktest.Stats) bool { return s.Commands == 8*1000+100 })
		n.Stop()
		clients.Wait()
	})
}

func await(t *testing.T, n *redlocktest.Node, reached func(redlocktest.Stats) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := n.Await(ctx, reached); err != nil {
		t.Fatal(err)
	}
}
