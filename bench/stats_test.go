package main

import (
	"slices"
	"testing"
)

func TestPercentileIsTheSmallestValueThatIsEnough(t *testing.T) {
	hundred := make([]int, 100)
	for i := range hundred {
		hundred[i] = i + 1
	}
	for _, c := range []struct {
		sorted  []int
		p, want int
	}{
		{hundred, 50, 50},
		{hundred, 99, 99},
		{hundred, 100, 100},
		{[]int{7}, 50, 7},
		{[]int{7}, 99, 7},
		{[]int{1, 2, 3}, 50, 2},
		{[]int{1, 2, 3}, 99, 3},
		{[]int{1, 2}, 50, 1},
	} {
		if got := percentile(c.sorted, c.p); got != c.want {
			t.Errorf("percentile(%d values, %d) = %d, want %d", len(c.sorted), c.p, got, c.want)
		}
	}
}

func TestMedianDoesNotChangeTheOrderOfItsArgument(t *testing.T) {
	values := []float64{3, 1, 2}
	if got := median(values); got != 2 {
		t.Errorf("median is %v, want 2", got)
	}
	if !slices.Equal(values, []float64{3, 1, 2}) {
		t.Errorf("the argument is now %v", values)
	}
	if got := median[float64](nil); got != 0 {
		t.Errorf("median of none is %v, want 0", got)
	}
}

func TestRatiosAreTakenRoundByRound(t *testing.T) {
	// The machine became twice as slow after the first round: the ratio did
	// not change, and the ratio of the medians would say otherwise.
	got := pairwise([]float64{20, 10, 10}, []float64{10, 5, 0})
	if !slices.Equal(got, []float64{2, 2}) {
		t.Errorf("ratios are %v, want 2 and 2; a round without a peer is left out", got)
	}
}
