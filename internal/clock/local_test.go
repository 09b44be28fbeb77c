package clock

import "testing"

func TestTheLocalClockIsTheSystemsUnlessASimulationSaysOtherwise(t *testing.T) {
	if Local() != (System{}) {
		t.Errorf("the local clock is %v", Local())
	}
	other := new(Fake)
	restore := SetLocal(other)
	if Local() != other {
		t.Errorf("the local clock is %v, not the one that was set", Local())
	}
	restore()
	if Local() != (System{}) {
		t.Errorf("after restore the local clock is %v", Local())
	}
}
