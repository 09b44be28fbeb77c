package redlock

import (
	"context"
	"log/slog"
	"runtime"
	"sync"
	"time"
)

// A reporter calls the user's logger and Trace. They may be slow, need a mutex that a caller
// of the Locker holds, or call the Locker. So no lock waits for them: they are called on one
// goroutine, one report after the other, in the order of the events. The goroutine lives as
// long as there are reports.
type reporter struct {
	logger *slog.Logger

	mu      sync.Mutex // protects the rest; no other is taken under it
	queue   []func()
	dropped int           // reports, since the queue was full
	done    chan struct{} // closed when the goroutine ends; nil if there is none
}

// maxReports bounds the reports that wait. As many locks may be lost in one moment.
const maxReports = 10_000

// add queues a report. Once the queue was full, what comes is dropped until the
// queue is empty and it was said how much that was: so it is said in its place.
func (r *reporter) add(report func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dropped > 0 || len(r.queue) == maxReports {
		r.dropped++
		return
	}
	r.queue = append(r.queue, report)
	if r.done == nil {
		r.done = make(chan struct{})
		go r.run() // ends when all reports are made
	}
}

func (r *reporter) run() {
	for report := r.next(); report != nil; report = r.next() {
		report()
	}
}

// next returns what to tell, or nil: then the goroutine that asks ends.
func (r *reporter) next() (report func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.queue) > 0 {
		report, r.queue[0] = r.queue[0], nil
		r.queue = r.queue[1:]
		return report
	}
	if n := r.dropped; n > 0 {
		r.dropped = 0
		return func() {
			r.logger.Warn("redlock: more reports were dropped: those before them were not taken in time", "dropped", n)
		}
	}
	r.queue = nil // let go of the array that was sliced away
	close(r.done)
	r.done = nil
	return nil
}

// wait waits until all reports are made, for no longer than patience, or until ctx ends. The
// caller may be a logger or a Trace that is called at present.
func (r *reporter) wait(ctx context.Context, patience time.Duration) {
	r.mu.Lock()
	done := r.done
	r.mu.Unlock()
	if done == nil {
		return
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// log queues a record for the logger, if its level is enabled.
func (l *Locker) log(ctx context.Context, level slog.Level, message string, args ...any) {
	if !l.logger.Enabled(ctx, level) {
		return
	}
	var caller [1]uintptr
	runtime.Callers(2, caller[:])
	record := slog.NewRecord(time.Now(), level, message, caller[0])
	record.Add(args...)
	l.reports.add(func() { _ = l.logger.Handler().Handle(ctx, record) })
}
