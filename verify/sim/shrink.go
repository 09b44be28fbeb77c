package main

import "slices"

// shrink leaves out of a schedule what it still breaks the same rule without: halves of
// the events first, then quarters, in the end one at a time (ddmin, Zeller and Hildebrandt
// 2002), and what makes the rest simpler. Nothing else of the run changes by that, but
// for what follows from it: see luck.
func shrink(plan *schedule, breaks func(*schedule) bool) *schedule {
	try := func(change func(*schedule)) bool {
		next := *plan
		next.Events = slices.Clone(plan.Events)
		change(&next)
		if !breaks(&next) {
			return false
		}
		plan = &next
		return true
	}
	for again := true; again; {
		again = false
		for part := max(len(plan.Events)/2, 1); part >= 1; part /= 2 {
			for from := 0; from < len(plan.Events); {
				to := min(from+part, len(plan.Events))
				if try(func(p *schedule) { p.Events = slices.Delete(p.Events, from, to) }) {
					again = true
				} else {
					from = to
				}
			}
		}
	}
	for i := range plan.Events {
		try(func(p *schedule) { p.Events[i].KeepAlive = false })
		try(func(p *schedule) { p.Events[i].Patience = 0 })
		try(func(p *schedule) { p.Events[i].Pause = 0 })
		try(func(p *schedule) { p.Events[i].Fair, p.Fair = false, false })
	}
	for i := range plan.Clients {
		try(func(p *schedule) {
			p.Clients = slices.Clone(p.Clients)
			p.Clients[i] = clientSpec{Rate: p.Clients[i].Rate, NoSubscriber: true}
		})
	}
	try(func(p *schedule) { p.Pace.Odd = 1 })
	return plan
}
