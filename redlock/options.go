package redlock

import (
	"log/slog"
	"time"
)

// An Option configures a [Locker]. Every [LockOption] is one too: given to [New] it is
// the default for all locks of the Locker.
type Option interface{ applyLocker(*config) }

// A LockOption configures one lock, or, given to [New], all locks of a Locker. An
// option of a call replaces the one that was given to New. A call cannot switch off
// [WithFair], [WithFencing] or [WithKeepAlive]: that takes a Locker without them.
//
// Each option states its range and its default. 0 is allowed only where it says so, and
// a range without a largest value has none. A value outside its range is an error, and
// so are options that do not fit each other and an option that is nil. [New],
// [Locker.Lock], [Locker.TryLock] and [Locker.Do] return the error, and [Pending.Wait]
// does after [Locker.LockAsync]. It has a line for each such option, for example
//
//	redlock: WithTTL(1ms): must be at least 10ms and at most 8760h0m0s
//
// and matches none of the Err values of this package. Nothing was sent then. Options that
// say how to wait ([WithRetryDelay], [WithMaxTries], [WithMaxWait], [WithPlaceLease]) are
// an error of TryLock, too. Given to New they are not: there they are for Lock.
type LockOption interface {
	Option
	applyLock(*settings)
}

const (
	minTTL = 10 * time.Millisecond
	maxTTL = 365 * 24 * time.Hour
)

// WithTTL sets the time to live: how long the nodes keep the lock if it is neither
// released nor extended, for instance because the process died. A lock is valid for a
// little less, see [Lock.Until].
//
// d is 10 ms to 365 days. The default is 8 s. Fractions of a millisecond are rounded up
// on the nodes.
func WithTTL(d time.Duration) LockOption {
	return lockOption(func(s *settings) {
		if s.ttl = d; d < minTTL || d > maxTTL {
			s.refuse("WithTTL(%v): must be at least %v and at most %v", d, minTTL, maxTTL)
		}
	})
}

// WithNodeTimeout sets how long the answer of a node is waited for. After that the node
// counts as failed.
//
// d is above 0 and below the TTL. A timeout that is set stays as it is.
//
// The default is TTL/16, but at least 20 ms and at most 1 s, and never more than TTL/2.
// It is 500 ms with the default TTL. It grows while nodes answer slowly: to twice the
// slowest answer of the last seconds, but at most to ten times the value above, and to
// TTL/2. That is 4 s with the default TTL. A node that does not answer makes nothing
// grow.
//
// What is said to take a node timeout may take the grown one if it is an attempt,
// Extend, Unlock or Attach. Everything else counts by the value above.
func WithNodeTimeout(d time.Duration) LockOption {
	return lockOption(func(s *settings) {
		s.timeoutSet = true
		if s.nodeTimeout = d; d <= 0 {
			s.refuse("WithNodeTimeout(%v): must be above 0 and below the TTL", d)
		}
	})
}

// WithRetryDelay sets the pause between two attempts of [Locker.Lock], LockAsync and
// Do, and between two reads of [Locker.Watch]. Each pause is a random time from
// shortest to longest, so that callers that collided do not collide again. A wake-up
// ends a pause early. Without a wake-up a free lock goes unnoticed for one pause at
// most.
//
// There are two exceptions. After an attempt that took longer than the pause would, the
// pause is once to twice as long as the attempt. If longest and the node timeout are
// ten seconds or more together, a waiter that gets wake-ups asks every 5 s. Watch reads
// every 5 s at least.
//
// shortest is above 0, and longest is not below shortest. The default is 50 ms and 250
// ms.
func WithRetryDelay(shortest, longest time.Duration) LockOption {
	return lockOption(func(s *settings) {
		s.waits = append(s.waits, "WithRetryDelay")
		if s.retryMin, s.retryMax = shortest, longest; shortest <= 0 || longest < shortest {
			s.refuse("WithRetryDelay(%v, %v): must be above 0, the shortest first", shortest, longest)
		}
	})
}

// WithMaxTries bounds the number of attempts of [Locker.Lock], LockAsync and Do. The
// error is then that of the last attempt, [ErrTaken] or [ErrNoQuorum].
//
// n is at least 1, or 0 for no bound, which is the default.
//
// The first attempt counts, and each attempt after a full retry delay. An attempt that
// comes earlier does not count: after a wake-up, when the lock expires, or to repeat an
// attempt without a winner (see [Locker.TryLock]). A waiter that is not the head of its
// wait queue makes no attempts. For it each retry delay counts as one, and the error is
// that of the head's last attempt, or matches ErrTaken if a caller of the same queue
// holds the lock.
//
// With n = 1 a call makes one attempt, or none if it is not the head after one retry
// delay. Before the attempt the head may wait for up to another delay, if a waiter of
// another process comes first. Exception: with [WithFair] an attempt after a wake-up
// may come before it.
func WithMaxTries(n int) LockOption {
	return lockOption(func(s *settings) {
		s.waits = append(s.waits, "WithMaxTries")
		if s.maxTries = n; n < 0 {
			s.refuse("WithMaxTries(%d): must be at least 1, or 0 for no bound", n)
		}
	})
}

