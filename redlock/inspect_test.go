package redlock

import (
	"context"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/internal/fakenode"
)

func TestInspectNodesWaitsForAllAndSaysWhatEachHas(t *testing.T) {
	inBubble(t, 5, func(f *fixture) {
		for _, n := range f.nodes[:3] {
			n.Hold("job", dead, time.Minute)
		}
		f.nodes[2].Set(fakenode.Faults{ReplyDelay: 100 * time.Millisecond})
		f.nodes[4].Freeze()
		begun := time.Now()
		state, nodes, err := f.InspectNodes(context.Background(), "job")
		if took := time.Since(begun); took != 500*time.Millisecond {
			f.t.Errorf("it took %v, and the node timeout is 500ms", took)
		}
		if err != nil || state.String() != `"job" is held by dead on 3 of 5 nodes, for 1m0s if it is not extended; 0 wait` {
			f.t.Errorf("%v, %v", state, err)
		}
		for i, n := range nodes {
			want := NodeState{Node: f.nodes[i].String()}
			if i < 3 {
				want.Holder, want.TTL = "dead", time.Minute
			}
			if (n.Err != nil) != (i == 4) || n.Node != want.Node || n.Holder != want.Holder || n.TTL != want.TTL {
				f.t.Errorf("node %d: %+v", i, n)
			}
		}
		wantIs(f.t, nodes[4].Err, context.DeadlineExceeded)

		for _, n := range f.nodes[1:] {
			n.Freeze()
		}
		state, nodes, err = f.InspectNodes(context.Background(), "job")
		wantIs(f.t, err, ErrNoQuorum)
		if state != (State{}) || len(nodes) != 5 || nodes[0].Holder != "dead" || nodes[1].Err == nil {
			f.t.Errorf("%v, %v", state, nodes)
		}
		for _, n := range f.nodes {
			n.Thaw()
			n.Delete("job")
		}
		time.Sleep(time.Second)
	}, WithNodeTimeout(500*time.Millisecond))
}

// It has no holder, and that is no reason to believe that it can be had.
func TestALockThatNoClientCanGetIsReportedWithTheTimeOfItsEnd(t *testing.T) {
	for _, c := range []struct {
		left []time.Duration // keys of as many holders
		n    int
		want string
	}{
		{[]time.Duration{time.Minute, time.Second}, 3, `nobody can get "job" for 1s; no holder has a majority, and it is free on 1 of 3 nodes; 0 wait`},
		{[]time.Duration{time.Minute, time.Second, time.Hour}, 3, `nobody can get "job" for 1m0s; no holder has a majority, and it is free on 0 of 3 nodes; 0 wait`},
		{[]time.Duration{time.Minute, time.Second}, 5, `nobody holds "job": it is free on 3 of 5 nodes; 0 wait`},
		{[]time.Duration{time.Minute, time.Second}, 2, `nobody can get "job" for 1m0s; no holder has a majority, and it is free on 0 of 2 nodes; 0 wait`},
		{[]time.Duration{time.Second}, 2, `nobody can get "job" for 1s; no holder has a majority, and it is free on 1 of 2 nodes; 0 wait`},
		{[]time.Duration{200 * 365 * 24 * time.Hour, 200 * 365 * 24 * time.Hour}, 2, `nobody can get "job" until a key is deleted: some have no time to live; no holder has a majority, and it is free on 0 of 2 nodes; 0 wait`},
	} {
		inBubble(t, c.n, func(f *fixture) {
			for i, ttl := range c.left {
				f.nodes[i].Hold("job", newValue("dead"), ttl)
			}
			state, err := f.Inspect(context.Background(), "job")
			if err != nil || state.String() != c.want {
				f.t.Errorf("it says\n%v\nwant\n%v\n%v", state, c.want, err)
			}
		})
	}
}
