package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/quorumlock/quorumlock/cmd/redlock/internal/child"
	"github.com/quorumlock/quorumlock/redlock"
)

type runCommand struct {
	Node     []string      `short:"n" sep:"none" placeholder:"URL" help:"A Redis master: redis://[user:password@]host[:port][/db], rediss:// for TLS, unix:///path. Give it once per master; three or five are best. Without it the URLs come from REDLOCK_NODES, separated by blanks, where 'ps' does not show their passwords."`
	Embedded bool          `help:"Lock on five masters in memory that nobody else sees: for a try-out without Redis."`
	Name     string        `required:"" help:"The name of the lock. Who uses the same name and nodes excludes each other."`
	TTL      time.Duration `name:"ttl" default:"8s" help:"How long the lock outlives this process if it dies. It is renewed every third of that."`
	Wait     time.Duration `default:"0s" placeholder:"TIME" help:"How long to wait while somebody else has the lock. Without it there is one try."`
	Fair     bool          `help:"First come first served among those who say --fair, with --wait."`
	Fencing  bool          `help:"Give the command a fencing token, in REDLOCK_TOKEN: a number that grows with every holder who says --fencing. What the command changes can then refuse a holder that was delayed, if it compares."`
	Guard    time.Duration `placeholder:"LONGEST" help:"Keep nodes that restarted out until locks of this TTL, the longest of all locks, have expired. All clients of the nodes must do so, with the same TTL and number of nodes."`
	Timeout  time.Duration `name:"node-timeout" placeholder:"TIME" help:"How long to wait for the answer of one node. Without it a sixteenth of the TTL, but 20ms to 1s."`
	Grace    time.Duration `default:"5s" help:"How long the command has between SIGTERM and SIGKILL if the lock is lost."`
	Owner    string        `placeholder:"LABEL" help:"What others are told about who has the lock. Default: host:pid."`
	Prefix   string        `help:"What is put before the name to make the key in Redis. Default: nothing."`
	Verbose  bool          `short:"v" help:"Tell on stderr what happens."`
	Command  []string      `arg:"" passthrough:"partial" help:"The command and its arguments, after --."`
}

// Help is what "redlock run --help" says besides the flags.
func (*runCommand) Help() string {
	return `Example:

  redlock run --node redis://r1 --node redis://r2 --node redis://r3 --name backup --wait 30s -- ./backup.sh --full

The command starts when a majority of the nodes has granted the lock, and the lock is renewed until the command ends. Signals are passed on to it.

If the lock is lost (a majority of the nodes failed or forgot it), the command and its children get SIGTERM at once, and SIGKILL after --grace. In the meantime somebody else may get the lock.

The command's environment has:

  REDLOCK_NAME     the name of the lock
  REDLOCK_KEY      its key in Redis: prefix and name
  REDLOCK_OWNER    the label that others see
  REDLOCK_TTL_MS   its time to live in milliseconds
  REDLOCK_TOKEN    its fencing token, with --fencing

Exit codes:

  the command's    its own code, or 128+n if signal n ended it
  64               wrong flags or node URLs
  69               too few nodes answered
  71               the command could not be started
  75               somebody else has the lock
  79               the lock was lost while the command ran
  126, 127         the command is not executable, was not found
  128+n            signal n came while waiting for the lock`
}

// Validate is called by the parser.
func (r *runCommand) Validate() error {
	if r.Wait < 0 {
		return fmt.Errorf("--wait: must not be negative")
	}
	if r.Timeout < 0 {
		return fmt.Errorf("--node-timeout: must not be negative")
	}
	if r.Guard < 0 {
		return fmt.Errorf("--guard: must not be negative")
	}
	if r.Grace < 0 {
		return fmt.Errorf("--grace: must not be negative")
	}
	return nil
}

// nodes opens the masters to lock on.
func (r *runCommand) nodes() (*nodes, error) {
	switch {
	case r.Embedded && len(r.Node) > 0:
		return nil, endWith(exitUsage, errors.New("--embedded starts masters of its own: leave --node out"))
	case r.Embedded:
		return embed()
	}
	return openNodes(r.Node, ", or try --embedded")
}