// WithMaxWait bounds how long [Locker.Lock], LockAsync and Do wait. The time counts from
// the call until the lock is granted: in the wait queue, during attempts and between
// them. The time in which the lock is held does not count. When d has passed, the error
// matches [context.DeadlineExceeded], and also the error of the last attempt, if there
// was one. The ctx of the caller has not ended then.
//
// d is above 0, or 0 for no bound, which is the default.
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
// the lock that no majority has it. [Locker.Do] keeps its lock alive without this
// option.
//
// At most 64 renewals of a Locker run at once, and the others wait. So keep at most 20
// x TTL / round trip locks alive: 160,000 with 8 s and 1 ms. With more, renewals come
// late. With three times as many, locks expire.
//
// A lock that is never unlocked is held for as long as the process lives. [WithMaxHold]
// bounds that.
func WithKeepAlive() LockOption {
	return lockOption(func(s *settings) { s.keepAlive = true })
}

// WithMaxHold bounds how long a lock is held in all, extensions included. It counts from
// just before the attempt that was granted. When d has passed, the lock's context has
// ended with [ErrExpired], and the keys expire soon after. An Extend that would gain
// nothing returns an error.
//
// d is at least the TTL, or 0 for no bound, which is the default.
func WithMaxHold(d time.Duration) LockOption {
	return lockOption(func(s *settings) {
		if s.maxHold = d; d < 0 {
			s.refuse("WithMaxHold(%v): must be at least the TTL, or 0 for no bound", d)
		}
	})
}

// WithMinHold keeps other callers from the lock until d has passed since it was
// granted, even if it is unlocked earlier. An early [Lock.Unlock] ends the lock for its
// holder, but the keys stay on the nodes for the rest of d. No wake-up says that d has
// passed: a waiter asks when the keys expire, as far as it knows when, and within a
// retry delay. Until d has passed, a caller that does not wait gets [ErrTaken].
//
// Exception: without an Unlock the keys live for the TTL, and no longer. So if the
// process may die, and that matters, choose a [WithTTL] of d or more.
//
// d is at most 365 days, and neither above [WithMaxHold] nor above the longest TTL of
// [WithRestartGuard], if these are set. The default, 0, is none.
//
// Use it for a job that is to run once per tick on many instances. A job of a
// millisecond is done before another instance, whose clock is behind, asks for the
// lock. Let d be longer than the clocks of the instances differ, and shorter than a
// tick by as much: half a tick is a good choice. Do not wait for the lock there: call
// TryLock, or [Locker.Do] with [WithMaxTries](1), which waits for two retry delays at
// most.
//
// d counts by the clocks of the nodes. The clocks of the clients may differ, and may be
// set. The keys of a failed attempt and of a cancelled request ([Pending.Cancel]) are
// deleted at once.
func WithMinHold(d time.Duration) LockOption {
	return lockOption(func(s *settings) {
		if s.minHold = d; d < 0 || d > maxTTL {
			s.refuse("WithMinHold(%v): must be above 0 and at most %v, or 0 for none", d, maxTTL)
		}
	})
}

// WithDriftFactor sets by which fraction the clock of a node may run faster or slower
// than the clock of this machine. The validity of every lock is shorter than its TTL by
// TTL x f + 2 ms.
//
// f is at least 0 and below 1, and must leave some validity of the TTL. The default is
// 0.01.
func WithDriftFactor(f float64) Option {
	return lockerOption(func(c *config) {
		if c.drift = f; !(f >= 0 && f < 1) { // so that NaN is refused
			c.refuse("WithDriftFactor(%v): must be in [0, 1)", f)
		}
	})
}

const maxLabel = 128

// WithOwner sets the label that others see in their errors while this Locker holds a
// lock. Several Lockers may have the same label.
//
// A label has 1 to 128 bytes of UTF-8, all of them printable characters or spaces
// ([unicode.IsPrint]). New refuses any other. The default is "host:pid".
func WithOwner(label string) Option {
	return lockerOption(func(c *config) {
		c.owner = label
		if !isLabel(label) {
			c.refuse("WithOwner(%.40q): must be 1 to %d bytes of printable characters", label, maxLabel)
		}
	})
}

// WithPrefix sets the prefix of every key: the key of a lock is the prefix and its
// name. [Locker.Lock] says which keys are refused.
//
// The default is no prefix. Then the keys are those of redsync, and a lock of redsync and
// one of this library exclude each other.
func WithPrefix(prefix string) Option {
	return lockerOption(func(c *config) { c.prefix = prefix })
}

// WithLogger sets where the Locker reports what no error tells a caller:
//
//   - Warn: a lock ended before its holder gave it up: it expired, or no majority has
//     it any more. Not reported if Do, Extend or Unlock returns that, or if
//     [Lock.Context] was called: then the holder knows. Trace.Lost is called all the
//     same.
//   - Warn: the first of several failed renewals of a lock.
//   - Warn: the release of Do was not confirmed; Close left locks that are still held.
//   - Warn: a node fails, or is the same server as another node. Info: a node works
//     again.
//   - Debug: an attempt failed.
//
// The default is no logger, and nil is an error. A slow handler delays later reports
// (see [Trace]), but no lock.
//
// One report is made without this option, too, once for each Locker, and then to
// [slog.Default]: a call has waited for a lock for five seconds, and no majority of the
// nodes has ever answered this Locker. Otherwise a wrong address would be a [Locker.Lock]
// that never returns and never says why. A logger with [slog.DiscardHandler] silences
// that report.
func WithLogger(l *slog.Logger) Option {
	return lockerOption(func(c *config) {
		if c.logger, c.loggerSet = l, true; l == nil {
			c.refuse("WithLogger(nil): leave the option out to log nowhere")
		}
	})
}

// WithTrace sets functions to call when something happens, for metrics. nil is an
// error.
func WithTrace(t *Trace) Option {
	return lockerOption(func(c *config) {
		if t == nil {
			c.refuse("WithTrace(nil): leave the option out to trace nothing")
			return
		}
		c.trace = *t
	})
}
