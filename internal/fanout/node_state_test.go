package fanout

import (
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/internal/node"
)

func TestSecondUnknownOutcomeDoesNotShortenTheFirst(t *testing.T) {
	now := time.Now()
	lost := node.Answer{At: now, Err: errNotWaitedFor}
	for _, s := range []*nodeState{
		func() *nodeState { s := new(nodeState); s.learn(node.Acquire, lost, 8*time.Second); return s }(),
		func() *nodeState {
			s := &nodeState{outstanding: 1}
			s.learnLate(node.Acquire, lost, 8*time.Second)
			return s
		}(),
	} {
		lost.At = now.Add(time.Second)
		s.learn(node.Acquire, lost, time.Second)
		s.learn(node.Extend, node.Answer{At: now, Status: node.Extended}, time.Second)
		if got := s.mayLiveUntil.Sub(now); got != 2*8*time.Second { // if it is set at the end of the unknown outcome
			t.Errorf("the key may live for %v, want 16s", got)
		}
		if got := s.unknownSince.Sub(now); got != time.Second || s.keyLifetime != 8*time.Second {
			t.Errorf("unknown for %v after %v, want 8s after 1s", s.keyLifetime, got)
		}
	}
}
