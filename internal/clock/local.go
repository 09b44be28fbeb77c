package clock

import "sync/atomic"

// local is the clock that a simulation set in place of System, or nil.
var local atomic.Pointer[Clock]

// Local is the clock for a Locker that is made now. It is [System], unless a simulation has
// several machines in one process.
func Local() Clock {
	if c := local.Load(); c != nil {
		return *c
	}
	return System{}
}

// SetLocal makes c the clock of Lockers that are made from now on, until restore.
func SetLocal(c Clock) (restore func()) {
	before := local.Swap(&c)
	return func() { local.Store(before) }
}
