// Package demo shows a lock at work: workers compete for it while the nodes are
// stopped, frozen and restarted, and a referee watches. Then it shows an election: processes
// campaign, the leader is killed, and an observer watches.
package demo

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/quorumlock/quorumlock/redlocktest"
)

const key = "demo"

const workerCount = 6

// MinLength and MaxLength bound how long the part about the lock takes. A shorter script has a TTL
// that is too short for a busy machine. With the election all is over within a minute.
const (
	MinLength = 12 * time.Second
	MaxLength = 45 * time.Second
)

// A Demo is one run.
type Demo struct {
	length   time.Duration
	ttl      time.Duration
	sabotage bool
	cluster  *redlocktest.Cluster
	board    *board
	referee  *referee
	jobs     *jobs
	workers  []*worker
}

// New starts the nodes and connects the workers. The script takes length. With
// sabotage, nodes lose the key of a held lock: then two workers hold it, and the referee must notice.
func New(length time.Duration, sabotage bool) (*Demo, error) {
	cluster, err := redlocktest.Start(nodeCount)
	if err != nil {
		return nil, err
	}
	d := &Demo{length: length, sabotage: sabotage, cluster: cluster, referee: &referee{}}
	d.ttl = max(d.scale(standardTTL), leastTTL)
	d.jobs = &jobs{scale: d.scale}
	var names []string
	for i := range workerCount {
		names = append(names, fmt.Sprintf("worker-%d", i+1))
	}
	d.board = newBoard(names)
	for i, name := range names {
		w := &worker{number: i, name: name, board: d.board, referee: d.referee, jobs: d.jobs}
		d.workers = append(d.workers, w)
		if err := w.connect(context.Background(), cluster.Addrs(), d.ttl); err != nil {
			d.close()
			return nil, err
		}
	}
	return d, nil
}

// scale stretches a time of the script to the length of this demo.
func (d *Demo) scale(t time.Duration) time.Duration {
	return time.Duration(float64(t) * float64(d.length) / float64(standardLength))
}

// Run plays the script and shows it on stdout, as lines if asked to or if stdout
// is no terminal, until it is over or ctx ends. It returns with nothing left
// running.
func (d *Demo) Run(ctx context.Context, stdout io.Writer, lines bool) (Summary, error) {
	defer d.close()
	if err := d.play(ctx, stdout, lines); err != nil {
		return Summary{}, err
	}
	summary := d.summarize()
	if ctx.Err() == nil && !d.sabotage {
		short, cancel := context.WithTimeout(ctx, electionLength)
		defer cancel()
		var err error
		if summary.Leaders, err = elect(short, d.cluster.Addrs(), stdout); err != nil {
			return Summary{}, err
		}
		summary.voted = ctx.Err() == nil
	}
	return summary, nil
}

// play is the part about the lock.
func (d *Demo) play(ctx context.Context, stdout io.Writer, lines bool) error {
	ctx, cancel := context.WithTimeout(ctx, d.length)
	defer cancel()

	d.board.began = time.Now()
	var all sync.WaitGroup
	for _, w := range d.workers {
		all.Go(func() { w.run(ctx, key) }) // ends with ctx
	}
	failed := make(chan error, 1)
	all.Go(func() { // ends with ctx
		director := &director{cluster: d.cluster, board: d.board, jobs: d.jobs, scale: d.scale, key: key}
		if err := director.play(ctx, d.steps()); err != nil {
			failed <- err
			cancel()
		}
	})
	d.watch(ctx, newOutput(stdout, lines))
	d.jobs.endLong()
	all.Wait()
	d.settle()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

func (d *Demo) steps() []step {
	steps := slices.Clone(script)
	if d.sabotage {
		steps = append(steps, sabotage()...)
		slices.SortStableFunc(steps, func(a, b step) int { return int(a.at - b.at) })
	}
	return steps
}

// watch shows what happens until ctx ends.
func (d *Demo) watch(ctx context.Context, out output) {
	defer out.close()
	ticker := time.NewTicker(refresh)
	defer ticker.Stop()
	for {
		out.show(d.look(time.Now()))
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// settle lets the workers finish their pending releases, for at most as long as the keys take to
// expire. After an interruption nodes may be frozen.
func (d *Demo) settle() {
	for _, n := range d.cluster.Nodes() {
		n.Thaw()
	}
	ctx, cancel := context.WithTimeout(context.Background(), d.ttl)
	defer cancel()
	var all sync.WaitGroup
	for _, w := range d.workers {
		all.Go(func() { _ = w.close(ctx) }) // leftover keys are counted on the nodes
	}
	all.Wait()
}

// close ends what New started. It may be called after settle.
func (d *Demo) close() {
	over, cancel := context.WithCancel(context.Background())
	cancel()
	for _, w := range d.workers {
		_ = w.close(over)
	}
	d.cluster.Close()
}
