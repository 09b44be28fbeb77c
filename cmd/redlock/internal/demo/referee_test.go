package demo

import (
	"testing"
	"time"
)

// A hold of the tables below: worker, beginning and end, in milliseconds.
type claim struct {
	worker     string
	begin, end int
}

func judge(claims []claim, finish []int) []overlap {
	zero := time.Now()
	at := func(ms int) time.Time { return zero.Add(time.Duration(ms) * time.Millisecond) }
	r := &referee{}
	for _, c := range claims {
		r.begin(c.worker, at(c.begin))
	}
	for _, i := range finish {
		r.finish(i, at(claims[i].end))
	}
	_, overlaps := r.verdict()
	return overlaps
}

func TestTheRefereeSeesTwoHoldersWhicheverEndsFirst(t *testing.T) {
	for name, claims := range map[string][]claim{
		"the second begins while the first holds": {{"a", 0, 100}, {"b", 99, 200}},
		"the second within the first":             {{"a", 0, 100}, {"b", 10, 20}},
		"both at once":                            {{"a", 0, 100}, {"b", 0, 100}},
		"a worker with itself":                    {{"a", 0, 100}, {"a", 50, 150}},
	} {
		for _, finish := range [][]int{{0, 1}, {1, 0}} {
			if got := judge(claims, finish); len(got) != 1 {
				t.Errorf("%s, ending in the order %v: %d overlaps, want 1", name, finish, len(got))
			}
		}
	}
}

func TestTheRefereeAcceptsHoldersOneAfterTheOther(t *testing.T) {
	claims := []claim{{"a", 0, 100}, {"b", 100, 200}, {"a", 250, 300}}
	for _, finish := range [][]int{{0, 1, 2}, {2, 1, 0}} {
		if got := judge(claims, finish); got != nil {
			t.Errorf("ending in the order %v: overlaps %v", finish, got)
		}
	}
}

func TestTheRefereeComparesEveryPairOnceAndNamesBothHolders(t *testing.T) {
	got := judge([]claim{{"a", 0, 100}, {"b", 40, 60}, {"c", 50, 120}}, []int{1, 0, 2})
	if len(got) != 3 {
		t.Fatalf("%d overlaps, want 3: a-b, a-c, b-c", len(got))
	}
	o := got[0]
	if o.first != "a" || o.second != "b" || o.end.Sub(o.begin) != 20*time.Millisecond {
		t.Errorf("the first overlap is %s and %s for %v, want a and b for 20ms", o.first, o.second, o.end.Sub(o.begin))
	}
}

func TestAHoldThatHasNotEndedIsNotJudged(t *testing.T) {
	if got := judge([]claim{{"a", 0, 100}, {"b", 50, 60}}, []int{1}); got != nil {
		t.Errorf("overlaps %v, but the end of a is unknown", got)
	}
}
