package redlock

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/quorumlock/quorumlock/internal/quorum"
	"github.com/quorumlock/quorumlock/internal/waiting"
)

// An Option configures a [Locker]. Every [LockOption] is one too: given to
// [New] it is the default for all locks of the Locker.
type Option interface{ applyLocker(*config) }

// A LockOption configures one lock, or, given to [New], all locks of a Locker.
type LockOption interface {
	Option
	applyLock(*settings)
}

// settings are what may differ from lock to lock.
type settings struct {
	ttl         time.Duration
	nodeTimeout time.Duration
	timeoutSet  bool // nodeTimeout does not follow from ttl
	retryMin    time.Duration
	retryMax    time.Duration
	maxTries    int
	maxWait     time.Duration
	maxHold     time.Duration
	minHold     time.Duration
	keepAlive   bool
	fair        bool
	fencing     bool
	tokenLife   time.Duration
	lease       time.Duration  // of a position in the wait queue; 0: follows from the others
	longest     time.Duration  // of WithRestartGuard, or 0
	pauses      waiting.Pauses // of a waiter; set by check
	waits       []string       // names of the given options that say how to wait
	bad         []error        // what is wrong with options by themselves
}

// config is the whole configuration of a Locker.
type config struct {
	settings
	drift  float64
	owner  string
	prefix string
	logger *slog.Logger
	trace  Trace

	loggerSet bool // by the user
}

const defaultTTL = 8 * time.Second

func defaults() config {
	return config{
		settings: settings{ttl: defaultTTL, retryMin: 50 * time.Millisecond, retryMax: 250 * time.Millisecond, tokenLife: 24 * time.Hour},
		drift:    0.01,
		owner:    defaultOwner(),
		logger:   slog.New(slog.DiscardHandler),
	}
}

func defaultOwner() string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "unknown"
	}
	return fmt.Sprintf("%s:%d", host[:min(len(host), maxLabel-20)], os.Getpid())
}

type lockOption func(*settings)

func (f lockOption) applyLocker(c *config) { f(&c.settings) }
func (f lockOption) applyLock(s *settings) { f(s) }

type lockerOption func(*config)

func (f lockerOption) applyLocker(c *config) { f(c) }

func (s *settings) refuse(format string, args ...any) {
	s.bad = append(s.bad, fmt.Errorf("redlock: "+format, args...))
}

const (
	minTTL = 10 * time.Millisecond
	maxTTL = 365 * 24 * time.Hour
)

// WithTTL sets the time to live: how long the nodes keep the lock if it is
// neither released nor extended, for instance because the process died. A lock
// is valid for a little less, see [Lock.Until]. The default is 8 s, the range is
// 10 ms to 365 days; fractions of a millisecond are rounded up on the nodes.
func WithTTL(d time.Duration) LockOption {
	return lockOption(func(s *settings) {
		if s.ttl = d; d < minTTL || d > maxTTL {
			s.refuse("WithTTL(%v): must be at least %v and at most %v", d, minTTL, maxTTL)
		}
	})
}

// WithNodeTimeout sets how long to wait for one node before its vote counts as
// failed. It must be positive and below the TTL.
//
// The default is TTL/16, at least 20 ms, at most 1 s, and never more than TTL/2. The
// default grows while nodes answer slowly: to twice the slowest answer of the last
// seconds, up to ten times the default and TTL/2. A timeout that is set does not grow.
func WithNodeTimeout(d time.Duration) LockOption {
	return lockOption(func(s *settings) {
		s.timeoutSet = true
		if s.nodeTimeout = d; d <= 0 {
			s.refuse("WithNodeTimeout(%v): must be above 0 and below the TTL", d)
		}
	})
}

// WithRetryDelay sets the pause between two attempts of [Locker.Lock], LockAsync and Do,
// and between two reads of [Locker.Watch]. Each pause is a random time from shortest to
// longest, so that contenders that collided do not collide again. A wake-up cuts a pause
// short. Without one, a free lock goes unnoticed for one pause at most. An attempt that
// took longer than the pause is followed by a pause of once to twice that time.
//
// The default is 50 ms to 250 ms. 0 < shortest <= longest is required.
func WithRetryDelay(shortest, longest time.Duration) LockOption {
	return lockOption(func(s *settings) {
		s.waits = append(s.waits, "WithRetryDelay")
		if s.retryMin, s.retryMax = shortest, longest; shortest <= 0 || longest < shortest {
			s.refuse("WithRetryDelay(%v, %v): must be above 0, the shortest first", shortest, longest)
		}
	})
}

