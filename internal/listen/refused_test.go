package listen

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorumlock/quorumlock/internal/fakenode"
)

func TestAChannelThatIsRefusedCostsTheOthersNothing(t *testing.T) {
	for _, first := range []bool{true, false} {
		inBubble(t, func(t *testing.T) {
			node := &counting{Node: fakenode.New("node")}
			node.Set(fakenode.Faults{Forbidden: "bad"})
			l := New(node, new(received).note)
			defer l.Close(background)
			if first {
				l.Want("bad")
			}
			for i := range 10 {
				l.Want(fmt.Sprint("good", i))
			}
			if !first {
				synctest.Wait()
				l.Want("bad")
			}
			const looks = 1000
			joined := 0
			for range looks {
				time.Sleep(100 * time.Millisecond)
				synctest.Wait()
				if _, channels := node.Subscribed(); channels == 10 {
					joined++
				}
			}
			if joined < looks*98/100 {
				t.Errorf("the others were joined at %d of %d moments", joined, looks)
			}
			if n := node.subscribed.Load(); n > 10 {
				t.Errorf("%d connections in 100 s", n)
			}
		})
	}
}

// Many that are refused are not tried one by one.
func TestManyChannelsThatAreRefusedAreTriedTogether(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		node := &counting{Node: fakenode.New("node")}
		node.Set(fakenode.Faults{Forbidden: "bad"})
		l := New(node, new(received).note)
		defer l.Close(background)
		l.Want("good")
		synctest.Wait()
		const refused = 50
		for i := range refused {
			l.Want(fmt.Sprint("bad", i))
		}
		time.Sleep(time.Minute) // the first time each of them costs a connection
		before := node.subscribed.Load()
		time.Sleep(10 * time.Minute)
		if n := node.subscribed.Load() - before; n > 12 {
			t.Errorf("%d connections in ten minutes", n)
		}
	})
}

func TestAChannelThatIsAllowedLaterIsJoined(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		node, h := fakenode.New("node"), new(received)
		node.Set(fakenode.Faults{Forbidden: "bad"})
		l := New(node, h.note)
		defer l.Close(background)
		for i := range 5 {
			l.Want(fmt.Sprint("bad", i))
		}
		time.Sleep(10 * time.Minute)
		wantConnections(t, node, 0, 0)
		l.Want("good") // it does not wait until the others are tried again
		time.Sleep(maxPause + maxPause/2)
		wantConnections(t, node, 1, 1)
		node.Set(fakenode.Faults{Forbidden: "bad1"})
		// Chance decides which of the refused channels is asked for first.
		for range 20 {
			time.Sleep(maxExclusion + maxPause)
			if _, channels := node.Subscribed(); channels == 5 {
				break
			}
		}
		wantConnections(t, node, 1, 5)
		node.Set(fakenode.Faults{})
		time.Sleep(maxExclusion + maxPause)
		wantConnections(t, node, 1, 6)
		if len(h.events) == 0 {
			t.Error("nothing was heard")
		}
	})
}

// A name that is waited for many times is not refused each time.
func TestAChannelThatWasRefusedIsLeftOutForALaterListener(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		node := &counting{Node: fakenode.New("node")}
		node.Set(fakenode.Faults{Forbidden: "bad"})
		l := New(node, new(received).note)
		defer l.Close(background)
		l.Want("good")
		for range 20 {
			l.Want("bad")
			time.Sleep(time.Second)
			l.Drop("bad")
			time.Sleep(2 * time.Second)
		}
		if n := node.subscribed.Load(); n > 12 {
			t.Errorf("%d connections in a minute", n)
		}
	})
}
