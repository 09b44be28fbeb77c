package listen

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorumlock/quorumlock/internal/fakenode"
	"github.com/quorumlock/quorumlock/pool"
)

// inBubble runs f in a bubble, which fails the test if a goroutine is left, and checks
// that no subscription is.
func inBubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
	subscriptions.mu.Lock()
	defer subscriptions.mu.Unlock()
	if n := len(subscriptions.byClient); n != 0 {
		t.Errorf("%d subscriptions are left", n)
	}
}

func wantConnections(t *testing.T, node *fakenode.Node, connections, channels int) {
	t.Helper()
	synctest.Wait()
	if conns, chans := node.Subscribed(); conns != connections || chans != channels {
		t.Errorf("%d connections listen to %d channels, want %d and %d", conns, chans, connections, channels)
	}
}

func TestListenersOfOneClientShareAConnectionAndGetTheirOwnChannels(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		node, one, other := fakenode.New("node"), new(received), new(received)
		first, second := New(node, one.note), New(node, other.note)
		first.Want("a")
		first.Want("both")
		second.Want("b")
		second.Want("both")
		wantConnections(t, node, 1, 3)
		one.events, other.events = nil, nil
		for _, channel := range []string{"a", "b", "both"} {
			node.Publish(channel, "x")
		}
		synctest.Wait()
		wantReceived(t, one, "a", "both")
		wantReceived(t, other, "b", "both")

		first.Close(background)
		node.Publish("both", "x")
		synctest.Wait()
		wantReceived(t, one, "a", "both")
		wantReceived(t, other, "b", "both", "both")
		second.Close(background)
		wantConnections(t, node, 0, 0)
	})
}

func wantReceived(t *testing.T, h *received, channels ...string) {
	t.Helper()
	if len(h.events) != len(channels) {
		t.Errorf("heard %v, want messages on %v", h.events, channels)
		return
	}
	for i, e := range h.events {
		if e.Channel != channels[i] || e.Kind != pool.Message {
			t.Errorf("heard %v, want messages on %v", h.events, channels)
		}
	}
}

// A Listener that is forgotten without Close holds nothing either.
func TestNothingIsLeftAfterTheLastWant(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		node := fakenode.New("node")
		for range 3 {
			l := New(node, new(received).note)
			l.Want("a")
			l.Want("a")
			synctest.Wait()
			l.Drop("a")
			l.Drop("a")
		}
		wantConnections(t, node, 1, 1)
		time.Sleep(linger + 2*pingPeriod)
		wantConnections(t, node, 0, 0)
	})
}

// backed is a pool with a client.
type backed struct {
	*fakenode.Node
	client any
	_      []int // it cannot be compared itself
}

func (b backed) Backing() any { return b.client }

func TestPoolsOnOneClientShareAConnection(t *testing.T) {
	for name, test := range map[string]struct {
		one, other any
		shared     bool
	}{
		"one client":                   {"client", "client", true},
		"two clients":                  {"client", "another", false},
		"not known":                    {nil, nil, false},
		"clients that do not compare":  {[]int{1}, []int{1}, false},
		"clients that do not all over": {[1]any{[]int{1}}, [1]any{[]int{1}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				node := fakenode.New("node")
				first := New(backed{Node: node, client: test.one}, new(received).note)
				second := New(backed{Node: node, client: test.other}, new(received).note)
				first.Want("a")
				second.Want("a")
				if test.shared {
					wantConnections(t, node, 1, 1)
				} else {
					wantConnections(t, node, 2, 2)
				}
				first.Close(background)
				second.Close(background)
			})
		})
	}
}

// Close does not wait for a subscription that another Listener uses.
func TestCloseEndsTheConnectionUnlessAnotherListenerWantsAChannel(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		node := fakenode.New("node")
		first, second, third := New(node, new(received).note), New(node, new(received).note), New(node, new(received).note)
		first.Want("a")
		second.Want("a")
		synctest.Wait()
		first.Close(background)
		if conns, _ := node.Subscribed(); conns != 1 {
			t.Errorf("%d connections listen", conns)
		}
		third.Close(background) // it wanted no channel
		second.Drop("a")
		second.Close(background)
		if conns, _ := node.Subscribed(); conns != 0 {
			t.Errorf("%d connections listen after Close", conns)
		}
	})
}

// A subscription that is ending goes on for a Listener that wants a channel meanwhile, and Close does
// not wait for that.
func TestAWantDuringCloseGetsMessages(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		node := &slow{Node: fakenode.New("node"), connects: make(chan struct{}, 1)}
		first, second := New(node, new(received).note), New(node, new(received).note)
		first.Want("a")
		synctest.Wait()
		closed := make(chan struct{})
		go func() {
			first.Close(background)
			close(closed)
		}()
		synctest.Wait()
		second.Want("b")
		node.connects <- struct{}{}
		<-closed
		node.connects <- struct{}{}
		time.Sleep(2 * firstPause)
		wantConnections(t, node.Node, 1, 1)
		second.Close(background)
	})
}

// slow connects when the test lets it, whatever its context says.
type slow struct {
	*fakenode.Node
	connects chan struct{}
}

func (s *slow) Subscribe(ctx context.Context) (pool.Subscription, error) {
	<-s.connects
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return s.Node.Subscribe(ctx)
}
