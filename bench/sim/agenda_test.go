package main

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestAnAgendaIsInOrderOfTimeAndThenOfWriting(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var a agenda
	var want, got []item
	for n := range 2000 {
		if random.IntN(3) > 0 {
			at := time.Duration(random.IntN(50))
			order := n
			a.add(at, false, func() { got = append(got, item{at: at, order: order}) })
			want = append(want, item{at: at, order: order})
			continue
		}
		at, some := a.next()
		if some != (len(want) > 0) {
			t.Fatalf("%d items are left, and there is a next one: %t", len(want), some)
		}
		if !some {
			continue
		}
		next := slices.MinFunc(want, func(x, y item) int { return cmp.Or(cmp.Compare(x.at, y.at), cmp.Compare(x.order, y.order)) })
		a.take().do()
		if last := got[len(got)-1]; last.at != at || last.order != next.order {
			t.Fatalf("took %v, want %v, which comes at %v", last, next, at)
		}
		want = slices.DeleteFunc(want, func(i item) bool { return i.order == next.order })
	}
}
