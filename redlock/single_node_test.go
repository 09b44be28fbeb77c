package redlock

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorumlock/quorumlock/internal/fakenode"
	"github.com/quorumlock/quorumlock/pool"
)

type boundedNode struct{ *fakenode.Node }

func (boundedNode) Bounded() {}

// The only node is asked on the goroutine of the waiting caller. A call that does not wait
// uses another one.
func TestACancelledCallDoesNotWaitForTheOnlyNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := fakenode.New("a")
		l, err := New([]pool.Pool{boundedNode{n}})
		if err != nil {
			t.Fatal(err)
		}
		granted := l.LockAsync(context.Background(), "job")
		<-granted.Done()
		n.Set(fakenode.Faults{Delay: 100 * time.Millisecond})
		begun := time.Now()
		granted.Cancel()
		if took := time.Since(begun); took != 0 {
			t.Errorf("cancelling a granted request takes %v", took)
		}
		if err := l.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}
