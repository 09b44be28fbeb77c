package main

import "testing"

// Else it would be the size of the pool that is measured.
func TestNoWorkerWaitsForAConnectionToServersThatAreAway(t *testing.T) {
	for _, workers := range []int{1, 64, 512} {
		s := scenario{Nodes: 3, Workers: workers, Away: far}
		if got := s.connections(); got < workers {
			t.Errorf("%v: %d connections", s, got)
		}
		s.Away = 0
		if got := s.connections(); got > 64 {
			t.Errorf("%v: %d connections, and two cores keep 64 busy", s, got)
		}
	}
}
