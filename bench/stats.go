package main

import (
	"cmp"
	"slices"
)

// percentile returns the smallest value that at least p percent of the sorted
// values do not exceed.
func percentile[T any](sorted []T, p int) T {
	rank := (len(sorted)*p + 99) / 100
	return sorted[max(rank, 1)-1]
}

// median returns the middle value, the lower one of two. It is 0 for none.
func median[T cmp.Ordered](values []T) T {
	if len(values) == 0 {
		var none T
		return none
	}
	return percentile(slices.Sorted(slices.Values(values)), 50)
}

// each collects one figure of every measurement.
func each[T any](ms []measurement, figure func(measurement) T) []T {
	all := make([]T, len(ms))
	for i, m := range ms {
		all[i] = figure(m)
	}
	return all
}

// pairwise divides ours by the peer's, round by round. Rounds in which the peer
// did nothing are left out.
func pairwise(ours, peer []float64) []float64 {
	var ratios []float64
	for i := range min(len(ours), len(peer)) {
		if peer[i] != 0 {
			ratios = append(ratios, ours[i]/peer[i])
		}
	}
	return ratios
}
