package random

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func draw() (all []time.Duration) {
	for range 20 {
		time.Sleep(time.Millisecond)
		all = append(all, N(time.Hour))
	}
	return all
}

// inBubble draws where time begins anew.
func inBubble(t *testing.T) (all []time.Duration) {
	synctest.Test(t, func(*testing.T) { all = draw() })
	return all
}

func TestASeedSaysAllNumbersUntilItIsRestored(t *testing.T) {
	restore := Seed(7)
	first := inBubble(t)
	restore()
	free := inBubble(t)
	restore = Seed(7)
	again := inBubble(t)
	restore()
	defer Seed(8)()
	other := inBubble(t)
	if !slices.Equal(first, again) {
		t.Errorf("the same seed gave %v and %v", first, again)
	}
	if slices.Equal(first, free) {
		t.Errorf("without a seed the numbers were %v again", free)
	}
	if slices.Equal(first, other) {
		t.Errorf("another seed gave %v, too", other)
	}
	slices.Sort(first)
	if len(slices.Compact(first)) != 20 {
		t.Errorf("at 20 instants the numbers were %v only", slices.Compact(first))
	}
}

func TestNumbersAreBelowTheBound(t *testing.T) {
	for _, restore := range []func(){func() {}, Seed(1)} {
		for range 100 {
			if n := N[int64](3); n < 0 || n > 2 {
				t.Errorf("N(3) is %d", n)
			}
		}
		restore()
	}
}

type name string

func (n name) String() string { return string(n) }

func TestTimersAreKeptApartWhereThereIsASeedOnly(t *testing.T) {
	if d := Apart(name("a"), "x"); d != 0 {
		t.Errorf("without a seed it is %v", d)
	}
	defer Seed(1)()
	synctest.Test(t, func(*testing.T) {
		seen := make(map[time.Duration]bool)
		for _, node := range []name{"node1", "node2", "node3"} {
			for _, kind := range []string{"x", "y"} {
				d := Apart(node, kind)
				if d <= 0 || seen[d] {
					t.Errorf("%s, %s: %v, and before %v", node, kind, d, seen)
				}
				seen[d] = true
			}
		}
	})
}
