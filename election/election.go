// Package election elects a leader among the processes that campaign under one name, on the
// masters of a [redlock.Locker]. The leader proclaims a value, which observers are told of and
// the next leader finds.
//
// A leadership is a lock of the same name, with a fencing token ([redlock.WithFencing]), in order
// of arrival ([redlock.WithFair]) and kept alive ([redlock.WithKeepAlive]). So all that is said
// about locks holds for it: at most one process leads as long as clocks run at about the same rate
// and masters forget nothing, and a leader that slept learns of its end from the Err of its context
// and from [Leadership.IsLeader], which read the clock. (Masters are what package redlock calls
// nodes.) What must not happen twice even then is to be protected by [Leadership.Term]: see package
// fence.
//
// What is proclaimed is kept on a majority under the name of the election. Only the holder of the
// lock can write it. A value that [Leadership.Proclaim] has returned nil for is found by the next
// leader ([Leadership.Previous]) and by every observer, or a later one is.
package election

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/quorumlock/quorumlock/internal/node"
	"github.com/quorumlock/quorumlock/internal/random"
	"github.com/quorumlock/quorumlock/internal/register"
	"github.com/quorumlock/quorumlock/redlock"
)

// MaxValue is how long a value may be, in bytes: 64 KiB.
const MaxValue = register.MaxText

// ErrNoLeader: nobody leads at present.
var ErrNoLeader = errors.New("nobody leads")

// An Election is a name that processes campaign under. It is safe for concurrent use, and needs
// no Close: it ends with its Locker.
type Election struct {
	locker    *redlock.Locker
	registers *register.Registers
	name      string
	options   []redlock.LockOption
}

// New returns the election of that name. The lock of the leader has the same name, so `redlock
// status` and [redlock.Locker.Inspect] show it. The options are those of the lock, the TTL for
// instance: a leader that died is followed by the next when the TTL has passed since it renewed its lock
// last, and the next has asked again. WithFencing, WithFair and WithKeepAlive are on. New sends nothing.
//
// The error says that locker is nil, or what is wrong with the name. A wrong option is the error
// of Campaign.
func New(locker *redlock.Locker, name string, opts ...redlock.LockOption) (*Election, error) {
	if locker == nil {
		return nil, errors.New("election: New needs a Locker, and got nil")
	}
	if name == "" {
		return nil, errors.New("election: New needs a name, and got an empty one")
	}
	registers := register.Of(locker)
	if _, err := registers.Key(name); err != nil {
		return nil, err
	}
	e := &Election{locker: locker, registers: registers, name: name}
	e.options = append(e.options, redlock.WithFencing(), redlock.WithFair(), redlock.WithKeepAlive())
	e.options = append(e.options, opts...)
	return e, nil
}

// Name returns the name of the election.
func (e *Election) Name() string { return e.name }

// Campaign waits until this process leads, and proclaims value, of up to [MaxValue] bytes, which
// replaces what the leader before has proclaimed ([Leadership.Previous] has that). So if a leader dies
// before its next Proclaim, what leaders before it have proclaimed is lost: what has to survive that
// belongs into a store. Campaigns of one name succeed in the order in which they began.
//
// The error is one that [redlock.Locker.Lock] returns: it matches ctx.Err() if ctx ended first, and
// [redlock.ErrClosed], and [redlock.ErrNoQuorum] if so many masters refuse for good that no majority is
// possible, or too few stored the first value. A value that is too long matches none of them, and nothing was sent. After an error this
// process does not lead. Its value may have been seen for a moment, if it had won the election
// before it failed.
func (e *Election) Campaign(ctx context.Context, value string) (*Leadership, error) {
	for {
		s, err := e.campaign(ctx, value, e.locker.Lock)
		if errors.Is(err, redlock.ErrNotHeld) && ctx.Err() == nil {
			continue // it was elected, and slept
		}
		return s, err
	}
}

// TryCampaign is Campaign that does not wait: if another process leads, or is being elected, the
// error matches [redlock.ErrTaken]. It matches [redlock.ErrNotHeld] if this process was elected, and
// slept until that was over. (Campaign tries again then.)
func (e *Election) TryCampaign(ctx context.Context, value string) (*Leadership, error) {
	return e.campaign(ctx, value, e.locker.TryLock)
}

type lockFunc func(ctx context.Context, name string, opts ...redlock.LockOption) (*redlock.Lock, error)

