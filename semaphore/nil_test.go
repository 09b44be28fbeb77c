package semaphore

import (
	"context"
	"errors"
	"testing"

	"github.com/quorumlock/quorumlock/redlock"
)

// Deferred calls are made of a permit that came with an error.
func TestEveryMethodOfNoPermitAnswers(t *testing.T) {
	var p *Permit
	ctx := context.Background()
	if p.Slot() != -1 || p.Token() != 0 || !p.Until().IsZero() || p.Context().Err() == nil || p.Lock() != nil || p.String() != "no permit" {
		t.Errorf("%d %d %v %v %v %q", p.Slot(), p.Token(), p.Until(), p.Context().Err(), p.Lock(), p)
	}
	for _, err := range []error{p.Extend(ctx), p.Release(ctx)} {
		if !errors.Is(err, redlock.ErrNotHeld) {
			t.Error(err)
		}
	}
}
