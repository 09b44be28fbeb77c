package redlock

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/quorumlock/quorumlock/internal/lease"
)

// A leased is a Lock as its lease sees it. See [lease.Lock] for when each method is called.
type leased Lock

// grant is what the lease of k is of.
func (k *Lock) grant(values context.Context, scoped bool) lease.Grant {
	return lease.Grant{Lock: (*leased)(k), Values: values, Scoped: scoped}
}

// terms are those of its lease.
func (l *Locker) terms(s *settings) lease.Terms {
	return lease.Terms{TTL: s.ttl, MaxHold: s.maxHold, Drift: l.config.drift}
}

// begin makes a granted lock known to its Locker.
func (l *Locker) begin(k *Lock) error {
	if !l.keeper.Hold(&k.lease, k.settings.keepAlive) {
		k.claim.RollBack()
		return fmt.Errorf("redlock: lock %q: %w", k.name, ErrClosed)
	}
	return nil
}

// Keys are what its claim has on the nodes.
func (h *leased) Keys() lease.Keys { return h.claim }

// Renew is an extension without a caller.
func (h *leased) Renew(ctx context.Context) error { return (*Lock)(h).extend(ctx, "extend", false) }

// RenewalFailed logs the first of several failed renewals in a row as a warning.
func (h *leased) RenewalFailed(err error, left time.Duration, again bool) {
	level := slog.LevelWarn
	if again {
		level = slog.LevelDebug
	}
	h.locker.log(h.lease.Values(), level, "redlock: renewal failed", "name", h.name, "left", left, "err", err)
}

// Ended rolls back what may outlive the lock, and gives its place up.
func (h *leased) Ended(rollBack bool) {
	if rollBack {
		h.claim.RollBack()
	}
	h.entry.Leave()
}

// Lost reports that the lock was lost. The logger gets a record if no caller
// knows of it.
func (h *leased) Lost(cause error, silent bool) {
	l := h.locker
	if !silent {
		l.log(h.lease.Values(), slog.LevelWarn, "redlock: lock lost", "name", h.name, "owner", l.config.owner, "cause", cause)
	}
	if l.trace.Lost != nil {
		l.reports.add(func() { l.trace.Lost(h.name, cause) })
	}
}

// Value is what a context that stems from that of the lock knows of it.
func (h *leased) Value(key any) any {
	switch key := key.(type) {
	case lockKey:
		return (*Lock)(h)
	case ofName:
		if key.locker == h.locker && (*Lock)(h).hasName(key.name) && h.lease.EndIfExpiredAsync() == nil {
			return (*Lock)(h)
		}
	}
	return nil
}
