// Torture runs clients of the lock against real servers while both are stopped, killed,
// cut off and held up, writes down what they saw, checks it and draws it. See README.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	seed       uint64
	minutes    float64
	kills      int
	ttl        time.Duration
	clients    int
	locks      int
	elects     int
	paths      int
	semaphores int
	slots      int
	fencing    bool
	guard      bool
	outside    bool
	report     string
	history    string
	replay     string
	rest       []string // what is no flag
}

const nodeCount = 5

func main() {
	if len(os.Args) > 1 && os.Args[1] == workerCommand {
		if err := beWorker(os.Args[2:], os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "torture: worker:", err)
			os.Exit(2)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code, err := begin(ctx, parse(), os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "torture:", err)
	}
	os.Exit(code)
}

func parse() options {
	var o options
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()%1e6), "of the schedule of faults and of what the clients do")
	flag.Float64Var(&o.minutes, "minutes", 5, "length of the part with faults")
	flag.IntVar(&o.kills, "kill-leaders", 0, "kill so many leaders instead, with candidates and observers as the only clients")
	flag.DurationVar(&o.ttl, "ttl", 2*time.Second, "of the locks; faults take times in proportion to it")
	flag.IntVar(&o.clients, "clients", 2, "clients in each of the four processes")
	flag.IntVar(&o.locks, "locks", 3, "locks that they want, up to three at once")
	flag.IntVar(&o.elects, "elections", 1, "elections, each with a candidate in each process")
	flag.IntVar(&o.paths, "paths", 2, "paths on which a client of each process publishes; with neither, servers also return empty")
	flag.IntVar(&o.semaphores, "semaphores", 2, "semaphores of which clients of their own, as many as of locks, take slots")
	flag.IntVar(&o.slots, "slots", 3, "slots of each semaphore; of every second one half of the processes use one less, and the others one more")
	flag.BoolVar(&o.fencing, "fencing", true, "take locks with tokens; without, the servers get other commands")
	flag.BoolVar(&o.guard, "guard", false, "guard restarts")
	flag.BoolVar(&o.outside, "outside", false, "let servers forget what they acknowledged: without --guard exclusion can be lost")
	flag.StringVar(&o.report, "report", "torture.html", "file for the page")
	flag.StringVar(&o.history, "history", "", "file for the history (default: that of the page, with .jsonl)")
	flag.StringVar(&o.replay, "replay", "", "check and draw the history in this file, without a run")
	flag.Parse()
	o.rest = flag.Args()
	if o.history == "" {
		o.history = strings.TrimSuffix(o.report, ".html") + ".jsonl"
	}
	return o
}

// plan is the run that the flags ask for.
func (o options) plan() Run {
	if o.kills > 0 {
		o.minutes, o.clients, o.locks, o.elects, o.paths, o.semaphores = killsLength(o.kills, o.ttl).Minutes(), 0, 0, 1, 0, 0
	}
	r := Run{
		Seed: o.seed, Length: time.Duration(o.minutes * float64(time.Minute)), TTL: o.ttl,
		Outside: o.outside, Fencing: o.fencing, Guard: o.guard, Nodes: nodeCount, Kills: o.kills,
	}
	for i := range o.locks {
		r.Names = append(r.Names, fmt.Sprintf("lock %c", 'A'+i))
	}
	for process, adapter := range adapters {
		for range o.clients {
			r.Clients = append(r.Clients, Client{Process: process, Adapter: adapter})
		}
		if o.elects > 0 {
			r.Clients = append(r.Clients, Client{process, adapter, candidate})
		}
		if o.paths > 0 {
			r.Clients = append(r.Clients, Client{process, adapter, publisher})
		}
		for range o.clients {
			if o.semaphores > 0 {
				r.Clients = append(r.Clients, Client{process, adapter, acquirer})
			}
		}
	}
	for i := range o.elects {
		r.Elections = append(r.Elections, fmt.Sprintf("election %c", 'A'+i))
	}
	for i := range o.paths {
		r.Paths = append(r.Paths, fmt.Sprintf("path %c", 'A'+i))
	}
	for i := range o.semaphores {
		r.Semaphores = append(r.Semaphores, newSemaphore(i, o.slots))
	}
	return r
}

// Exit codes.
const (
	fine    = 0
	broken  = 1 // a claim is violated, and the faults were inside the assumptions
	useless = 2 // the run could not be done, or not all of it
)

// check refuses what would come to nothing, before it takes minutes.
func (o options) check() error {
	files := []string{o.report}
	switch run := o.plan(); {
	case len(o.rest) > 0:
		return fmt.Errorf("%q is no flag: flags begin with --", o.rest[0])
	case o.replay != "":
	case run.Length < time.Second || run.TTL < 200*time.Millisecond || run.TTL > time.Minute || o.clients < 1 || o.locks < 1 || o.elects < 0 || o.paths < 0 || o.semaphores < 0 || o.semaphores > 0 && (o.slots < 1 || o.slots > 255) || o.kills < 0:
		return errors.New("a run needs a second, a client and a lock at least, a TTL of 200ms to 1m, and semaphores of 1 to 255 slots")
	default:
		files = append(files, o.history)
	}
	for _, name := range files {
		f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY, 0o666)
		if err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	return nil
}

// begin does a run, or takes up an old one, and reports the result.
func begin(ctx context.Context, o options, stdout, stderr io.Writer) (int, error) {
	if err := o.check(); err != nil {
		return useless, err
	}
	h, err := history(ctx, o, stderr)
	if err != nil {
		return useless, err
	}
	verdicts := check(h)
	page, err := os.Create(o.report)
	if err != nil {
		return useless, err
	}
	if err := errors.Join(writePage(page, h, verdicts), page.Close()); err != nil {
		return useless, err
	}
	return summarize(stdout, o, h, verdicts), nil
}

func history(ctx context.Context, o options, stderr io.Writer) (*History, error) {
	if o.replay != "" {
		return load(o.replay)
	}
	run := o.plan()
	fmt.Fprintf(stderr, "seed %d, %v, TTL %v\n", run.Seed, run.Length, run.TTL)
	if run.Kills > 0 {
		fmt.Fprintf(stderr, "it ends when %d leaders are killed\n", run.Kills)
	}
	h, err := perform(ctx, run, schedule(run), stderr)
	if err != nil {
		return nil, err
	}
	return h, h.save(o.history)
}
