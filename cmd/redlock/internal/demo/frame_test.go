package demo

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func exampleView() view {
	v := view{
		elapsed: 12300 * time.Millisecond, total: 25 * time.Second, ttl: 1500 * time.Millisecond,
		holders: []holderView{{worker: 2, since: 1200 * time.Millisecond, left: 900 * time.Millisecond, held: 3}},
		nodes:   []nodeView{{up, "worker-3"}, {stopped, "worker-3"}, {up, "worker-3"}, {frozen, ""}, {up, ""}},
		tally:   tally{granted: 87, lost: 2, regained: 1},
	}
	for i := range 6 {
		v.workers = append(v.workers, workerState{name: fmt.Sprintf("worker-%d", i+1), now: waits, asked: 15 + i, granted: 14 + i, lost: i % 2})
	}
	v.waiting = []int{4, 0, 5}
	for i := range 12 {
		v.events = append(v.events, event{at: time.Duration(i) * time.Second, kind: eventKind(i % 5), text: fmt.Sprintf("event %d, which is as long as the longest of them are, or a little longer", i), times: i})
	}
	return v
}

func views() map[string]view {
	free, two := exampleView(), exampleView()
	free.holders, free.waiting = nil, nil
	two.holders = append(two.holders, holderView{worker: 4, held: 5})
	two.overlaps = 1
	return map[string]view{"held": exampleView(), "free": free, "two holders": two, "empty": {ttl: time.Second}}
}

func TestAFrameFitsIntoAnyWindow(t *testing.T) {
	for name, v := range views() {
		for width := range 120 {
			for _, height := range []int{1, 5, 24, 50} {
				lines := frame(v, canvas{width: width, height: height, colours: true, glyphs: unicodeGlyphs})
				if len(lines) > height {
					t.Fatalf("%s at %dx%d: %d lines", name, width, height, len(lines))
				}
				for _, l := range lines {
					if n := utf8.RuneCountInString(l.ansi(false)); n > width {
						t.Fatalf("%s at %dx%d: %d columns: %q", name, width, height, n, l.ansi(false))
					}
				}
			}
		}
	}
}

// UPDATE_GOLDEN=1 writes the file anew.
func TestAFrameLooksAsItDid(t *testing.T) {
	const file = "testdata/frame.txt"
	var b strings.Builder
	for _, name := range []string{"held", "free", "two holders"} {
		fmt.Fprintf(&b, "=== %s\n", name)
		for _, l := range frame(views()[name], canvas{width: 80, height: 24, glyphs: unicodeGlyphs}) {
			b.WriteString(strings.TrimRight(l.ansi(false), " ") + "\n")
		}
	}
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

func TestWithoutColoursAFrameHasNoEscapes(t *testing.T) {
	for _, l := range frame(exampleView(), canvas{width: 80, height: 24, glyphs: asciiGlyphs}) {
		if s := l.ansi(false); strings.ContainsRune(s, '\x1b') || strings.ContainsAny(s, "█░■□") {
			t.Errorf("%q", s)
		}
	}
}

func TestInALowWindowEventsAreKeptAndTheWorkersLeftOut(t *testing.T) {
	for _, c := range []canvas{{width: 60, height: 20, glyphs: asciiGlyphs}, {width: 80, height: 18, glyphs: asciiGlyphs}} {
		var all strings.Builder
		for _, l := range frame(exampleView(), c) {
			all.WriteString(l.ansi(false) + "\n")
		}
		if !strings.Contains(all.String(), "event 11") || strings.Contains(all.String(), "WORKER") {
			t.Errorf("at %dx%d:\n%s", c.width, c.height, all.String())
		}
	}
}

func TestWorkersHaveColoursThatAreNoStates(t *testing.T) {
	for _, w := range workerStyles {
		for _, state := range []style{red, green, yellow, cyan, reverse} {
			if w == state || strings.HasSuffix(string(w), ";"+string(state)) {
				t.Errorf("a worker is shown in the colour of a state: %q", w)
			}
		}
	}
}
