package fanout

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// Thousands of waiters for different locks may give up in one moment, while no
// node answers.
func TestLeavingTheWaitQueueCostsTheSameHoweverManyClaimsAreUnsettled(t *testing.T) {
	// The median of many, since the machine may be busy otherwise.
	leave := func(others int) time.Duration {
		g := NewGroup(nil, 0.01, 0, nil) // without nodes, only the bookkeeping takes time
		for i := range others {
			c := g.NewClaim(fmt.Sprint(i), fmt.Sprint("value", i), time.Second)
			c.flag.ID, c.flag.Position.Ticket, c.requeue = "me", 7, true
			g.track(c)
		}
		var took []time.Duration
		for i := range 501 {
			begun := time.Now()
			g.LeaveQueue("me", []string{fmt.Sprint(i)}, fmt.Sprint("leaves", i), time.Second, Position{7, time.Second})
			took = append(took, time.Since(begun))
		}
		slices.Sort(took)
		return took[len(took)/2]
	}
	if few, many := leave(1000), leave(30_000); many > 10*few {
		t.Errorf("%v among 1000, %v among 30,000", few, many)
	}
}

func TestRequeueIndexFindsTheClaimsOfAKeyAndForgetsThem(t *testing.T) {
	g := NewGroup(nil, 0.01, 0, nil)
	x := make(requeueIndex)
	var claims []*Claim
	for i := range 5 {
		c := g.NewClaim("job", fmt.Sprint(i), time.Second)
		claims = append(claims, c)
		x.add(c)
	}
	other := g.NewClaim("other", "value", time.Second)
	x.remove(other) // was never added
	x.add(other)
	left := "43210"
	for _, i := range []int{2, 4, 0, 1, 1, 3} { // from the middle, the front, the end, twice, the last
		found := ""
		for c := x[position{"", "job"}]; c != nil; c = c.older {
			found += c.entry.Value()
		}
		if found != left {
			t.Errorf("before %d: %q, want %q", i, found, left)
		}
		x.remove(claims[i])
		if at := strings.IndexByte(left, byte('0'+i)); at >= 0 {
			left = left[:at] + left[at+1:]
		}
	}
	if len(x) != 1 || x[position{"", "other"}] != other {
		t.Errorf("it still has %d keys", len(x))
	}
}
