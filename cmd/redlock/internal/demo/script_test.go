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

func TestTheScriptStaysInsideTheAssumptions(t *testing.T) {
	states(script, func(s step, _ [nodeCount]nodeState, since [nodeCount]time.Duration) {
		for _, n := range s.nodes {
			switch {
			case s.do == forget:
				t.Errorf("at %v node %d forgets a lock", s.at, n)
			case s.do == startEmpty && s.at-since[n-1] < 2*standardTTL:
				t.Errorf("at %v node %d is back empty, %v after it was stopped: not clearly more than the TTL of %v", s.at, n, s.at-since[n-1], standardTTL)
			}
		}
	})
}

func TestTheScriptTakesTheMajorityAwayTwiceAndGivesItBack(t *testing.T) {
	var at, away time.Duration
	times, ended := 0, [nodeCount]nodeState{}
	states(script, func(s step, state [nodeCount]nodeState, _ [nodeCount]time.Duration) {
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
		switch {
		case working < majority && away == 0:
			times, away = times+1, s.at
		case working >= majority && away > 0:
			if s.at-away < standardTTL+standardTTL/2 {
				t.Errorf("from %v the majority is away for %v: the holder may outlast that", away, s.at-away)
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
}
