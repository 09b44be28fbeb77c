package random

import (
	"slices"
	"testing"
	"time"
)

func draw() (all []time.Duration) {
	for range 20 {
		all = append(all, N(time.Hour))
	}
	return all
}

func TestASeedSaysAllNumbersUntilItIsRestored(t *testing.T) {
	restore := Seed(7)
	first := draw()
	restore()
	free := draw()
	restore = Seed(7)
	again := draw()
	restore()
	if !slices.Equal(first, again) {
		t.Errorf("the same seed gave %v and %v", first, again)
	}
	if slices.Equal(first, free) {
		t.Errorf("without a seed the numbers were %v again", free)
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
