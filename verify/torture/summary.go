package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// A kindCount says how often faults of a kind happened.
type kindCount struct {
	Kind  kind
	Fired int
	Felt  int // faults of which there is evidence
	Times int // all evidence: late answers, pieces held, connections cut
}

func countKinds(faults []Fault) (all []kindCount) {
	for _, k := range order {
		c := kindCount{Kind: k}
		for _, f := range faults {
			if f.Kind != k || !f.Fired {
				continue
			}
			c.Fired++
			c.Times += f.Felt
			if f.Felt > 0 {
				c.Felt++
			}
		}
		if c.Fired > 0 || inside[k] > 0 {
			all = append(all, c)
		}
	}
	return all
}

// A clientCount says how one client fared.
type clientCount struct {
	Grants, Refusals, Losses int
	Held, Waited             time.Duration
}

func countClients(h *History) []clientCount {
	all := make([]clientCount, len(h.Run.Clients))
	for _, t := range h.Tries {
		c := &all[t.Client]
		c.Waited += t.Return - t.Call
		switch {
		case !t.granted():
			c.Refusals++
			continue
		case t.Lost != "":
			c.Losses++
		}
		c.Grants++
		c.Held += max(0, t.End-t.Return)
	}
	return all
}

// grantsByKind says how many grants of each kind there were, in a sentence.
func grantsByKind(h *History) string {
	var alone, down, several, readers, leaders, permits int
	for _, t := range h.Tries {
		switch {
		case !t.granted():
		case t.campaigned():
			leaders++
		case t.permitted():
			permits++
		case t.Reader:
			readers++
		case t.Names != nil:
			several++
		case t.Shared > 0:
			down++
			fallthrough
		default:
			alone++
		}
	}
	return fmt.Sprintf("%d of one lock, %d of them downgraded; %d of several at once; %d of readers; %d of leaders; %d permits", alone, down, several, readers, leaders, permits)
}

// troubles are faults that could not be carried out or reverted: then a run shows less than it
// says.
func troubles(faults []Fault) (texts []string) {
	for _, f := range faults {
		if f.Err != "" {
			texts = append(texts, fmt.Sprintf("%v: %s", f, f.Err))
		}
	}
	return texts
}

// unfencedLoss says what the lock alone could not keep, in a sentence.
func unfencedLoss(h *History) string {
	s := countWrites(h)
	return fmt.Sprintf("%d of %d updates of the unfenced resource were lost", s.lost(h.Finals, false), s.total().unfenced)
}

// summarize prints what the run showed, and returns the exit code.
func summarize(out io.Writer, o options, h *History, verdicts []Verdict) int {
	grants, losses := 0, 0
	for _, c := range countClients(h) {
		grants, losses = grants+c.Grants, losses+c.Losses
	}
	fmt.Fprintf(out, "seed %d: %d grants, %d of them ended before Unlock; %s\ngrants: %s\n\n", h.Run.Seed, grants, losses, unfencedLoss(h), grantsByKind(h))
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "fault\tfired\tfelt\ttimes")
	for _, c := range countKinds(h.Faults) {
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\n", c.Kind, c.Fired, c.Felt, c.Times)
	}
	table.Flush()
	fmt.Fprintln(out)
	code, excused := fine, false
	for _, v := range verdicts {
		fmt.Fprintf(out, "%s %-11s  %s: %s\n", v.Claim, strings.ToUpper(string(v.State)), v.Says, v.Detail)
		for i, m := range v.Marks {
			if i == 5 {
				fmt.Fprintf(out, "     and %d more\n", len(v.Marks)-i)
				break
			}
			fmt.Fprintf(out, "     at %.3fs: %s\n", m.Begin.Seconds(), m.Text)
		}
		switch {
		case v.State != violated:
		case !h.Run.claimed() && slices.Contains([]string{"I1", "I2", "E1", "E2", "S1", "S2", "S3"}, v.Claim):
			excused = true
		default:
			code = broken
		}
	}
	if excused {
		fmt.Fprintln(out, "\nServers forgot what they had acknowledged, and no guard was used: no lock on a majority survives that.")
	}
	if texts := troubles(h.Faults); len(texts) > 0 {
		fmt.Fprintf(out, "\n%d faults could not be carried out:\n", len(texts))
		for _, text := range texts {
			fmt.Fprintln(out, "    ", text)
		}
		if code == fine {
			code = useless
		}
	}
	if len(h.Run.Elections) > 0 {
		c := countKills(h, verdicts)
		fmt.Fprintf(out, "\n%v", c)
		if lacks := c.lacks(h.Run); lacks != "" {
			fmt.Fprintf(out, "\nThe run is worth less than it says: %s.\n", lacks)
			if code == fine {
				code = useless
			}
		}
	}
	file := o.history
	if o.replay != "" {
		file = o.replay
	}
	fmt.Fprintf(out, "\nhistory: %s, page: %s\n", file, o.report)
	return code
}
