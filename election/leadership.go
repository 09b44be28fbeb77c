package election

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/quorumlock/quorumlock/internal/node"
	"github.com/quorumlock/quorumlock/internal/register"
	"github.com/quorumlock/quorumlock/redlock"
)

// A Leadership is the time in which this process leads. It is safe for concurrent use.
type Leadership struct {
	election *Election
	lock     *redlock.Lock
	writer   *register.Writer
	ctx      context.Context // that of the lock, and of Resign
	end      context.CancelCauseFunc
	previous Leader
	runs     bool          // it is that of Run, which resigns
	changed  chan struct{} // has room for one: a value was proclaimed

	mu       sync.Mutex // protects the rest
	value    string     // that was proclaimed last
	version  node.Version
	storedAt []node.Version // by node: what it is known to have
}

const (
	// retention is for how long the value of a leader is kept when it leads no more. A leader
	// prolongs it.
	retention = 24 * time.Hour
	// firstRepair is how long after a value was proclaimed the masters are asked again that have
	// not stored it. The pause doubles up to lastRepair.
	firstRepair = time.Second
	lastRepair  = time.Minute
)

func newLeadership(e *Election, lock *redlock.Lock) *Leadership {
	_, nodes := lock.Held()
	s := &Leadership{
		election: e, lock: lock, writer: register.WriterOf(lock),
		changed: make(chan struct{}, 1), storedAt: make([]node.Version, nodes),
	}
	ctx, end := context.WithCancelCause(lock.Context())
	s.ctx, s.end = leaderContext{ctx, lock.Context()}, end
	return s
}

// A leaderContext reads the clock when it is asked, as that of the lock does, which then ends
// this one, too. A process that slept would otherwise lead until a timer has run.
type leaderContext struct {
	context.Context
	lock context.Context
}

func (c leaderContext) Err() error {
	_ = c.lock.Err()
	return c.Context.Err()
}

func (c leaderContext) Done() <-chan struct{} {
	_ = c.lock.Done()
	return c.Context.Done()
}

// begin makes a lock that was granted a leadership: it reads what the leader before has left, and
// proclaims the first value. The value does not go with the acquisition: an attempt that is
// granted by one master only would show a leader that was never elected.
func (s *Leadership) begin(ctx context.Context, value string) error {
	e := s.election
	// Once only: a Proclaim that failed may have replaced what is read here.
	err := s.insist(ctx, func() error {
		former, err := e.registers.Former(ctx, "campaign", e.name, s.writer)
		if err == nil && former.Version != (node.Version{}) {
			s.previous = leader(former)
		}
		return err
	})
	if err == nil {
		err = s.insist(ctx, func() error { return s.Proclaim(ctx, value) })
	}
	if err == nil {
		go s.repair() // ends with the leadership
	}
	return err
}

// insist repeats what too few masters have answered, as long as this process leads.
func (s *Leadership) insist(ctx context.Context, do func() error) error {
	for {
		err := do()
		switch {
		case !errors.Is(err, redlock.ErrNoQuorum):
			return err
		case s.pause(ctx): // it still leads: once more
		case ctx.Err() != nil:
			return fmt.Errorf("election: campaign %q: %w: %w", s.election.name, ctx.Err(), err)
		default: // the term has ended
			return fmt.Errorf("election: campaign %q: %w: %w", s.election.name, redlock.ErrNotHeld, err)
		}
	}
}

// Context returns a context that ends when this process is no longer certain to lead, and with
// Resign. It has the values of the context that Campaign was called with, and does not end with
// that, except in [Election.Run]. [context.Cause] says why it ended.
func (s *Leadership) Context() context.Context { return s.ctx }

// Until returns until when this process certainly leads, if nothing prolongs that: see
// [redlock.Lock.Until].
func (s *Leadership) Until() time.Time { return s.lock.Until() }

// Term returns the fencing token of the leadership. The term of each later leader is larger: see
// [redlock.Lock.Token].
func (s *Leadership) Term() uint64 { return s.lock.Token() }

// Lock returns the lock of the leadership, for board.PublishAs for instance. Do not unlock it:
// Resign does.
func (s *Leadership) Lock() *redlock.Lock { return s.lock }

