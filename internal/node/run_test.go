package node

import (
	"context"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/internal/fakenode"
)

// A hook of the user's client may panic. The user may recover on the goroutine that called.
type panicky struct{ *fakenode.Node }

func (panicky) Bounded() {}

func (panicky) Do(context.Context, ...any) (any, error) { panic("a hook") }

func TestAPanicOnTheCallersGoroutineTakesNoWorker(t *testing.T) {
	n := New(panicky{fakenode.New("a")})
	deadline := MakeDeadline(context.Background(), time.Minute)
	func() {
		defer func() {
			if r := recover(); r != "a hook" {
				t.Errorf("the panic is %v", r)
			}
		}()
		_ = n.Run(&Call{Request: NewRequest(Acquire, NewEntry("k", "v"), time.Minute, WaiterFlag{}), Deadline: &deadline, Receiver: new(recorder)})
	}()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.workers != 0 {
		t.Errorf("%d workers are busy", n.workers)
	}
}
