package waiting

import (
	"testing"
	"testing/synctest"

	"github.com/quorumlock/quorumlock/internal/fakenode"
	"github.com/quorumlock/quorumlock/pool"
)

func TestTheNextWaiterKeepsItsSubscriptionWhenTheOneBeforeEndsItsOwn(t *testing.T) {
	var w wakeUps
	w.init(nil)
	first, second := newSubscription("{job}:wake", "1", 0), newSubscription("{job}:wake", "2", 0)
	w.add(first)
	w.add(second) // the lock of the first has ended already
	w.remove(first)
	if w.waiters["{job}:wake"] != second {
		t.Error("the subscription of the next waiter is gone")
	}
	w.remove(second)
	if len(w.waiters) != 0 {
		t.Error("a subscription is left")
	}
}

func TestAWaiterThatOneNodeNamesGoesFirst(t *testing.T) {
	s := newSubscription("{job}:wake", "me", 3)
	says := func(i int, named string) { s.notify(i, pool.Event{Kind: pool.Message, Message: named}) }
	wants := func(missing int, enough bool, named addressee) {
		t.Helper()
		if e, n := s.reason(missing); e != enough || n != named {
			t.Errorf("enough: %v, named %v; want %v, %v", e, n, enough, named)
		}
	}
	says(0, "")
	says(1, "")
	wants(2, true, noWaiter)
	says(1, "another")
	wants(2, true, anotherWaiter)
	says(2, "me")
	wants(2, true, thisWaiter)
	s.clear()
	wants(1, false, noMessage) // an attempt began
	s.notify(0, pool.Event{Kind: pool.Joined})
	wants(1, true, noMessage)
}

func TestReleasesFromAllSubscribedNodesAreEnough(t *testing.T) {
	s := newSubscription("{job}:wake", "me", 3)
	if enough, _ := s.reason(2); enough {
		t.Error("no node has joined, and that is a reason")
	}
	s.notify(0, pool.Event{Kind: pool.Joined})
	s.clear()
	if enough, _ := s.reason(2); enough {
		t.Error("a node that has joined is a reason")
	}
	s.notify(0, pool.Event{Kind: pool.Message})
	if enough, _ := s.reason(2); !enough {
		t.Error("all nodes that have joined published a release, and that is no reason")
	}
}

func TestWatchersAndWaitersOfAChannelAreAllNotified(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes, pools := fakenode.Pools(3)
		var w wakeUps
		w.init(pools)
		var first, second int
		stopFirst := w.watch("{job}:wake", func(int, pool.Event) { first++ })
		stopSecond := w.watch("{job}:wake", func(int, pool.Event) { second++ })
		s := w.subscribe("{job}:wake", "me")
		synctest.Wait()
		first, second = 0, 0
		s.clear()
		for _, n := range nodes {
			n.Publish("{job}:wake", "me")
			n.Publish("{other}:wake", "me")
		}
		synctest.Wait()
		if enough, named := s.reason(3); first != 3 || second != 3 || !enough || named != thisWaiter {
			t.Errorf("the watchers got %d and %d events; the waiter: %v, %v", first, second, enough, named)
		}
		stopFirst()
		w.unsubscribe(s)
		nodes[0].Publish("{job}:wake", "me")
		synctest.Wait()
		if first != 3 || second != 4 {
			t.Errorf("after one has stopped, the watchers have %d and %d events", first, second)
		}
		stopSecond()
		if len(w.watchers)+len(w.waiters) != 0 {
			t.Error("something is left")
		}
		for _, l := range w.listeners {
			l.Close(t.Context())
		}
	})
}

// The connection breaks when one of three channels is joined. On the next one a Join of all is news.
func TestAWaiterForSeveralLocksIsToldWhenANodeHasJoinedAllChannels(t *testing.T) {
	s := newSubscription("", "me", 1)
	s.joins, s.stops = []map[string]bool{{}}, make([]func(), 3)
	for _, c := range []struct {
		channel string
		told    bool
	}{{"a", false}, {"b", false}, {"a", false}, {"c", true}, {"a", true}, {"c", true}} {
		s.clear()
		s.notify(0, pool.Event{Kind: pool.Joined, Channel: c.channel})
		if enough, _ := s.reason(1); enough != c.told {
			t.Errorf("%s: told %t, want %t", c.channel, enough, c.told)
		}
	}
}
