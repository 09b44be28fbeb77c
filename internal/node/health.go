package node

import "time"

// failPeriod is how long every call must have failed for a node to be reported.
const failPeriod = time.Second

// health notices that a node fails, to report it. What a node may hold, and whether anything is
// sent to it, is the circuit breaker's business: a server that refuses every command at once
// costs nothing and is of no use all the same.
type health struct {
	since    time.Time // of the first failure in a row; zero if the last call succeeded
	reported bool
	well     bool // a call has succeeded
}

// note records the answer to a call, and reports whether the state changed.
func (h *health) note(a *Answer) (changed bool) {
	switch {
	case a.Err == nil || wrongType(a.Err): // the fault of one key
		changed = h.reported
		*h = health{well: h.well || a.Err == nil}
	case h.since.IsZero():
		h.since = a.At
	case !h.reported && a.At.Sub(h.since) >= failPeriod:
		h.reported, changed = true, true
	}
	return changed
}
