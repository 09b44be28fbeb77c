package demo

import (
	"fmt"
	"io"
	"strconv"
	"time"
)

// A Summary is how a demo ended.
type Summary struct {
	Granted  int  // locks
	Lost     int  // because of faults
	Regained int  // losses followed by a grant
	Overlaps int  // moments with two holders
	Left     int  // nodes that still have the lock's key
	Broken   bool // the faults did not stay inside the assumptions

	Leaders      // the election
	voted   bool // it took place, and was not interrupted

	workers []workerState
	checked int
	found   []overlap
	began   time.Time
}

func (d *Demo) summarize() Summary {
	checked, overlaps := d.referee.verdict()
	v := d.look(time.Now())
	s := Summary{
		Granted: v.tally.granted, Lost: v.tally.lost, Regained: v.tally.regained,
		Overlaps: len(overlaps), Broken: d.sabotage,
		workers: v.workers, checked: checked, found: overlaps, began: d.board.began,
	}
	for _, n := range v.nodes {
		if n.holder != "" {
			s.Left++
		}
	}
	return s
}

// Write writes the summary.
func (s Summary) Write(w io.Writer) {
	lost := fmt.Sprintf("%d lost and regained", s.Lost)
	if s.Regained != s.Lost {
		lost = fmt.Sprintf("%d lost, %d of them regained", s.Lost, s.Regained)
	}
	fmt.Fprintf(w, "\n%s %s granted, %s, %d %s with two holders.\n\n", thousands(s.Granted),
		plural(s.Granted, "lock", "locks"), lost, s.Overlaps, plural(s.Overlaps, "moment", "moments"))
	for _, worker := range s.workers {
		fmt.Fprintf(w, "  %-9s asked %5s times, granted %5s, lost %d\n", worker.name, thousands(worker.asked), thousands(worker.granted), worker.lost)
	}
	fmt.Fprintf(w, "\nA referee that knows nothing of the lock compared all %s intervals, each from\n"+
		"the grant to the loss or the start of the release.\n", thousands(s.checked))
	for _, o := range s.found {
		fmt.Fprintf(w, "  at %.3f s: %s held the lock for %v while %s did\n",
			o.begin.Sub(s.began).Seconds(), o.second, o.end.Sub(o.begin).Round(time.Microsecond), o.first)
	}
	if s.Broken {
		fmt.Fprintln(w, assumptionsBroken)
	} else {
		fmt.Fprintln(w, assumptions)
	}
	switch s.Left {
	case 0:
		fmt.Fprintln(w, "No node has a key of the lock left.")
	default:
		fmt.Fprintf(w, "The key of the lock is left on %d %s, until it expires.\n", s.Left, plural(s.Left, "node", "nodes"))
	}
	if s.voted {
		s.Leaders.write(w)
	}
}

// write writes how the election ended.
func (l Leaders) write(w io.Writer) {
	switch {
	case l.Two > 0:
		fmt.Fprintln(w, "\nTWO LED AT THE SAME TIME.")
	case l.Forgotten > 0:
		fmt.Fprintln(w, "\nA LEADER DID NOT FIND THE LAST STEP OF THE LEADER BEFORE.")
	case l.AfterKill == 0 || l.AfterEnd == 0:
		fmt.Fprintln(w, "\nThe election was not over in time: this machine seems too busy.")
	default:
		fmt.Fprintf(w, "\n%d leaders, one after the other: %s after one was killed, %s after one\nresigned. Each found the last step of the leader before.\n",
			l.Elected, brief(l.AfterKill), brief(l.AfterEnd))
	}
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// thousands writes 1243 as 1,243.
func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
