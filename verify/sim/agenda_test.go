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
		at, some := a.next(0)
		if some != (len(want) > 0) {
			t.Fatalf("%d items are left, and there is a next one: %t", len(want), some)
		}
		if !some {
			continue
		}
		next := slices.MinFunc(want, func(x, y item) int { return cmp.Or(cmp.Compare(x.at, y.at), cmp.Compare(x.order, y.order)) })
		a.loud.take().do()
		if last := got[len(got)-1]; last.at != at || last.order != next.order {
			t.Fatalf("took %v, want %v, which comes at %v", last, next, at)
		}
		want = slices.DeleteFunc(want, func(i item) bool { return i.order == next.order })
	}
}

func TestWhatIsQuietWaitsForWhatIsLoudButNotForLong(t *testing.T) {
	var a agenda
	a.add(10, true, nil)
	a.add(12, true, nil)
	a.add(14, false, nil)
	steps := []struct {
		later, now, next time.Duration
		missed, due      bool
	}{
		{later: 2, now: 9, next: 12},
		{later: 2, now: 10, next: 12, missed: true},
		{later: 2, now: 11, next: 12, missed: true},
		{later: 50, now: 14, next: 14, missed: true, due: true},
	}
	for _, step := range steps {
		at, some := a.next(step.later)
		if !some || at != step.next || a.missed(step.now) != step.missed || a.due(step.now) != step.due {
			t.Errorf("%+v: next is %v, missed %t, due %t", step, at, a.missed(step.now), a.due(step.now))
		}
	}
	a.quiet.take()
	a.quiet.take()
	if a.missed(14) || a.empty() {
		t.Error("what is loud is taken for quiet, or for nothing")
	}
	a.add(14, true, nil) // written down later, for the same instant
	if a.missed(14) {
		t.Error("what was written down later comes first")
	}
}
