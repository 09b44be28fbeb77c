package redlock

import (
	"context"
	"log/slog"
	"sync/atomic"
)

// sameServer returns what reports, once for each of n nodes, that it is the same server as
// another one.
func (l *Locker) sameServer(n int) func(i int) {
	reported := make([]atomic.Bool, n)
	return func(i int) {
		if !reported[i].CompareAndSwap(false, true) {
			return
		}
		name := l.group.Name(i)
		l.log(context.Background(), slog.LevelWarn, "redlock: node is the same server as another one, under a second name: it does not count; give each master once", "node", name)
		if l.trace.Same != nil {
			l.reports.add(func() { l.trace.Same(name) })
		}
	}
}
