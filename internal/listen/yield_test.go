package listen

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorumlock/quorumlock/internal/fakenode"
	"github.com/quorumlock/quorumlock/pool"
)

func TestASubscriptionThatIsYieldedEndsAtOnceAndStaysAwayLongerEachTime(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		node := fakenode.New("node")
		l := New(node, new(received).note)
		defer l.Close(background)
		l.Yield() // there is no connection
		l.Want("a")
		wantConnections(t, node, 1, 1)
		for _, absence := range []time.Duration{1, 2, 4, 5, 5} {
			l.Yield()
			l.Yield() // of another command
			wantConnections(t, node, 0, 0)
			time.Sleep(absence*time.Second - time.Millisecond)
			wantConnections(t, node, 0, 0)
			time.Sleep(2 * time.Millisecond)
			wantConnections(t, node, 1, 1)
		}
		time.Sleep(time.Minute) // no failure
		l.Yield()
		time.Sleep(time.Second + time.Millisecond)
		wantConnections(t, node, 1, 1)
	})
}

func TestASubscriptionStaysAwayAsLongAsCommandsFindNoConnection(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		node := fakenode.New("node")
		l := New(node, new(received).note)
		defer l.Close(background)
		l.Want("a")
		for range 100 {
			l.Yield()
			time.Sleep(100 * time.Millisecond)
			wantConnections(t, node, 0, 0)
		}
		time.Sleep(time.Second)
		wantConnections(t, node, 1, 1)
	})
}

// A client without a connection for the subscription has none for commands either.
func TestASubscriptionThatFindsNoConnectionStaysAway(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		node := &full{Node: fakenode.New("node")}
		l := New(node, new(received).note)
		defer l.Close(background)
		l.Want("a")
		time.Sleep(time.Minute)
		synctest.Wait()
		if node.asked < 5 || node.asked > 15 {
			t.Errorf("it asked for a connection %d times in a minute", node.asked)
		}
	})
}

// full has no connection.
type full struct {
	*fakenode.Node
	asked int
}

func (f *full) Subscribe(context.Context) (pool.Subscription, error) {
	f.asked++
	return nil, fmt.Errorf("%w: %w: %w", pool.ErrNotSent, pool.ErrNoConn, errors.New("exhausted"))
}
