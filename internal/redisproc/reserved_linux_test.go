package redisproc

import (
	"testing"

	"github.com/quorumlock/quorumlock/internal/port"
)

func TestAKilledServerKeepsItsPortUntilItIsStopped(t *testing.T) {
	s := Start(t, Options{})
	for range 2 {
		s.Kill()
		if port.IsFree(s.Addr()) {
			t.Errorf("%s of a killed server is free", s.Addr())
		}
		if err := s.Restart(); err != nil {
			t.Fatal(err)
		}
	}
	s.Kill()
	s.Stop()
	if !port.IsFree(s.Addr()) {
		t.Errorf("%s of a stopped server is taken", s.Addr())
	}
}
