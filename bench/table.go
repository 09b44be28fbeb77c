package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// writeTable prints a scenario as Markdown.
func writeTable(w io.Writer, s scenario, all []*entry) {
	fmt.Fprintf(w, "\n### %v\n\n", s)
	fmt.Fprintln(w, "| client | library | cycles/s (quartiles) | ours/peer (quartiles) | Lock p50 / p99 / max | Unlock p50 / p99 / max | client CPU/cycle | ours/peer | allocs/cycle | B/cycle | failed |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|---|---|---|---|")
	for _, e := range all {
		ours := rival(e, all)
		row := []string{
			e.client, e.label(s),
			spread(each(e.rounds, measurement.rate), "%.0f"),
			ratio(ours, e, measurement.rate),
			e.latencies(func(m measurement) latencies { return m.Lock }),
			e.latencies(func(m measurement) latencies { return m.Unlock }),
			short(median(each(e.rounds, func(m measurement) time.Duration { return m.CPU }))),
			ratio(ours, e, cpu),
			fmt.Sprintf("%.0f", median(each(e.rounds, func(m measurement) float64 { return m.Allocs }))),
			fmt.Sprintf("%.0f", median(each(e.rounds, func(m measurement) float64 { return m.Bytes }))),
			e.failures(),
		}
		fmt.Fprintf(w, "| %s |\n", strings.Join(row, " | "))
	}
}

func cpu(m measurement) float64 { return float64(m.CPU) }

func (e *entry) label(s scenario) string {
	if e.healthy {
		return e.lib + ", before the freeze"
	}
	return e.lib
}

// rival returns ours on the same client under the same conditions, or nil for
// ours itself.
func rival(e *entry, all []*entry) *entry {
	if e.lib == ours {
		return nil
	}
	i := slices.IndexFunc(all, func(o *entry) bool {
		return o.lib == ours && o.client == e.client && o.healthy == e.healthy
	})
	return all[i]
}

// latencies are the medians of the rounds' p50 and p99, and the largest of all.
func (e *entry) latencies(of func(measurement) latencies) string {
	p50 := median(each(e.rounds, func(m measurement) time.Duration { return of(m).P50 }))
	p99 := median(each(e.rounds, func(m measurement) time.Duration { return of(m).P99 }))
	most := slices.Max(each(e.rounds, func(m measurement) time.Duration { return of(m).Max }))
	if most == 0 {
		return "-" // no call began in time
	}
	return short(p50) + " / " + short(p99) + " / " + short(most)
}

func (e *entry) failures() string {
	failed, first := 0, ""
	for _, m := range e.rounds {
		failed += m.Failed
		if first == "" {
			first = m.Error
		}
	}
	if failed == 0 {
		return "0"
	}
	const most = 80
	first = strings.NewReplacer("\n", "; ", "|", "/").Replace(first)
	return fmt.Sprintf("%d (%s)", failed, first[:min(len(first), most)])
}

// ratio is the median and the quartiles of ours/peer over the rounds.
func ratio(ours, peer *entry, figure func(measurement) float64) string {
	if ours == nil {
		return ""
	}
	return spread(pairwise(each(ours.rounds, figure), each(peer.rounds, figure)), "%.2f")
}

// spread is a median and, in brackets, the quartiles.
func spread(values []float64, format string) string {
	if len(values) == 0 {
		return "-"
	}
	sorted := slices.Sorted(slices.Values(values))
	return fmt.Sprintf(format+" ("+format+"-"+format+")", median(values), percentile(sorted, 25), percentile(sorted, 75))
}

// short writes a duration with three digits or so.
func short(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d >= 100*time.Millisecond:
		return d.Round(time.Millisecond).String()
	case d >= 10*time.Millisecond:
		return d.Round(100 * time.Microsecond).String()
	case d >= time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	}
	return d.Round(100 * time.Nanosecond).String()
}

// writeFreezeCost prints what a frozen server costs ours: p50 during the freeze
// over p50 before it, round by round.
func writeFreezeCost(w io.Writer, all []*entry) {
	for _, e := range all {
		if e.lib != ours || e.healthy {
			continue
		}
		before := all[slices.IndexFunc(all, func(o *entry) bool { return o.healthy && o.client == e.client })]
		lock := func(m measurement) float64 { return float64(m.Lock.P50) }
		unlock := func(m measurement) float64 { return float64(m.Unlock.P50) }
		fmt.Fprintf(w, "\nOurs on %s, p50 frozen / healthy: Lock %s, Unlock %s.\n", e.client,
			spread(pairwise(each(e.rounds, lock), each(before.rounds, lock)), "%.2f"),
			spread(pairwise(each(e.rounds, unlock), each(before.rounds, unlock)), "%.2f"))
	}
}

// writeGrowth says what more workers and more nodes do.
func writeGrowth(out *report, o options, results map[scenario][]*entry) error {
	if len(o.nodes) == 0 {
		return nil
	}
	fmt.Fprint(out, "\n### What more workers and more nodes do\n")
	for _, n := range o.nodes {
		if n == 1 || n == 3 {
			if err := out.throughput(n, o.workers, results); err != nil {
				return err
			}
		}
	}
	most := slices.Max(o.workers)
	fmt.Fprintf(out, "\nClient CPU per cycle of ours with %d workers, and the share of a node in it:\n\n| client | nodes | CPU/cycle | per node | cycles/s |\n|---|---|---|---|---|\n", most)
	for _, client := range o.clients {
		for _, n := range o.nodes {
			for _, e := range results[scenario{Nodes: n, Workers: most}] {
				if e.lib == ours && e.client == client {
					cpu := median(each(e.rounds, func(m measurement) time.Duration { return m.CPU }))
					fmt.Fprintf(out, "| %s | %d | %s | %s | %.0f |\n", client, n, short(cpu), short(cpu/time.Duration(n)), median(each(e.rounds, measurement.rate)))
				}
			}
		}
	}
	return nil
}
