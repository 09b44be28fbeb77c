package fanout

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// Thousands who stand in line for locks of their own may give up in one moment, while no
// node answers.
func TestWhoLeavesALineCostsTheSameHoweverManyOthersLeave(t *testing.T) {
	// The median of many, since the machine may be busy with something else meanwhile.
	leave := func(others int) time.Duration {
		g := NewGroup(nil, 0.01, 0, nil) // without nodes nothing is left but the bookkeeping
		for i := range others {
			c := g.NewClaim(fmt.Sprint(i), fmt.Sprint("value", i), time.Second)
			c.flag.Line.Ticket, c.requeue = 7, true
			g.track(c)
		}
		var took []time.Duration
		for i := range 501 {
			begun := time.Now()
			g.LeaveQueue(fmt.Sprint(i), fmt.Sprint("leaves", i), time.Second, Position{7, time.Second})
			took = append(took, time.Since(begun))
		}
		slices.Sort(took)
		return took[len(took)/2]
	}
	if few, many := leave(1000), leave(30_000); many > 10*few {
		t.Errorf("%v among 1000, %v among 30,000", few, many)
	}
}

func TestABacklogFindsTheClaimsOfAKeyAndForgetsThem(t *testing.T) {
	g := NewGroup(nil, 0.01, 0, nil)
	b := make(requeueIndex)
	var claims []*Claim
	for i := range 5 {
		c := g.NewClaim("job", fmt.Sprint(i), time.Second)
		claims = append(claims, c)
		b.add(c)
	}
	other := g.NewClaim("other", "value", time.Second)
	b.remove(other) // it never was there
	b.add(other)
	left := "43210"
	for _, i := range []int{2, 4, 0, 1, 1, 3} { // from the middle, the front, the end, twice, the last
		found := ""
		for c := b["job"]; c != nil; c = c.older {
			found += c.lease.Value()
		}
		if found != left {
			t.Errorf("before %d: %q, want %q", i, found, left)
		}
		b.remove(claims[i])
		if at := strings.IndexByte(left, byte('0'+i)); at >= 0 {
			left = left[:at] + left[at+1:]
		}
	}
	if len(b) != 1 || b["other"] != other {
		t.Errorf("it still has %d keys", len(b))
	}
}
