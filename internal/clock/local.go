package clock

import "sync/atomic"

// local is what a simulation put in place of System, or nil.
var local atomic.Pointer[Clock]

// Local is the clock of the machine that a Locker made now is on: [System], unless
// a simulation has several machines in one process.
func Local() Clock {
	if c := local.Load(); c != nil {
		return *c
	}
	return System{}
}

// SetLocal makes c the clock of what is made from now on, until restore.
func SetLocal(c Clock) (restore func()) {
	before := local.Swap(&c)
	return func() { local.Store(before) }
}
