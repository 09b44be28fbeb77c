package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/quorumlock/quorumlock/cmd/redlock/internal/child"
	"github.com/quorumlock/quorumlock/redlock"
	"github.com/quorumlock/quorumlock/semaphore"
)

// nodes opens the masters to lock on. With --embedded it has some of its own if there are no others.
func (r *runCommand) nodes() (*nodes, error) {
	if r.Embedded && len(r.Node) == 0 {
		n, err := embeddedElsewhere()
		if errors.Is(err, errNotEmbedded) {
			return embed()
		}
		return n, err
	}
	return r.open(", or try --embedded")
}

// Run takes the lock, runs the command, releases the lock and reports how that ended.
func (r *runCommand) Run(s *streams) error { return r.report(s, r.lock) }

// A work is what is done on the nodes: first it takes what the command needs.
type work func(*redlock.Locker, *job) error

// A job is the command, and what surrounds it.
type job struct {
	*streams
	signals <-chan os.Signal
	path    string // of the command's program
	argv    []string
}

// report does the work and writes to --status-fd how it ended.
func (r *runCommand) report(s *streams, do work) error {
	status, err := openStatus(r.StatusFD)
	if err != nil {
		return err
	}
	end := r.prepare(s, do)
	if err := status.write(end); err != nil {
		s.say.Printf("warning: %v", err)
	}
	return end
}

// prepare finds the command and the nodes, does the work, and settles.
func (r *runCommand) prepare(s *streams, do work) error {
	argv := r.argv()
	var path string
	if len(r.Command) > 0 {
		var err error
		if path, err = lookup(argv); err != nil {
			return err // before it takes a lock that others wait for
		}
	}
	signals := make(chan os.Signal, 16)
	child.Notify(signals)
	// The reader of stderr may be gone. SIGPIPE must not end this process before the command.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	defer signal.Stop(signals)

	nodes, err := r.nodes()
	if err != nil {
		return err
	}
	defer nodes.close()
	if n := len(nodes.pools); n%2 == 0 && !r.Quiet {
		s.say.Printf("warning: %d nodes survive no more failures than %d: add one, or leave one out", n, n-1)
	}
	if r.Owner == "" {
		r.Owner = defaultOwner()
	}
	journal := newJournal(s.say)
	slog.SetDefault(slog.New(journal)) // the library logs here without a logger of its own
	locker, err := redlock.New(nodes.pools, r.options(journal)...)
	if err != nil {
		return endWith(exitUsage, optionWords(err))
	}
	if nodes.cluster != nil {
		s.say.Printf("--embedded: %q is on %d masters in memory, which no other process can reach; \"redlock masters\" starts some that all can", r.Name, embeddedNodes)
	}
	// First the end of the run, then the keys that may be left on nodes.
	end := said(do(locker, &job{s, signals, path, argv}), s.say)
	r.settle(locker, s, end)
	journal.end()
	return end
}

// lock takes the lock and runs the command.
func (r *runCommand) lock(locker *redlock.Locker, j *job) error {
	began := time.Now()
	lock, err := r.acquire(locker, j.signals)
	if err != nil {
		return err
	}
	if r.Verbose {
		held, total := lock.Held()
		j.say.Printf("the lock %q was granted by %d of %d nodes so far, after %v", r.Name, held, total, rounded(time.Since(began)))
	}
	h := &hold{
		lock: lock, what: "the lock", named: fmt.Sprintf("the lock %q", r.Name), unlock: lock.Unlock,
		held:  func() bool { return lock.Context().Err() == nil },
		grace: r.Grace, signals: j.signals, say: j.say, verbose: r.Verbose, began: time.Now(),
	}
	if len(r.Command) == 0 {
		return h.untilInputEnds(os.Stdin, j.stdout)
	}
	return h.run(j.path, j.argv, r.environment(os.Environ(), lock.Token()))
}

// argv is the command without the "--" before it.
func (r *runCommand) argv() []string {
	if len(r.Command) > 0 && r.Command[0] == "--" {
		return r.Command[1:]
	}
	return r.Command
}

