package demo

import (
	"strings"
	"testing"
	"time"
)

func TestPlainLinesBeginWithATitleAndSayHowThingsStand(t *testing.T) {
	held, free, dark := exampleView(), exampleView(), exampleView()
	held.events, free.events, dark.events = nil, nil, nil
	free.elapsed, dark.elapsed = 14*time.Second, 16*time.Second
	free.holders, dark.holders = nil, nil
	dark.nodes[0].state = stopped
	var b strings.Builder
	out := newLines(&b)
	for _, v := range []view{held, free, dark} {
		out.show(v)
	}
	const want = `redlock demo: 6 workers, 5 masters, one lock, TTL 1.5 s, for 25.0 s
 12.3 s  worker-3 for 1.2 s, valid 0.9 s, on 3 of 5 nodes; 3 wait, 87 granted
 14.0 s  free just now; 3 of 5 nodes answer; 3 wait, 87 granted
 16.0 s  held by nobody; 2 of 5 nodes answer; 3 wait, 87 granted
`
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}

func TestPlainLinesHaveEightyColumns(t *testing.T) {
	v := exampleView()
	v.elapsed, v.tally.granted = 999*time.Second, 123_456
	v.holders = append(v.holders, holderView{worker: 4, since: 10 * time.Second, left: 10 * time.Second, held: 5})
	var b strings.Builder
	newLines(&b).show(v)
	for l := range strings.Lines(b.String()) {
		if len(l) > plainWidth+1 {
			t.Errorf("%d columns: %q", len(l)-1, l)
		}
	}
	if !strings.Contains(b.String(), "\n         ") {
		t.Errorf("no line was wrapped:\n%s", b.String())
	}
}