func (e *Election) campaign(ctx context.Context, value string, take lockFunc) (*Leadership, error) {
	if err := e.check("campaign", value); err != nil {
		return nil, err
	}
	lock, err := take(ctx, e.name, e.options...)
	if err != nil {
		return nil, err
	}
	s := newLeadership(e, lock)
	if err := s.begin(ctx, value); err != nil {
		s.giveUp(ctx)
		return nil, err
	}
	return s, nil
}

func (e *Election) check(op, value string) error {
	if len(value) > MaxValue {
		return fmt.Errorf("election: %s %q: the value has %d bytes, at most %d are allowed: proclaim where it can be found", op, e.name, len(value), MaxValue)
	}
	return nil
}

// Run campaigns like [Election.Campaign], and calls lead while this process leads. The context of
// lead ends when the leadership ends and when ctx ends. When lead has returned Run resigns, and
// not before: nobody else leads while lead still runs, unless the leadership was lost.
//
// Run returns the error of lead. If the leadership was lost while lead ran, what lead did may have
// overlapped with the next leader. Then the error matches [redlock.ErrLost], the cause of that
// ([redlock.ErrExpired] for instance), and the error of lead. If lead panics Run resigns and the
// panic goes on. Run leads once: a service calls it in a loop until its own context ends, see
// docs/recipes.md.
func (e *Election) Run(ctx context.Context, value string, lead func(ctx context.Context, s *Leadership) error) (err error) {
	s, err := e.Campaign(ctx, value)
	if err != nil {
		return err
	}
	s.runs = true
	stop := context.AfterFunc(ctx, func() { s.end(context.Cause(ctx)) })
	defer func() {
		stop()
		lost := s.lock.Context().Err() != nil
		cause := context.Cause(s.lock.Context())
		s.giveUp(ctx)
		if lost && !errors.Is(cause, redlock.ErrReleased) {
			err = errors.Join(err, fmt.Errorf("election: %q: %w: %w", e.name, redlock.ErrLost, cause))
		}
	}()
	return lead(s.ctx, s)
}

// Candidates returns how many callers wait in Campaign, in all processes. Its errors are those of
// [redlock.Locker.Inspect].
func (e *Election) Candidates(ctx context.Context) (int, error) { return e.locker.Waiters(ctx, e.name) }

// A Leader is what is known of the process that leads.
type Leader struct {
	Value  string // that it proclaimed last
	Holder string // its label, as given by [redlock.WithOwner]
	Term   uint64 // its fencing token, larger than that of each leader before
	Seq    uint64 // how many values it has proclaimed before this one
	// Confirmed is set if a majority of the masters has the value. It is not if they gave
	// different answers and refuse this user the right to write: then a later reader may find
	// an earlier value of this leader, or nobody.
	Confirmed bool
}

// leader is what a leader has proclaimed, without its Holder.
func leader(v register.Value) Leader {
	return Leader{Value: v.Text, Term: uint64(v.Version.Term), Seq: uint64(v.Version.Seq), Confirmed: v.Confirmed}
}

// Leader returns the process that leads, in one round trip, and in two if the masters give
// different answers. A process that was elected and has not proclaimed its first value yet does
// not lead. The answer may be outdated when it is read: only the leader itself can be sure.
//
// The error matches [ErrNoLeader] if nobody leads, [redlock.ErrNoQuorum] if too few masters
// answered within the node timeout to say so, ctx.Err() if ctx ended first, and
// [redlock.ErrClosed]. No right is needed that Inspect does not need, except to read
// "{name}:leader", and to write it where the masters give different answers: see Confirmed.
func (e *Election) Leader(ctx context.Context) (Leader, error) {
	led, err := e.registers.ReadLed(ctx, "read leader of", e.name, false)
	switch {
	case err != nil:
		return Leader{}, err
	case led.Version == node.Version{}:
		return Leader{}, fmt.Errorf("election: %q: %w", e.name, ErrNoLeader)
	}
	l := leader(led.Value)
	l.Holder = register.Label(led.Holder)
	return l, nil
}

// repeatPause is the longest pause before masters are asked again to confirm an election.
const repeatPause = 50 * time.Millisecond

// pause waits for a random time. It returns false if ctx or the leadership ends.
func (s *Leadership) pause(ctx context.Context) bool {
	timer := time.NewTimer(random.N(repeatPause))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
	case <-s.lock.Context().Done():
	}
	return false
}
