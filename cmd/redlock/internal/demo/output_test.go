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
 12.3 s  held by worker-3 for 1.2 s, valid for 0.9 s, agreed by 3 of 5 nodes so far; 3 in line; 87 granted, 2 lost
 14.0 s  free just now; 3 of 5 nodes answer; 3 in line; 87 granted, 2 lost
 16.0 s  held by nobody; 2 of 5 nodes answer; 3 in line; 87 granted, 2 lost
`
	if b.String() != want {
		t.Errorf("got\n%swant\n%s", b.String(), want)
	}
}
