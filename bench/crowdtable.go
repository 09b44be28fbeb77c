package main

import (
	"fmt"
	"io"
	"time"
)

// writeCrowded writes a table of a crowded scenario. Its reference is a queue without
// any waste: a lock is held for as long as it was, and a round trip later, which is the
// release, and one more, which is the next acquire, another one has it.
func writeCrowded(out io.Writer, s crowdedScenario, results map[string][]crowdedResult) {
	fmt.Fprintf(out, "\n### %v\n\n", s)
	fmt.Fprintln(out, "| library | locks/s (quartiles) | of a perfect queue | wait p50 / p99 / max | p99 to that of ours, fair | Jain index | failed |")
	fmt.Fprintln(out, "|---|---|---|---|---|---|---|")
	fair := crowdedP99(results[oursFair])
	for _, c := range crowdedContenders {
		rs := results[c.lib]
		var rates, share, jain []float64
		var p50, p99 []time.Duration
		var worst time.Duration
		failed, first := 0, ""
		for _, r := range rs {
			waits := r.waits()
			if len(waits) == 0 {
				waits = []time.Duration{0}
			}
			rates = append(rates, r.rate())
			share = append(share, r.rate()*(r.hold()+2*r.Trip).Seconds())
			jain = append(jain, r.jain())
			p50, p99 = append(p50, percentile(waits, 50)), append(p99, percentile(waits, 99))
			worst = max(worst, waits[len(waits)-1])
			n, text := r.failed()
			if failed += n; first == "" {
				first = text
			}
		}
		note := fmt.Sprint(failed)
		if first != "" {
			note += ": " + first
		}
		fmt.Fprintf(out, "| %s | %s | %.2f | %v / %v / %v | %.1f | %.3f | %s |\n", c.lib, spread(rates, "%.0f"), median(share),
			short(median(p50)), short(median(p99)), short(worst), median(pairwise(crowdedP99(rs), fair)), median(jain), note)
	}
	var trips, holds []time.Duration
	for _, r := range results[oursFair] {
		trips, holds = append(trips, r.Trip), append(holds, r.hold())
	}
	fmt.Fprintf(out, "\nHeld for %v, round trip %v (medians of the rounds of ours, fair). First come first served, without waste, %d workers wait %v each.\n",
		short(median(holds)), short(median(trips)), s.Workers, short(time.Duration(s.Workers-1)*(median(holds)+2*median(trips))))
}

func crowdedP99(rs []crowdedResult) (all []float64) {
	for _, r := range rs {
		if waits := r.waits(); len(waits) > 0 {
			all = append(all, percentile(waits, 99).Seconds())
		}
	}
	return all
}
