package lease

import (
	"errors"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/internal/clock"
	"github.com/quorumlock/quorumlock/internal/quorum"
)

// noon is when the leases of these tests begin.
var noon = clock.Reading{Mono: time.Hour, Wall: time.Date(2020, 1, 1, 12, 0, 0, 0, time.UTC)}

// after is d later on both clocks, and then a suspend of the machine.
func after(d, suspended time.Duration) clock.Reading {
	return clock.Reading{Mono: noon.Mono + d, Wall: noon.Wall.Add(d + suspended)}
}

// terms have a validity of 10 s less 100 ms and 2 ms.
var terms = Terms{TTL: 10 * time.Second, Drift: 0.01}

const validity = 9898 * time.Millisecond

func begun(t Terms) (s state) {
	s.begin(t, noon)
	return s
}

func TestValidityIsCountedFromTheFirstSendByTheClockThatIsAhead(t *testing.T) {
	for _, c := range []struct {
		why           string
		passed, ahead time.Duration
		remaining     time.Duration
		until         time.Duration // after noon
	}{
		{"at once", 0, 0, validity, validity},
		{"a second later", time.Second, 0, validity - time.Second, validity},
		{"at the end", validity, 0, 0, validity},
		{"after a suspend", time.Second, 3 * time.Second, validity - 4*time.Second, validity - 3*time.Second},
		{"clocks that are read one after the other", time.Second, noise, validity - time.Second - noise, validity},
		{"a clock set back changes nothing", time.Second, -time.Hour, validity - time.Second, validity},
	} {
		s := begun(terms)
		now := after(c.passed, c.ahead)
		if got := s.remaining(now); got != c.remaining {
			t.Errorf("%s: %v remain, want %v", c.why, got, c.remaining)
		}
		if got := s.until(now).Sub(noon.Wall); got != c.until {
			t.Errorf("%s: until %v, want %v", c.why, got, c.until)
		}
	}
}

func TestMaxHoldBoundsValidityAndTTL(t *testing.T) {
	for _, c := range []struct {
		why        string
		hold, held time.Duration
		first      time.Duration // validity of the acquisition
		validity   time.Duration // of an extension, and with it its TTL
		err        error
	}{
		{"no bound", 0, 3 * time.Second, validity, validity, nil},
		{"a bound that is far", time.Minute, 3 * time.Second, validity, validity, nil},
		{"less than a TTL is left", 12 * time.Second, 8 * time.Second, validity, 4 * time.Second, nil},
		{"shorter than the TTL from the start", 5 * time.Second, 2 * time.Second, 5 * time.Second, 0, ErrMaxHold},
		{"nothing but noise to gain", validity + noise, time.Second, validity, 0, ErrMaxHold},
		{"a little more than noise", validity + 2*noise, time.Second, validity, validity + 2*noise - time.Second, nil},
	} {
		of := terms
		of.MaxHold = c.hold
		s := begun(of)
		if s.validity != c.first {
			t.Errorf("%s: validity %v, want %v", c.why, s.validity, c.first)
		}
		x, err := s.extension(after(c.held, 0))
		if err != c.err {
			t.Errorf("%s: error %v, want %v", c.why, err, c.err)
		}
		ttl := min(of.TTL, quorum.TTL(c.validity, of.Drift))
		if err == nil && (x.Validity != c.validity || x.TTL != ttl) {
			t.Errorf("%s: TTL %v and validity %v, want %v and %v", c.why, x.TTL, x.Validity, ttl, c.validity)
		}
	}
}

func TestOutcomeOfAnExtensionMovesTheDeadlineOnlyIfTheLeaseIsStillValid(t *testing.T) {
	refused := errors.New("no quorum")
	for _, c := range []struct {
		why              string
		ended            error
		answer           time.Duration // after the first send of the acquisition
		failure          error
		moves            bool
		mayHaveProlonged bool
	}{
		{"a majority agreed", nil, 5 * time.Second, nil, true, false},
		{"too few agreed", nil, 5 * time.Second, refused, false, true},
		{"answered after the old deadline", nil, validity, nil, false, false},
		{"failed after the old deadline", nil, validity, refused, false, false},
		{"ended meanwhile", ErrReleased, 5 * time.Second, nil, false, false},
	} {
		s := begun(terms)
		x, err := s.extension(after(4*time.Second, 0))
		if err != nil || x.Left != validity-4*time.Second {
			t.Fatalf("%s: %v left, %v", c.why, x.Left, err)
		}
		s.cause = c.ended
		s.extended(x, after(c.answer, 0), c.failure)
		want := validity
		if c.moves {
			want += 4 * time.Second
		}
		if got := s.until(after(c.answer, 0)).Sub(noon.Wall); got != want {
			t.Errorf("%s: until %v, want %v", c.why, got, want)
		}
		if s.mayHaveProlonged != c.mayHaveProlonged {
			t.Errorf("%s: partial %v, want %v", c.why, s.mayHaveProlonged, c.mayHaveProlonged)
		}
	}
}

func TestExpirySaysWhatKeptTheLeaseFromBeingExtended(t *testing.T) {
	refused := errors.New("no quorum")
	bounded := terms
	bounded.MaxHold = 5 * time.Second
	failed := begun(bounded)
	failed.extended(Extension{}, after(time.Second, 0), refused)
	again := failed
	again.extended(Extension{Sent: after(2*time.Second, 0), Validity: 3 * time.Second}, after(2*time.Second, 0), nil)
	for _, c := range []struct {
		s    state
		want string
	}{
		{begun(terms), "lock expired"},
		{begun(bounded), "lock expired: it was held for as long as WithMaxHold(5s) allows"},
		{failed, "lock expired; the last extension: no quorum"},
		{again, "lock expired: it was held for as long as WithMaxHold(5s) allows"},
	} {
		err := c.s.whyExpired()
		if err.Error() != c.want || !errors.Is(err, ErrExpired) {
			t.Errorf("error %q, want %q", err, c.want)
		}
	}
	if !errors.Is(failed.whyExpired(), refused) {
		t.Error("the cause does not match what the extension met")
	}
}

func TestResumedLeaseCountsTheTimeItWasHeldElsewhere(t *testing.T) {
	of := terms
	of.MaxHold = 20 * time.Second
	var s state
	ttl, err := s.resume(of, noon, 5*time.Second)
	if err != nil || ttl != of.TTL || s.remaining(noon) != validity || noon.Since(s.start) != 5*time.Second {
		t.Errorf("TTL %v, %v remain, held for %v, %v", ttl, s.remaining(noon), noon.Since(s.start), err)
	}
	if _, err := s.resume(of, noon, 16*time.Second); err != nil || s.remaining(noon) != 4*time.Second {
		t.Errorf("%v remain, %v", s.remaining(noon), err)
	}
	if _, err := s.resume(of, noon, 20*time.Second-noise); err != ErrMaxHold {
		t.Errorf("error %v", err)
	}
}