func (r *runCommand) options(j *journal) []redlock.Option {
	options := []redlock.Option{
		redlock.WithTTL(r.TTL), redlock.WithKeepAlive(), redlock.WithOwner(r.Owner), redlock.WithPrefix(r.Prefix),
	}
	switch {
	case r.Wait == 0:
		options = append(options, redlock.WithMaxTries(1))
	case r.Wait > 0:
		options = append(options, redlock.WithMaxWait(r.Wait))
	}
	if r.Fair {
		options = append(options, redlock.WithFair())
	}
	if r.Fencing {
		options = append(options, redlock.WithFencing())
	}
	if r.Guard > 0 {
		options = append(options, redlock.WithRestartGuard(r.Guard))
	}
	if r.Timeout > 0 {
		options = append(options, redlock.WithNodeTimeout(r.Timeout))
	}
	if r.Verbose {
		options = append(options, redlock.WithLogger(slog.New(j)))
	} else if !r.Quiet {
		options = append(options, redlock.WithTrace(&redlock.Trace{Same: func(node string) {
			j.say.Printf("warning: node %s is the same server as another one, and does not count: give each master once", node)
		}, Round: r.round}))
	}
	return options
}

// defaultOwner is the default of package redlock. The command gets it in its environment.
func defaultOwner() string {
	const longest = 100 // of the 128 bytes that a label may have
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "unknown"
	}
	return fmt.Sprintf("%s:%d", host[:min(len(host), longest)], os.Getpid())
}

// acquire waits for the lock, or for a signal that asks to end.
func (r *runCommand) acquire(locker *redlock.Locker, signals <-chan os.Signal) (*redlock.Lock, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var lock *redlock.Lock
	var err error
	done := make(chan struct{})
	go func() { // ends with ctx
		defer close(done)
		lock, err = r.take(ctx, locker)
	}()
	for {
		select {
		case <-done:
			return lock, r.refusal(err)
		case sig := <-signals:
			switch {
			case child.Ends(sig):
				cancel()
				if <-done; lock != nil { // it was granted just now
					_ = lock.Unlock(context.Background()) // or it expires
				}
				return nil, endWith(exitSignal+child.Number(sig), fmt.Errorf("%v while waiting for the lock %q", sig, r.Name))
			case child.Suspends(sig):
				child.Suspend()
			}
		}
	}
}

// take waits for the lock, alone or shared with readers, or for a slot.
func (r *runCommand) take(ctx context.Context, locker *redlock.Locker) (*redlock.Lock, error) {
	switch {
	case r.Shared:
		return locker.RLock(ctx, r.Name)
	case r.Slots == 0:
		return locker.Lock(ctx, r.Name)
	}
	s, err := semaphore.New(locker, r.Name, r.Slots)
	if err != nil {
		return nil, endWith(exitUsage, optionWords(err))
	}
	p, err := s.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	r.slot = p.Slot()
	return p.Lock(), nil
}

// refusal returns the error of a request with its exit code. The error of a wait that timed out
// matches the error of its last attempt.
func (r *runCommand) refusal(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, redlock.ErrTaken):
		return r.taken(err)
	case errors.Is(err, redlock.ErrNoQuorum):
		return endWith(exitNoQuorum, r.refusalWords(err))
	case errors.Is(err, context.DeadlineExceeded): // before the first attempt was over
		return r.taken(err)
	}
	return endWith(exitUsage, err) // the name
}

// taken returns the end of a run because another holder has the lock.
func (r *runCommand) taken(err error) error {
	end := &ending{code: r.Conflict, word: wordTaken, err: r.refusalWords(err)}
	if r.Quiet {
		end.err = nil
	}
	return end
}

// rounded drops digits that do not matter.
func rounded(d time.Duration) time.Duration {
	if d < time.Second {
		return d.Round(100 * time.Microsecond)
	}
	return d.Round(10 * time.Millisecond)
}

// lookup finds the command, as a shell would.
func lookup(argv []string) (string, error) {
	if len(argv) == 0 {
		return "", endWith(exitUsage, errNoCommand)
	}
	path, err := exec.LookPath(argv[0])
	switch {
	case err == nil:
		return path, nil
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		return "", endWith(exitNotFound, err)
	}
	return "", endWith(exitNotExec, err)
}

// settleTime is how long to wait at the end for nodes that did not confirm the release yet. A key
// that is left then expires.
const settleTime = time.Second

// settle closes the Locker and reports nodes that did not confirm the release. With --quiet it
// does not report them for a lock that was not granted: a leftover on a minority of the nodes keeps
// no other client from the lock, and cron would mail that line every minute.
func (r *runCommand) settle(locker *redlock.Locker, s *streams, end error) {
	ctx, cancel := context.WithTimeout(context.Background(), settleTime)
	defer cancel()
	err := locker.Close(ctx)
	if err == nil || r.Quiet && wordOf(end) == wordTaken {
		return
	}
	s.say.Printf("not every node confirmed the release; what is left expires within %v: %s", r.TTL, closeWords(err))
}