// WithMaxTries bounds the number of attempts of [Locker.Lock]. The first attempt counts,
// and each one that follows a retry delay. Attempts after a wake-up do not count. For a
// waiter behind others of the same Locker every retry delay counts. The default, 0, is no
// bound: Lock tries until its context ends.
func WithMaxTries(n int) LockOption {
	return lockOption(func(s *settings) {
		s.waits = append(s.waits, "WithMaxTries")
		if s.maxTries = n; n < 0 {
			s.refuse("WithMaxTries(%d): must be at least 1, or 0 for no bound", n)
		}
	})
}

// WithMaxWait bounds how long [Locker.Lock] waits, as a deadline of its context does. The
// error then matches [context.DeadlineExceeded]. The default, 0, is no bound.
func WithMaxWait(d time.Duration) LockOption {
	return lockOption(func(s *settings) {
		s.waits = append(s.waits, "WithMaxWait")
		if s.maxWait = d; d < 0 {
			s.refuse("WithMaxWait(%v): must be above 0, or 0 for no bound", d)
		}
	})
}

// WithKeepAlive extends the lock in the background, every third of the TTL or a little
// sooner, until it is unlocked or lost, or the Locker closes. A renewal that fails is
// repeated as long as the lock is valid. Renewals stop at once when so many nodes deny
// the lock that no majority has it. [Locker.Do] keeps its lock alive without this option.
//
// At most 64 renewals of a Locker run at once. Late renewals
// are made as long as the lock is valid, so a Locker keeps at most 64 x TTL / round trip locks
// alive. Plan with half of that.
//
// A lock that is never unlocked is held for as long as the process lives. [WithMaxHold]
// bounds that.
func WithKeepAlive() LockOption {
	return lockOption(func(s *settings) { s.keepAlive = true })
}

// WithMaxHold bounds how long a lock is held in all, extensions included. Then the lock's
// context ends with [ErrExpired], and at about that time the keys expire. d must not be
// below the TTL. The default, 0, is no bound.
func WithMaxHold(d time.Duration) LockOption {
	return lockOption(func(s *settings) {
		if s.maxHold = d; d < 0 {
			s.refuse("WithMaxHold(%v): must be at least the TTL, or 0 for no bound", d)
		}
	})
}

// WithMinHold keeps the lock from others until d has passed since it was granted, also if
// it is unlocked before. An early [Lock.Unlock] leaves the keys on the nodes for the rest of
// d instead of deleting them. The lock is over for its holder all the same. Waiters are not
// notified when d has passed: a waiter finds that out within a retry delay, and a caller
// that does not wait gets [ErrTaken] until then.
//
// Use it for a job that is to run once per tick on many instances: a job of a millisecond
// is done before another instance, whose clock is behind, asks for the lock. Let d be
// longer than the clocks of the instances differ, and shorter than the time between two
// ticks by as much: half of that time is a good choice. Do not wait for the lock there:
// TryLock, or [Locker.Do] with [WithMaxTries](1).
//
// d counts by the clocks of the nodes. It does not matter what the clocks of the clients say,
// nor that they are set. If the process dies before Unlock, the keys live for the TTL, and
// no longer: choose a TTL ([WithTTL]) of d or more where that matters. A failed attempt and a
// request that was cancelled ([Pending.Cancel]) are deleted at once.
//
// The default, 0, is none. d is 365 days at most. It must not be above [WithMaxHold], nor
// above the longest TTL of [WithRestartGuard].
func WithMinHold(d time.Duration) LockOption {
	return lockOption(func(s *settings) {
		if s.minHold = d; d < 0 || d > maxTTL {
			s.refuse("WithMinHold(%v): must be above 0 and at most %v, or 0 for none", d, maxTTL)
		}
	})
}

// WithDriftFactor sets by which fraction the clock of a node may run faster or slower
// than the clock of this machine. The validity of every lock is shorter than its TTL by
// TTL x factor + 2 ms. The default is 0.01, the range is [0, 1).
func WithDriftFactor(f float64) Option {
	return lockerOption(func(c *config) {
		if c.drift = f; !(f >= 0 && f < 1) { // so that NaN is refused
			c.refuse("WithDriftFactor(%v): must be in [0, 1)", f)
		}
	})
}

const maxLabel = 128

// WithOwner sets the label that others see in their errors while this Locker holds a
// lock. It need not be unique. The default is host:pid. A label has 1 to 128 bytes of
// printable characters.
func WithOwner(label string) Option {
	return lockerOption(func(c *config) {
		c.owner = label
		if !isLabel(label) {
			c.refuse("WithOwner(%.40q): must be 1 to %d bytes of printable characters", label, maxLabel)
		}
	})
}

// WithPrefix sets the prefix of every key: the key of a lock is the prefix and its name.
// The default is no prefix. Then the keys are those of redsync, and both exclude each
// other.
func WithPrefix(prefix string) Option {
	return lockerOption(func(c *config) { c.prefix = prefix })
}

