package quorum

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

func TestMajoritiesAlwaysShareANode(t *testing.T) {
	for n := 1; n <= 99; n++ {
		m := Majority(n)
		if 2*m <= n {
			t.Errorf("n=%d: two sets of %d can be disjoint", n, m)
		}
		if 2*(m-1) > n {
			t.Errorf("n=%d: %d would do", n, m-1)
		}
	}
}

func TestOutcome(t *testing.T) {
	for _, c := range []struct {
		nodes, yes, no, failed int
		want                   Outcome
		why                    string
	}{
		{1, 0, 0, 0, Open, "nobody answered"},
		{1, 1, 0, 0, Won, "one node is its own majority"},
		{1, 0, 0, 1, Lost, "and its own minority"},
		{2, 1, 0, 0, Open, "half is no majority"},
		{2, 1, 1, 0, Lost, "a split vote of two is decided"},
		{3, 2, 0, 0, Won, "the third need not be waited for"},
		{3, 1, 1, 0, Open, "the third decides"},
		{3, 0, 1, 1, Lost, "the third cannot help"},
		{3, 1, 1, 1, Lost, "a failed node is not a yes"},
		{4, 2, 0, 0, Open, "half of four is no majority"},
		{4, 2, 2, 0, Lost, "a split vote of four"},
		{4, 3, 0, 0, Won, "three of four"},
		{5, 3, 2, 0, Won, "the bare majority"},
		{5, 2, 0, 2, Open, "the last node decides"},
		{5, 2, 0, 3, Lost, "three failed"},
	} {
		got := Tally{Nodes: c.nodes, Yes: c.yes, No: c.no, Failed: c.failed}.Outcome()
		if got != c.want {
			t.Errorf("%d yes, %d no, %d failed of %d: %v, want %v: %s", c.yes, c.no, c.failed, c.nodes, got, c.want, c.why)
		}
	}
}

// endings counts, by brute force, in how many ways the open answers can make
// the yes votes a majority or not.
func endings(t Tally) (majority, minority int) {
	open := t.Nodes - t.Yes - t.No - t.Failed
	for bits := range 1 << open {
		yes := t.Yes
		for i := range open {
			yes += bits >> i & 1
		}
		if 2*yes > t.Nodes {
			majority++
		} else {
			minority++
		}
	}
	return majority, minority
}

func TestOutcomeIsDecidedExactlyWhenTheOpenAnswersCannotChangeIt(t *testing.T) {
	eachTally(func(tally Tally) {
		majority, minority := endings(tally)
		want := Open
		switch {
		case minority == 0:
			want = Won
		case majority == 0:
			want = Lost
		}
		if got := tally.Outcome(); got != want {
			t.Errorf("%+v: %v, want %v", tally, got, want)
		}
	})
}

func TestDeniedAndUnreachableBlameTheRightSide(t *testing.T) {
	eachTally(func(tally Tally) {
		others := tally.Nodes - tally.No // if all others said yes
		if got, want := tally.Denied(), 2*others <= tally.Nodes; got != want {
			t.Errorf("%+v: Denied() = %v", tally, got)
		}
		others = tally.Nodes - tally.Failed
		if got, want := tally.Unreachable(), 2*others <= tally.Nodes; got != want {
			t.Errorf("%+v: Unreachable() = %v", tally, got)
		}
		if (tally.Denied() || tally.Unreachable()) && tally.Outcome() != Lost {
			t.Errorf("%+v: blamed but %v", tally, tally.Outcome())
		}
	})
}

func eachTally(f func(Tally)) {
	for n := 1; n <= 9; n++ {
		for yes := 0; yes <= n; yes++ {
			for no := 0; no <= n-yes; no++ {
				for failed := 0; failed <= n-yes-no; failed++ {
					f(Tally{n, yes, no, failed})
				}
			}
		}
	}
}

func TestADecidedVoteStaysDecided(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 10_000 {
		tally := Tally{Nodes: 1 + r.IntN(9)}
		before := Open
		for range tally.Nodes {
			switch r.IntN(3) {
			case 0:
				tally.Yes++
			case 1:
				tally.No++
			case 2:
				tally.Failed++
			}
			if now := tally.Outcome(); before != Open && now != before {
				t.Fatalf("%+v: %v after %v", tally, now, before)
			}
			before = tally.Outcome()
		}
		if before == Open {
			t.Fatalf("%+v: all answered and still open", tally)
		}
	}
}

func TestValidityWindows(t *testing.T) {
	for _, c := range []struct {
		ttl    time.Duration
		factor float64
		want   string
	}{
		{8 * time.Second, 0.01, "drift 82ms, valid 7.918s, alive 8.08280808s"},
		{10 * time.Millisecond, 0.01, "drift 2.1ms, valid 7.9ms, alive 12.10101ms"},
		{10 * time.Second, 0, "drift 2ms, valid 9.998s, alive 10.002s"},
		{10 * time.Millisecond, 0.9, "drift 11ms, valid -1ms, alive 102ms"},
		{365 * 24 * time.Hour, 0.999, "drift 8751h14m24.002s, valid 8h45m35.998s, alive 2562047h47m16.854775807s"},
	} {
		got := fmt.Sprintf("drift %v, valid %v, alive %v", Drift(c.ttl, c.factor), Validity(c.ttl, c.factor), Lifetime(c.ttl, c.factor))
		if got != c.want {
			t.Errorf("ttl %v, factor %v: %s, want %s", c.ttl, c.factor, got, c.want)
		}
	}
}

// A node whose clock is as fast as the drift allows must still carry the key
// when the validity ends, and one that is as slow must have dropped it when the
// lifetime ends.
func TestDriftCoversTheFastestAndTheSlowestClock(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 10_000 {
		ttl := 10*time.Millisecond + time.Duration(r.Int64N(int64(time.Hour)))
		factor := r.Float64() * 0.3
		fast := time.Duration(float64(ttl) / (1 + factor)) // our time until a fast clock has counted ttl
		if Validity(ttl, factor) >= fast {
			t.Fatalf("ttl %v, factor %v: validity ends after a fast node forgot", ttl, factor)
		}
		slow := time.Duration(float64(ttl) / (1 - factor))
		if Lifetime(ttl, factor) <= slow {
			t.Fatalf("ttl %v, factor %v: lifetime ends before a slow node forgot", ttl, factor)
		}
		if v := Validity(ttl, factor); Validity(TTL(v, factor), factor) < v {
			t.Fatalf("ttl %v, factor %v: TTL does not invert Validity", ttl, factor)
		}
	}
}
