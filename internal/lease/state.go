package lease

import (
	"fmt"
	"time"

	"github.com/quorumlock/quorumlock/internal/clock"
	"github.com/quorumlock/quorumlock/internal/quorum"
)

// Terms are what a lease is asked for with.
type Terms struct {
	TTL     time.Duration // of the keys
	MaxHold time.Duration // from the acquisition on, 0 for no bound
	Drift   float64       // the drift factor, see package quorum
}

// noise is by how much two clocks of one machine may seem to differ only because
// they are read one after the other or are being slewed. What is less is not
// worth a result of Until that moves, an extension, or a look for a suspend.
const noise = time.Millisecond

// A state says how long a lease is valid, and why it ended. It is pure: every instant is
// an argument. An ended lease stays ended, whatever is answered later.
//
// The validity is quorum.Validity, the TTL less TTL x drift and 2 ms. It is counted from a reading
// before the first send of a round that a majority granted: Locker.attempt reads the clock for
// the acquisition, Locker.Attach for a lock that is handed over, Lease.Extension for an extension.
type state struct {
	terms            Terms
	start            clock.Reading // just before the first send of the acquisition
	sent             clock.Reading // just before the first send of what the validity is about
	validity         time.Duration // counted from sent
	cause            error         // why the lease ended; nil while it is held
	mayHaveProlonged bool          // the last extension failed, and may have prolonged keys beyond the validity
	failure          error         // of that extension
}

// begin sets the validity that an acquisition has if it is granted. The reading was taken
// before the first send: validity counted from any later moment can outlive the keys.
func (s *state) begin(terms Terms, start clock.Reading) {
	s.terms, s.start, s.sent = terms, start, start
	s.validity = s.capped(quorum.Validity(terms.TTL, terms.Drift))
}

// resume is begin of a lease that has been held elsewhere for a time. It returns the TTL
// to ask for, or ErrMaxHold if no validity can be had.
func (s *state) resume(terms Terms, sent clock.Reading, held time.Duration) (ttl time.Duration, err error) {
	s.terms, s.sent = terms, sent
	s.start = clock.Reading{Mono: sent.Mono - held, Wall: sent.Wall.Add(-held)}
	ttl, validity, bounded := s.prolonged(held)
	s.validity = validity
	if bounded && validity <= noise {
		return 0, ErrMaxHold
	}
	return ttl, nil
}

// remaining is how much validity is left.
func (s *state) remaining(now clock.Reading) time.Duration {
	return s.validity - now.Since(s.sent)
}

// until is the end of the validity window on the wall clock.
func (s *state) until(now clock.Reading) time.Time {
	until := s.sent.Wall.Add(s.validity)
	if ahead := now.Skew(s.sent); ahead > noise {
		until = until.Add(-ahead)
	}
	return until
}

// capped shortens a validity counted from s.sent so that it ends by the MaxHold.
func (s *state) capped(validity time.Duration) time.Duration {
	if s.terms.MaxHold == 0 {
		return validity
	}
	return min(validity, s.terms.MaxHold-s.sent.Since(s.start))
}

// prolonged returns the TTL for an extension sent when the lease has been held
// for the given time, and its validity. MaxHold bounds both.
func (s *state) prolonged(held time.Duration) (ttl, validity time.Duration, bounded bool) {
	ttl, validity = s.terms.TTL, quorum.Validity(s.terms.TTL, s.terms.Drift)
	if s.terms.MaxHold > 0 {
		if left := s.terms.MaxHold - held; left < validity {
			validity = left
			ttl = min(ttl, quorum.TTL(left, s.terms.Drift))
			bounded = true
		}
	}
	return ttl, validity, bounded
}

// An Extension is one round that starts the TTL anew.
type Extension struct {
	Sent     clock.Reading // before its first send
	TTL      time.Duration
	Validity time.Duration // from Sent, if a majority agrees
	Left     time.Duration // validity of the lease at Sent
}

// extension returns what to ask for in an extension that is sent now. The error is
// ErrMaxHold if it would not extend anything.
func (s *state) extension(sent clock.Reading) (Extension, error) {
	ttl, validity, bounded := s.prolonged(sent.Since(s.start))
	x := Extension{Sent: sent, TTL: ttl, Validity: validity, Left: s.remaining(sent)}
	if bounded && validity-x.Left <= noise { // two readings of the clock differ
		return x, ErrMaxHold
	}
	return x, nil
}

// extended notes the outcome of an extension. The old deadline was in force until now.
func (s *state) extended(x Extension, now clock.Reading, failure error) {
	switch {
	case s.cause != nil || s.remaining(now) <= 0:
		// It ended while the round was under way, and stays lost.
	case failure == nil:
		s.sent, s.validity, s.mayHaveProlonged = x.Sent, x.Validity, false
	default:
		s.mayHaveProlonged, s.failure = true, failure
	}
}

// whyExpired says what kept the lease from being extended, if anything did.
func (s *state) whyExpired() error {
	switch hold := s.terms.MaxHold; {
	case s.mayHaveProlonged:
		return fmt.Errorf("%w; the last extension: %w", ErrExpired, s.failure)
	case hold > 0 && s.capped(s.terms.TTL) < s.terms.TTL:
		return fmt.Errorf("%w: it was held for as long as WithMaxHold(%v) allows", ErrExpired, hold)
	}
	return ErrExpired
}

// endedByItself reports whether the lease was not given up. Then an acquire of unknown outcome
// may yet set a key, and an extension that did not reach a majority has prolonged some: such
// keys may outlive the lease. Keys of their first TTL just expire.
func (s *state) endedByItself() bool {
	return s.cause != ErrReleased && s.cause != ErrClosed && s.cause != ErrHandedOver
}