// Run takes the lock, runs the command and releases the lock.
func (r *runCommand) Run(s *streams) error {
	argv := r.argv()
	path, err := lookup(argv)
	if err != nil {
		return err // before others are kept waiting for nothing
	}
	signals := make(chan os.Signal, 16)
	child.Notify(signals)
	// Whoever read what we say may be gone. That must not end us before the command.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	defer signal.Stop(signals)

	nodes, err := r.nodes()
	if err != nil {
		return err
	}
	defer nodes.close()
	if r.Owner == "" {
		r.Owner = defaultOwner()
	}
	locker, err := redlock.New(nodes.pools, r.options(s.say.Writer())...)
	if err != nil {
		return endWith(exitUsage, optionWords(err))
	}
	// First what happened, then what is left of it on the nodes.
	code := exitCode(r.hold(locker, s, signals, path, argv), s.say)
	r.settle(locker, s)
	if code != 0 {
		return endWith(code, nil)
	}
	return nil
}

// hold takes the lock and runs the command.
func (r *runCommand) hold(locker *redlock.Locker, s *streams, signals <-chan os.Signal, path string, argv []string) error {
	if r.Embedded {
		s.say.Printf("--embedded: %q is locked on %d masters in memory, which nobody else sees", r.Name, embeddedNodes)
	}
	began := time.Now()
	lock, err := r.acquire(locker, signals)
	if err != nil {
		return err
	}
	if r.Verbose {
		held, total := lock.Held()
		s.say.Printf("the lock %q was granted by %d of %d nodes so far, after %v", r.Name, held, total, rounded(time.Since(began)))
	}
	h := &hold{lock: lock, grace: r.Grace, signals: signals, say: s.say, verbose: r.Verbose, began: time.Now()}
	return h.run(path, argv, r.environment(os.Environ(), lock.Token()))
}

// argv is the command without the "--" before it.
func (r *runCommand) argv() []string {
	if r.Command[0] == "--" {
		return r.Command[1:]
	}
	return r.Command
}

func (r *runCommand) options(stderr io.Writer) []redlock.Option {
	options := []redlock.Option{
		redlock.WithTTL(r.TTL), redlock.WithKeepAlive(), redlock.WithMaxWait(r.Wait),
		redlock.WithOwner(r.Owner), redlock.WithPrefix(r.Prefix),
	}
	if r.Wait == 0 {
		options = append(options, redlock.WithMaxTries(1))
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
		logger := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
		options = append(options, redlock.WithLogger(logger))
	}
	return options
}

// defaultOwner is what redlock takes as well; the command is to be told.
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
	request := locker.LockAsync(context.Background(), r.Name)
	for {
		select {
		case <-request.Done():
			lock, err := request.Wait(context.Background())
			return lock, r.refusal(err)
		case sig := <-signals:
			switch {
			case child.Ends(sig):
				request.Cancel()
				return nil, endWith(exitSignal+child.Number(sig), fmt.Errorf("%v while waiting for the lock %q", sig, r.Name))
			case child.Suspends(sig):
				child.Suspend()
			}
		}
	}
}

// refusal gives the reason why the lock was not granted its exit code. A wait
// that ran out matches what its last attempt met.
func (r *runCommand) refusal(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, redlock.ErrTaken):
		return endWith(exitNotAcquired, r.refusalWords(err))
	case errors.Is(err, redlock.ErrNoQuorum):
		return endWith(exitNoQuorum, r.refusalWords(err))
	case errors.Is(err, context.DeadlineExceeded): // before the first attempt was over
		return endWith(exitNotAcquired, r.refusalWords(err))
	}
	return endWith(exitUsage, err) // the name
}

// rounded leaves the digits that say something.
func rounded(d time.Duration) time.Duration {
	if d < time.Second {
		return d.Round(100 * time.Microsecond)
	}
	return d.Round(10 * time.Millisecond)
}

var errNoCommand = errors.New("give the command after --")

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

// settleTime is how long to wait at the end for nodes that did not confirm the
// release yet. What is left then expires.
const settleTime = time.Second

func (r *runCommand) settle(locker *redlock.Locker, s *streams) {
	ctx, cancel := context.WithTimeout(context.Background(), settleTime)
	defer cancel()
	if err := locker.Close(ctx); err != nil {
		s.say.Printf("not every node confirmed the release; what is left expires within %v: %s", r.TTL, closeWords(err))
	}
}