// IsLeader reports whether this process leads. It sends nothing. It reads the clock: a process
// that slept until its leadership was over is told so.
func (s *Leadership) IsLeader() bool { return s.ctx.Err() == nil }

// Previous returns what the leader before has proclaimed last, and whether there was one. (Its
// Holder is not known.) It is the last value for which Campaign or Proclaim returned nil there, or a
// later one for which they returned an error. It is kept for a day after the last leader.
func (s *Leadership) Previous() (Leader, bool) {
	return s.previous, s.previous.Term != 0
}

// Proclaim replaces the value of this leader, of up to [MaxValue] bytes, and notifies the
// observers, in one round trip. It returns nil when a majority has stored the value and this
// process still led then.
//
// The error matches [redlock.ErrNotHeld] if this process leads no more, [redlock.ErrNoQuorum] if
// too few masters stored it within the node timeout, and ctx.Err() if ctx ended first. The last two do
// not end the leadership. With any of these errors the value may be seen all the same, until a later one
// of this or of another leader takes its place. A value that is too long is an error that matches none of
// them, and nothing was sent. Calls wait for each other.
func (s *Leadership) Proclaim(ctx context.Context, value string) error {
	e := s.election
	if err := e.check("proclaim", value); err != nil {
		return err
	}
	if s.ctx.Err() != nil {
		return fmt.Errorf("election: proclaim %q: %w: %w", e.name, redlock.ErrNotHeld, context.Cause(s.ctx))
	}
	version, err := e.registers.Proclaim(ctx, e.name, s.writer, value, retention, s.stored)
	if err != nil {
		return err
	}
	s.mu.Lock()
	if version.Compare(s.version) > 0 { // of two at the same time the second may be done first
		s.value, s.version = value, version
	}
	s.mu.Unlock()
	select {
	case s.changed <- struct{}{}:
	default:
	}
	return nil
}

// stored notes that a node has a value.
func (s *Leadership) stored(i int, v node.Version) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v.Compare(s.storedAt[i]) > 0 {
		s.storedAt[i] = v
	}
}

// repair stores the last value where it lacks, and prolongs it, as long as this process leads.
func (s *Leadership) repair() {
	prolonged, next := time.Now(), firstRepair
	for {
		pause := retention / 4
		if lack, _, _ := s.lacking(); lack != nil {
			pause = next
			next = min(2*next, lastRepair)
		}
		timer := time.NewTimer(pause)
		select {
		case <-s.ctx.Done():
			timer.Stop()
			return
		case <-s.changed:
			timer.Stop()
			prolonged, next = time.Now(), firstRepair
			continue
		case <-timer.C:
		}
		lack, value, version := s.lacking()
		if time.Since(prolonged) >= retention/4 {
			lack, prolonged = nil, time.Now() // all of them
		} else if lack == nil {
			continue
		}
		e := s.election
		// An error is that of masters which are out of reach, and are asked again, or says that
		// this process leads no more.
		_ = e.registers.Renew(s.ctx, e.name, s.writer, version, value, retention, lack, s.stored)
	}
}

// lacking are the nodes that are not known to have the last value; nil if all have it.
func (s *Leadership) lacking() (lack []bool, value string, version node.Version) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, v := range s.storedAt {
		if v.Compare(s.version) < 0 {
			if lack == nil {
				lack = make([]bool, len(s.storedAt))
			}
			lack[i] = true
		}
	}
	return lack, s.value, s.version
}

// Resign ends the leadership: its context ends at once, and then the next candidate is elected.
// In [Election.Run] the next one is elected when lead has returned: there Resign only ends the context.
//
// The result is that of [redlock.Lock.Unlock]: nil if a majority has confirmed, and an error that
// matches [redlock.ErrNotHeld] if the leadership had ended before.
func (s *Leadership) Resign(ctx context.Context) error {
	s.end(redlock.ErrReleased)
	if s.runs {
		return nil
	}
	return s.lock.Unlock(ctx)
}

// giveUp resigns whether ctx has ended or not. A release that is not confirmed goes on.
func (s *Leadership) giveUp(ctx context.Context) {
	s.end(redlock.ErrReleased)
	_ = s.lock.Unlock(context.WithoutCancel(ctx))
}