// WithLogger sets where the Locker reports what no error tells a caller:
//
//   - Warn: a lock was lost. Not reported if Do, Extend or Unlock returns the loss, or if
//     [Lock.Context] was asked for.
//   - Warn: the first of several failed renewals of a lock.
//   - Warn: a node fails. Info: it works again.
//   - Debug: an attempt failed.
//
// The default is no logger. A slow handler delays later reports, see [Trace], and no lock.
//
// One report needs no logger. It goes to [slog.Default], once for each Locker: a call has
// waited for a lock for five seconds, and no majority of the nodes has ever answered this
// Locker. Otherwise a wrong address would be a [Locker.Lock] that never returns and never
// says why. A logger with [slog.DiscardHandler] silences that report, too.
func WithLogger(l *slog.Logger) Option {
	return lockerOption(func(c *config) {
		if c.logger, c.loggerSet = l, true; l == nil {
			c.refuse("WithLogger(nil): leave the option out to log nowhere")
		}
	})
}

// WithTrace sets functions to call when something happens, for metrics.
func WithTrace(t *Trace) Option {
	return lockerOption(func(c *config) {
		if t == nil {
			c.refuse("WithTrace(nil): leave the option out to trace nothing")
			return
		}
		c.trace = *t
	})
}

// check completes the settings and reports everything that is wrong with them.
func (s *settings) check(drift float64) error {
	if s.bad != nil {
		return errors.Join(s.bad...)
	}
	if !s.timeoutSet {
		// 500 ms by default: go-redis repeats a refused dial for 400 ms before it says so.
		s.nodeTimeout = min(max(s.ttl/16, 20*time.Millisecond), time.Second, s.ttl/2)
	}
	if s.nodeTimeout >= s.ttl {
		s.refuse("WithNodeTimeout(%v): must be below the TTL of %s", s.nodeTimeout, s.ttlWords())
	}
	if s.longest > 0 && s.ttl > s.longest {
		s.refuse("WithRestartGuard(%v): must not be below the TTL of %s: guard for longer, or choose a shorter TTL", s.longest, s.ttlWords())
	}
	if s.maxHold > 0 && s.maxHold < s.ttl {
		s.refuse("WithMaxHold(%v): must not be below the TTL of %s", s.maxHold, s.ttlWords())
	}
	if s.maxHold > 0 && s.minHold > s.maxHold {
		s.refuse("WithMinHold(%v): must not be above WithMaxHold(%v)", s.minHold, s.maxHold)
	}
	if s.longest > 0 && s.minHold > s.longest {
		s.refuse("WithMinHold(%v): must not be above WithRestartGuard(%v): guard for longer, or hold for less", s.minHold, s.longest)
	}
	if quorum.Validity(s.ttl, drift) <= 0 {
		s.refuse("WithDriftFactor(%v): leaves no validity of a TTL of %s: choose a smaller factor or a larger TTL", drift, s.ttlWords())
	}
	if s.lease > 0 && s.lease < 4*s.nodeTimeout {
		s.refuse("WithPlaceLease(%v): must be at least %v, four times the node timeout", s.lease, 4*s.nodeTimeout)
	}
	s.pauses = waiting.Pauses{RetryMin: s.retryMin, RetryMax: s.retryMax, NodeTimeout: s.nodeTimeout, Lease: s.placeLease()}
	return errors.Join(s.bad...)
}

// patience is the longest timeout of a node while nodes are slow. A timeout that the user
// has set does not grow. Half of the validity must be left for the work.
func (s *settings) patience() time.Duration {
	if s.timeoutSet {
		return s.nodeTimeout
	}
	return min(10*s.nodeTimeout, s.ttl/2)
}

// ttlWords is the TTL for an error text. The user may not have chosen it.
func (s *settings) ttlWords() string {
	if s.ttl == defaultTTL {
		return s.ttl.String() + ", the default"
	}
	return s.ttl.String()
}

// placeLease is how long a position in the wait queue is kept.
func (s *settings) placeLease() time.Duration {
	if s.lease > 0 {
		return s.lease
	}
	return max(minLease, 4*s.nodeTimeout)
}

// with returns the settings of one call: the Locker's, which nothing writes to after New,
// or a copy that was changed by opts.
func (s *settings) with(opts []LockOption, drift float64) (*settings, error) {
	if len(opts) == 0 {
		return s, nil // checked by New
	}
	return s.changed(opts, drift)
}

// changed returns a copy of the settings that was changed by opts.
func (s settings) changed(opts []LockOption, drift float64) (*settings, error) {
	s.waits = nil
	for _, o := range opts {
		if o == nil {
			s.refuse("a LockOption is nil")
			continue
		}
		o.applyLock(&s)
	}
	return &s, s.check(drift)
}
