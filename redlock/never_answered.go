package redlock

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/quorumlock/quorumlock/internal/node"
)

// neverAnsweredAfter is how long a lock is waited for, while no majority has ever answered,
// until that is reported.
const neverAnsweredAfter = 5 * time.Second

// reach notes that a majority of nodes has answered: the Locker was set up well.
func (l *Locker) reach() {
	if !l.reached.Load() { // it is read only from then on
		l.reached.Store(true)
	}
}

// neverAnswered reports once that a call may wait for ever: its attempt failed with err, as all
// attempts of this Locker before it. A wait without an end returns no error that would say
// so, and a new service often has no logger yet. So without [WithLogger] the report goes to
// the default logger, as in net/http.
func (l *Locker) neverAnswered(r *request, o outcome) {
	err := o.err
	if !errors.Is(err, ErrNoQuorum) || o.Answers >= l.group.Majority() { // they may have been divided, or too late
		l.reach()
		return
	}
	if !r.waiter.Waits() || l.reached.Load() || l.quarantined(err) {
		return // a caller that does not wait gets the error
	}
	now := time.Now()
	if r.failing.IsZero() {
		r.failing = now
	}
	if r.telling == nil || advice(err, node.Remedy) != "" {
		r.telling = err // later ones may say no more than that nothing is sent to a node that never answers
	}
	waits := now.Sub(r.failing)
	if waits < neverAnsweredAfter || !l.complained.CompareAndSwap(false, true) {
		return
	}
	logger := l.logger
	if !l.config.loggerSet {
		logger = slog.Default()
	}
	about := []any{"name", r.name, "waits", waits.Round(time.Second), "err", r.telling, "remedy", advice(r.telling, node.Advice)}
	l.reports.add(func() {
		logger.WarnContext(context.WithoutCancel(r.values),
			"redlock: a lock is waited for, and no majority of the nodes has ever answered", about...)
	})
}

// quarantined reports whether a majority would answer without those that [WithRestartGuard]
// keeps out. They vote again by themselves, and at a time that is known.
func (l *Locker) quarantined(err error) bool {
	var q *QuorumError
	if !errors.As(err, &q) || q.Nodes == nil {
		return false
	}
	n := q.Granted
	for _, failed := range q.Nodes.Errors {
		if errors.Is(failed, ErrQuarantine) {
			n++
		}
	}
	return n >= q.Needed
}

// advice is what may be done about the nodes that failed, as of says it of each.
func advice(err error, of func(error) string) string {
	var q *QuorumError
	if !errors.As(err, &q) || q.Nodes == nil {
		return ""
	}
	var all []string
	for _, failed := range q.Nodes.Errors {
		if remedy := of(errors.Unwrap(failed)); remedy != "" && !slices.Contains(all, remedy) {
			all = append(all, remedy)
		}
	}
	return strings.Join(all, "; ")
}
