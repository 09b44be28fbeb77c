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
	positionTTL time.Duration  // of a position in the wait queue; 0: follows from the others
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
	if s.positionTTL > 0 && s.positionTTL < 4*s.nodeTimeout {
		s.refuse("WithPlaceLease(%v): must be at least %v, four times the node timeout", s.positionTTL, 4*s.nodeTimeout)
	}
	s.pauses = waiting.Pauses{RetryMin: s.retryMin, RetryMax: s.retryMax, NodeTimeout: s.nodeTimeout, PositionTTL: s.placeLease()}
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
	if s.positionTTL > 0 {
		return s.positionTTL
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
