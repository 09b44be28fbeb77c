package listen

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorumlock/quorumlock/internal/fakenode"
	"github.com/quorumlock/quorumlock/pool"
)

var background = context.Background()

// received collects the events of a Listener.
type received struct{ events []pool.Event }

func (h *received) note(e pool.Event) { h.events = append(h.events, e) }

func TestOnlyEventsOfWantedChannelsArePassedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node, h := fakenode.New("node"), new(received)
		l := New(node, h.note)
		defer l.Close(background)
		if l.Want("a") {
			t.Error("joined before anything was said")
		}
		synctest.Wait()
		node.Publish("a", "1")
		node.Publish("b", "2")
		synctest.Wait()
		l.Drop("a")
		node.Publish("a", "3")
		synctest.Wait()
		if !l.Want("a") {
			t.Error("not joined any more")
		}
		node.Publish("a", "4")
		synctest.Wait()
		want := []pool.Event{{Kind: pool.Joined, Channel: "a"}, {Kind: pool.Message, Channel: "a", Message: "1"}, {Kind: pool.Message, Channel: "a", Message: "4"}}
		if len(h.events) != len(want) {
			t.Fatalf("heard %v, want %v", h.events, want)
		}
		for i, e := range h.events {
			if e != want[i] {
				t.Errorf("heard %v, want %v", e, want[i])
			}
		}
	})
}

// A channel that another Listener still wants is not left.
func TestAChannelIsWantedAsOftenAsItWasAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node, h := fakenode.New("node"), new(received)
		l := New(node, h.note)
		defer l.Close(background)
		l.Want("a")
		l.Want("a")
		l.Drop("a")
		time.Sleep(time.Minute)
		synctest.Wait()
		node.Publish("a", "1")
		synctest.Wait()
		if len(h.events) != 2 {
			t.Errorf("heard %v", h.events)
		}
	})
}

func TestANodeThatRefusesIsAskedLessAndLessOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := fakenode.New("node")
		node.Set(fakenode.Faults{Refuse: true})
		l := New(node, new(received).note)
		l.Want("a")
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := node.Refused(); n < 5 || n > 30 {
			t.Errorf("asked %d times in a minute", n)
		}
		start := time.Now()
		l.Close(background)
		if took := time.Since(start); took != 0 {
			t.Errorf("Close waited %v for the next attempt", took)
		}
		if l.Want("b") {
			t.Error("joined after Close")
		}
	})
}

// The same holds for a server that answers and refuses the subscription.
func TestAJoinThatIsRefusedIsRepeatedLessAndLessOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := &counting{Node: fakenode.New("node")}
		node.Set(fakenode.Faults{Error: "NOPERM this user has no permissions to access one of the channels"})
		l := New(node, new(received).note)
		defer l.Close(background)
		l.Want("a")
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := node.subscribed.Load(); n < 5 || n > 30 {
			t.Errorf("asked %d times in a minute", n)
		}
	})
}

// The same holds with a right to one channel and not to another.
func TestAJoinThatIsRefusedBesideOneThatIsNotIsRepeatedLessAndLessOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node, h := &counting{Node: fakenode.New("node")}, new(received)
		node.Set(fakenode.Faults{Forbidden: "b"})
		l := New(node, h.note)
		defer l.Close(background)
		l.Want("a")
		synctest.Wait()
		l.Want("b")
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := node.subscribed.Load(); n < 5 || n > 30 || len(h.events) == 0 {
			t.Errorf("asked %d times in a minute, heard %d events", n, len(h.events))
		}
	})
}

// counting counts connections.
type counting struct {
	*fakenode.Node
	subscribed atomic.Int64
}

func (c *counting) Subscribe(ctx context.Context) (pool.Subscription, error) {
	c.subscribed.Add(1)
	return c.Node.Subscribe(ctx)
}

func TestAConnectionThatHangsIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node, h := &hanging{Node: fakenode.New("node")}, new(received)
		l := New(node, h.note)
		l.Want("a")
		time.Sleep(connectTimeout + maxPause)
		synctest.Wait()
		if len(h.events) != 1 {
			t.Errorf("heard %v, want that the second connection joined", h.events)
		}
		l.Close(background)
	})
}

// hanging does not connect the first time.
type hanging struct {
	*fakenode.Node
	tried bool
}

func (h *hanging) Subscribe(ctx context.Context) (pool.Subscription, error) {
	if !h.tried {
		h.tried = true
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return h.Node.Subscribe(ctx)
}

func TestCloseWaitsNoLongerThanItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stubborn := make(ignoresContext)
		l := New(stubborn, new(received).note)
		l.Want("a")
		synctest.Wait()
		ctx, cancel := context.WithTimeout(background, 10*time.Millisecond)
		defer cancel()
		start := time.Now()
		l.Close(ctx)
		if took := time.Since(start); took != 10*time.Millisecond {
			t.Errorf("Close took %v", took)
		}
		close(stubborn)
		l.Close(background)
	})
}

// ignoresContext connects when it is closed, and not when its context ends.
type ignoresContext chan struct{}

func (d ignoresContext) Subscribe(context.Context) (pool.Subscription, error) {
	<-d
	return nil, context.Canceled
}
