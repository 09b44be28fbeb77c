package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/quorumlock/quorumlock/redlock"
	"github.com/quorumlock/quorumlock/semaphore"
)

// A weight is what it takes to hold so many of a kind with keep-alive.
type weight struct {
	Kind       string
	Round      int
	Held       int
	Memory     int64 // growth of heap objects and stacks in use after a collection, in bytes
	Goroutines int   // of the process, median while they are held and renewed
	Renewed    int   // of those that were held
}

// A holding is a lock or a permit.
type holding interface {
	Context() context.Context
	Until() time.Time
}

var keptAlive = []redlock.LockOption{redlock.WithTTL(idleTTL), redlock.WithKeepAlive()}

// holdings are the kinds. take returns what takes the i-th of n. Up to 16 readers share a name, as
// permits share a semaphore. Those that are taken one after the other are of different ones, so that
// nobody is in the way.
var holdings = []struct {
	kind string
	take func(l *redlock.Locker, prefix string, n int) (func(i int) (holding, error), error)
}{
	{"locks", func(l *redlock.Locker, prefix string, n int) (func(i int) (holding, error), error) {
		return func(i int) (holding, error) {
			return l.Lock(context.Background(), fmt.Sprintf("%s:%d", prefix, i), keptAlive...)
		}, nil
	}},
	{"read locks, 16 to a name", func(l *redlock.Locker, prefix string, n int) (func(i int) (holding, error), error) {
		return func(i int) (holding, error) {
			return l.RLock(context.Background(), fmt.Sprintf("%s:read:%d", prefix, i%groups(n)), keptAlive...)
		}, nil
	}},
	{"permits, 16 to a semaphore", func(l *redlock.Locker, prefix string, n int) (func(i int) (holding, error), error) {
		all := make([]*semaphore.Semaphore, groups(n))
		for i := range all {
			var err error
			if all[i], err = semaphore.New(l, fmt.Sprintf("%s:slots:%d", prefix, i), slots); err != nil {
				return nil, err
			}
		}
		return func(i int) (holding, error) { return all[i%len(all)].Acquire(context.Background(), keptAlive...) }, nil
	}},
}

// groups is how many names or semaphores n holders need, 16 to each.
func groups(n int) int { return (n + slots - 1) / slots }

func weighKinds(nodes servers, o kindsOptions, raw *rawFile, out, progress io.Writer) error {
	weights := make([][]weight, len(holdings))
	for round := range o.weigh {
		for kind, h := range holdings {
			fmt.Fprintf(progress, "round %d of %d: %d held %s\n", round+1, o.weigh, o.held, h.kind)
			w, err := weigh(nodes, o, kind)
			if err != nil {
				return fmt.Errorf("held %s: %w", h.kind, err)
			}
			w.Round = round + 1
			weights[kind] = append(weights[kind], w)
			if err := raw.write(w); err != nil {
				return err
			}
		}
	}
	want := bound{limit: 1.1}
	for kind, h := range holdings[1:] {
		memory, goroutines := func(w weight) float64 { return float64(w.Memory) / float64(w.Held) }, func(w weight) float64 { return float64(w.Goroutines) }
		for _, f := range []struct {
			name   string
			of     func(weight) float64
			format string
		}{{"memory of each", memory, "%.0f B"}, {"goroutines of the process", goroutines, "%.0f"}} {
			held, locks := eachWeight(weights[kind+1], f.of), eachWeight(weights[0], f.of)
			ratios := pairwise(held, locks)
			fmt.Fprintf(out, "| %d held %s, %s | "+f.format+" | locks: "+f.format+" | %s | %v | %s |\n", o.held, h.kind, f.name,
				median(held), median(locks), spread(ratios, "%.2f"), want, yesNo(want.kept(ratios)))
		}
	}
	return nil
}

func eachWeight(all []weight, of func(weight) float64) []float64 {
	figures := make([]float64, len(all))
	for i, w := range all {
		figures[i] = of(w)
	}
	return figures
}

// weigh takes so many of a kind on a client of their own, looks at memory and goroutines, and sees
// that they are renewed.
func weigh(nodes servers, o kindsOptions, kind int) (w weight, err error) {
	before := runtime.NumGoroutine()
	locker, closeLocker, err := newOurs(goRedis, true, nodes.addrs(), poolSize(idleTakers))
	if err != nil {
		return w, err
	}
	defer func() {
		err = errors.Join(err, closeLocker())
		settle(before)
	}()
	// Connections, scripts and goroutines are there before the first look.
	warm, err := takeKind(locker, kind, "warm-up", min(o.held, 10*idleTakers))
	if err = errors.Join(err, giveBack(warm)); err != nil {
		return w, err
	}
	warm = nil
	memory := memoryInUse()
	held, err := takeKind(locker, kind, "held", o.held)
	defer func() { err = errors.Join(err, giveBack(held)) }()
	if err != nil {
		return w, err
	}
	w = weight{Kind: holdings[kind].kind, Held: o.held, Memory: memoryInUse() - memory}
	ends := make([]time.Time, len(held))
	for i, h := range held {
		ends[i] = h.Until()
	}
	var running []int
	for end := time.Now().Add(o.watch); len(running) == 0 || time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		running = append(running, runtime.NumGoroutine())
	}
	w.Goroutines = median(running)
	for i, h := range held {
		if err := h.Context().Err(); err != nil {
			return w, fmt.Errorf("%v was lost: %w", h, err)
		}
		// Until follows the wall clock, so it moves by microseconds by itself.
		if h.Until().Sub(ends[i]) > time.Second {
			w.Renewed++
		}
	}
	if o.watch >= idleWatch && w.Renewed < len(held) {
		return w, fmt.Errorf("%d of %d were renewed in %v", w.Renewed, len(held), o.watch)
	}
	return w, nil
}

func takeKind(l *redlock.Locker, kind int, prefix string, n int) ([]holding, error) {
	take, err := holdings[kind].take(l, prefix, n)
	if err != nil {
		return nil, err
	}
	held := make([]holding, n)
	return held, byTakers(n, func(i int) error {
		h, err := take(i)
		if err == nil {
			held[i] = h
		}
		return err
	})
}

func giveBack(held []holding) error {
	return byTakers(len(held), func(i int) error {
		switch h := held[i].(type) {
		case *redlock.Lock:
			return h.Unlock(context.Background())
		case *semaphore.Permit:
			return h.Release(context.Background())
		}
		return nil // none
	})
}
