package demo

import (
	"strings"
	"testing"
	"time"
)

func TestTheSummarySaysHowItEnded(t *testing.T) {
	zero := time.Now()
	for want, s := range map[string]Summary{
		"1,243 locks granted, 3 lost and regained, 0 moments with two holders.":   {Granted: 1243, Lost: 3, Regained: 3},
		"1 lock granted, 1 lost, 0 of them regained, 0 moments with two holders.": {Granted: 1, Lost: 1},
		"2 locks granted, 0 lost and regained, 1 moment with two holders.":        {Granted: 2, Overlaps: 1},
		"The faults stayed inside the assumptions":                                {},
		"The faults did not stay inside the assumptions":                          {Broken: true},
		"The key of the lock is left on 2 nodes, until it expires.":               {Left: 2},
		"at 1.500 s: b held the lock for 20ms while a did":                        {began: zero, found: []overlap{{"a", "b", zero.Add(1500 * time.Millisecond), zero.Add(1520 * time.Millisecond)}}},
	} {
		var b strings.Builder
		s.Write(&b)
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in\n%s", want, b.String())
		}
		for l := range strings.Lines(b.String()) {
			if len(l) > 81 {
				t.Errorf("longer than 80 columns: %q", l)
			}
		}
	}
}
