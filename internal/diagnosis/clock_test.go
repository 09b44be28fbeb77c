package diagnosis

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/internal/node"
)

func TestClocksAreJudgedByTheirRateAndTheirJumpsAndNotByTheirTime(t *testing.T) {
	const allowed = 82 * time.Millisecond // 8 s, 1 %, 2 ms
	for name, c := range map[string]struct {
		clock func(f *node.Facts)
		want  Severity // with says
		says  string   // "" for no finding
	}{
		"right":             {func(*node.Facts) {}, Note, ""},
		"fast within drift": {func(f *node.Facts) { f.Samples = watched(time.Millisecond, 1.009) }, Note, ""},
		"slow within drift": {func(f *node.Facts) { f.Samples = watched(time.Millisecond, 0.991) }, Note, ""},
		"fast":              {func(f *node.Facts) { f.Samples = watched(time.Millisecond, 1.013) }, Error, "runs fast"},
		"fast, on a busy machine": {func(f *node.Facts) { // nothing is sure of the whole, and of two samples by chance
			f.Samples = watched(200*time.Microsecond, 1.05)
			f.Samples[0].Sent -= 22 * time.Millisecond
			f.Samples[19].Received += 22 * time.Millisecond
		}, Error, "runs fast"},
		"slow":                 {func(f *node.Facts) { f.Samples = watched(time.Millisecond, 0.98) }, Warning, "runs slow"},
		"too far to judge":     {func(f *node.Facts) { f.Samples = watched(40*time.Millisecond, 1.02) }, Note, "round trips are long"},
		"ahead":                {func(f *node.Facts) { set(f, 0, 5*time.Minute) }, Note, "5m0s ahead of that of n2"},
		"behind":               {func(f *node.Facts) { set(f, 0, -time.Hour) }, Note, "1h0m0s behind that of n0"},
		"a little ahead":       {func(f *node.Facts) { set(f, 0, 90*time.Millisecond) }, Note, ""},
		"jumps too far":        {func(f *node.Facts) { set(f, 10, allowed+2*time.Millisecond) }, Error, "jumped ahead by 83ms"},
		"jumps":                {func(f *node.Facts) { set(f, 10, allowed-time.Millisecond) }, Note, "jumped by 80ms"},
		"jumps at the end":     {func(f *node.Facts) { set(f, 19, time.Hour) }, Error, "jumped ahead by 1h0m0s"},
		"is set back":          {func(f *node.Facts) { set(f, 15, -10*time.Second) }, Warning, "set back by 10s"},
		"there and back again": {func(f *node.Facts) { set(f, 5, time.Second); set(f, 6, -time.Second) }, Error, "jumped ahead by 1s"},
		"unknown":              {func(f *node.Facts) { f.Samples = nil }, Note, ""},
	} {
		t.Run(name, func(t *testing.T) {
			all := healthy(3)
			c.clock(&all[1])
			var found []Finding
			for _, f := range others(Judge(all, settings)) {
				if f.Check != "latency" && f.Check != "clock" || f.Node != "n1" {
					t.Errorf("%v", f)
				}
				if f.Check == "clock" {
					found = append(found, f)
				}
			}
			switch {
			case c.says == "" && len(found) > 0:
				t.Errorf("found %v", found)
			case c.says != "" && (len(found) != 1 || found[0].Severity != c.want || !strings.Contains(found[0].Seen, c.says)):
				t.Errorf("want one %v that says %q, got %v", c.want, c.says, found)
			}
		})
	}
}

func TestARateIsKnownAsWellAsTheShortestRoundTripsAllow(t *testing.T) {
	samples := watched(time.Millisecond, 1.013)
	for _, i := range []int{0, 1, 10, 19} {
		samples[i].Sent -= 20 * time.Millisecond
		samples[i].Received += 20 * time.Millisecond
	}
	if low, high, ok := rate(samples); !ok || low < 1.01 || high > 1.016 {
		t.Errorf("it is between %v and %v", low, high)
	}
}

// Where in a round trip a clock is read is not known, and a busy machine makes some
// trips long: what is reported must hold for every such course.
func TestDelaysNeverReadAsAClockThatIsWrong(t *testing.T) {
	for seed := range uint64(2000) {
		random := rand.New(rand.NewPCG(seed, 1))
		all := healthy(2)
		for n := range all {
			at := time.Duration(0)
			for i := range all[n].Samples {
				trip := time.Duration(random.Int64N(int64(time.Millisecond)))
				if random.IntN(3) == 0 {
					trip = time.Duration(random.Int64N(int64(300 * time.Millisecond)))
				}
				read := at + time.Duration(random.Int64N(int64(trip+1)))
				all[n].Samples[i] = node.Sample{Sent: at, Received: at + trip, Clock: 1e9*time.Second + read}
				at += max(trip, 50*time.Millisecond)
			}
		}
		for _, f := range others(Judge(all, settings)) {
			if f.Check == "clock" && !strings.Contains(f.Seen, "is known to lie between") {
				t.Fatalf("seed %d: %v", seed, f)
			}
		}
	}
}
