package demo

import (
	"testing"
	"time"
)

// states plays steps on paper and calls visit after each.
func states(steps []step, visit func(s step, state [nodeCount]nodeState, since [nodeCount]time.Duration)) {
	var state [nodeCount]nodeState
	var since [nodeCount]time.Duration
	for _, s := range steps {
		before := since
		for _, n := range s.nodes {
			switch s.do {
			case stop:
				state[n-1] = stopped
			case freeze:
				state[n-1] = frozen
			default:
				state[n-1] = up
			}
			since[n-1] = s.at
		}
		visit(s, state, before)
	}
}

// eachLength runs a test with the shortest demo, the standard one and the longest.
func eachLength(t *testing.T, test func(t *testing.T, d *Demo)) {
	for _, length := range []time.Duration{MinLength, standardLength, MaxLength} {
		t.Run(length.String(), func(t *testing.T) {
			d, err := New(length, false)
			if err != nil {
				t.Fatal(err)
			}
			defer d.close()
			test(t, d)
		})
	}
}

func TestTheScriptStaysInsideTheAssumptionsInADemoOfAnyLength(t *testing.T) {
	eachLength(t, func(t *testing.T, d *Demo) {
		states(d.steps(), func(s step, _ [nodeCount]nodeState, since [nodeCount]time.Duration) {
			for _, n := range s.nodes {
				switch down := d.scale(s.at - since[n-1]); {
				case s.do == forget:
					t.Errorf("at %v node %d forgets a lock", s.at, n)
				case s.do == startEmpty && down < 2*d.ttl:
					t.Errorf("at %v node %d is back empty, %v after it was stopped: not clearly more than the TTL of %v", s.at, n, down, d.ttl)
				}
			}
		})
	})
}

func TestADemoOfAnyLengthShowsTheSameStory(t *testing.T) {
	eachLength(t, func(t *testing.T, d *Demo) {
		if d.ttl < 1500*time.Millisecond {
			t.Errorf("the TTL is %v: a busy machine takes longer than a part of it to answer", d.ttl)
		}
		var at, away, long time.Duration
		times, ended := 0, [nodeCount]nodeState{}
		states(d.steps(), func(s step, state [nodeCount]nodeState, _ [nodeCount]time.Duration) {
			if s.at < at {
				t.Errorf("the step at %v comes after that at %v", s.at, at)
			}
			at, ended = s.at, state
			working := 0
			for _, n := range state {
				if n == up {
					working++
				}
			}
			if s.do == endLongJob {
				long = s.at
			}
			switch {
			case working < majority && away == 0:
				times, away = times+1, s.at
			case working >= majority && away > 0:
				if d.scale(long-away) < d.ttl+d.ttl/10 {
					t.Errorf("from %v the majority is away, and the job ends %v later: the holder may outlast that", away, d.scale(long-away))
				}
				if long > s.at {
					t.Errorf("from %v the majority is back, and the job that is to be lost goes on", s.at)
				}
				away = 0
			}
		})
		if times != 2 {
			t.Errorf("the majority was taken away %d times", times)
		}
		if ended != ([nodeCount]nodeState{}) || at > standardLength-2*time.Second {
			t.Errorf("at %v, the last step, the nodes are %v: want all up and time to see it", at, ended)
		}
	})
}
