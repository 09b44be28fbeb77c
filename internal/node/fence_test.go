package node

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorumlock/quorumlock/internal/fakenode"
)

// A client that does not know the time is refused. So it must learn the time even from a
// refusal that came too late for that attempt. A late answer never makes a known time worse.
func TestLateAnswerSetsTheTimeOnlyIfLessWasKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := fakenode.New("a")
		n := newNode(t, fake)
		refused := func(delay time.Duration) {
			fake.Set(fakenode.Faults{Uninterrupted: true, ReplyDelay: delay})
			deadline := MakeDeadline(context.Background(), timeout)
			entry := NewEntry("k", "v").Fenced(new(Fence), 0, time.Hour)
			var r recorder
			if err := n.Start(&Call{Request: NewRequest(Acquire, entry, ttl, WaiterFlag{}), Deadline: &deadline, Receiver: &r}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(delay + time.Millisecond)
			synctest.Wait()
			if late := len(r.late) > 0; late != (delay > timeout) {
				t.Fatalf("after %v: late %v", delay, late)
			}
		}
		behind := func() time.Duration { return time.Duration(time.Now().UnixMicro()-n.Micros()) * time.Microsecond }

		refused(2 * timeout)
		if got := behind(); got != 2*timeout {
			t.Errorf("its clock counts as %v behind, want %v", got, 2*timeout)
		}
		refused(timeout / 4)
		refused(2 * timeout)
		if got := behind(); got != timeout/4 {
			t.Errorf("its clock counts as %v behind, want %v", got, timeout/4)
		}
	})
}
