package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/quorumlock/quorumlock/election"
	"github.com/quorumlock/quorumlock/redlock"
)

var errImpatient = errors.New("its patience ended when it was elected")

// campaign campaigns in one of the ways that there are, and leads for a time if it is elected.
func (w *worker) campaign(rng *rand.Rand, t *Try) {
	ttl := w.Run.TTL
	between := func(shortest, longest time.Duration) time.Duration {
		return shortest + time.Duration(rng.Int64N(int64(longest-shortest)))
	}
	length := between(ttl/20, ttl)
	long := 1 // of four leaders
	if w.Run.Kills > 0 {
		long = 3 // most lead until they are killed
	}
	if rng.IntN(4) < long {
		length = between(ttl, ttl*6)
	}
	patience := between(ttl, ttl*4)
	how := rng.IntN(8)
	switch {
	case t.Mode == together:
		how = 7
	case t.Calm:
		how, patience, length = 0, calmBound(w.Run), ttl/500
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	impatient := time.AfterFunc(patience, cancel)
	defer impatient.Stop()

	e := w.elections[t.Name]
	t.Call = w.clock.now()
	t.Led = &Led{Value: w.valueOf(t, 0)}
	w.going(t)
	var s *election.Leadership
	var err error
	switch {
	case how < 3:
		t.Mode = "Campaign"
		s, err = e.Campaign(ctx, t.Led.Value)
	case how < 5:
		t.Mode = "Run"
		led := false
		err = e.Run(ctx, t.Led.Value, func(_ context.Context, s *election.Leadership) error {
			if !impatient.Stop() {
				return errImpatient // ctx ends, and so does this leadership
			}
			led = true
			t.Return = w.clock.now()
			w.lead(rng, t, s, length)
			return nil
		})
		if led {
			w.resigned(t, err)
			return
		}
	default:
		if t.Mode == "" {
			t.Mode = "TryCampaign"
		}
		s, err = e.TryCampaign(ctx, t.Led.Value)
		var q *redlock.QuorumError
		t.Led.Refused = errors.As(err, &q) && q.Op == "lock"
	}
	t.Return = w.clock.now()
	if err != nil {
		t.Err = err.Error()
		return
	}
	w.lead(rng, t, s, length)
	resign, cancelResign := context.WithTimeout(context.Background(), ttl)
	defer cancelResign()
	w.resigned(t, s.Resign(resign))
}

// lead proclaims one value after the other. It resigns when it returns, or before the time is
// over if it has lost the leadership.
func (w *worker) lead(rng *rand.Rand, t *Try, s *election.Leadership, length time.Duration) {
	t.Token, t.Until = s.Term(), w.clock.at(s.Until())
	if before, ok := s.Previous(); ok {
		t.Led.Previous = &Use{Value: before.Value, Term: before.Term, Seq: before.Seq}
	}
	w.going(t)
	ctx := s.Context()
	end := w.awaitEnd(ctx)
	said := time.Duration(0) // that it leads, last
	for n, done := 1, t.Return+length; w.clock.now() < done && ctx.Err() == nil && w.calm.Load() == t.Calm; n++ {
		w.proclaim(ctx, t, s, n)
		if rng.IntN(3) == 0 {
			w.readLeader(t.Client, t.Name)
		}
		if until := w.clock.at(s.Until()); until > t.Until {
			t.Until = until
			w.going(t)
		}
		rest := time.NewTimer(time.Duration(rng.Int64N(int64(w.Run.TTL / 10))))
		select {
		case <-ctx.Done():
		case <-rest.C:
		}
		rest.Stop()
		if at := w.clock.now(); s.IsLeader() {
			said = at
		}
	}
	end(t, s.Until())
	t.End = max(t.End, said)
}

func (w *worker) resigned(t *Try, err error) {
	t.Unlocked = w.clock.now()
	if err != nil {
		t.Denied = err.Error()
	}
}

// valueOf is the value of a leadership with this number. No two values of a run are the same.
func (w *worker) valueOf(t *Try, n int) string {
	return fmt.Sprintf("client %d life %d at %d, value %d", t.Client+1, w.Life+1, t.Call, n)
}

func (w *worker) proclaim(ctx context.Context, t *Try, s *election.Leadership, n int) {
	u := Use{Kind: proclaim, Client: t.Client, Name: t.Name, Value: w.valueOf(t, n), Term: t.Token, Seq: uint64(n), Begun: w.clock.now()}
	w.say(word{Asking: &u})
	err := s.Proclaim(ctx, u.Value)
	w.used(u, err)
}

func (w *worker) readLeader(client int, name string) {
	ctx, cancel := context.WithTimeout(context.Background(), w.Run.TTL)
	defer cancel()
	u := Use{Kind: leader, Client: client, Name: name, Begun: w.clock.now()}
	l, err := w.elections[name].Leader(ctx)
	if u.None = errors.Is(err, election.ErrNoLeader); u.None {
		err = nil
	}
	u.Value, u.Term, u.Seq, u.Confirmed = l.Value, l.Term, l.Seq, l.Confirmed
	w.used(u, err)
}

// used reports a use that is over.
func (w *worker) used(u Use, err error) {
	u.Done = w.clock.now()
	if err != nil {
		u.Err = err.Error()
	}
	w.say(word{Use: &u})
}
