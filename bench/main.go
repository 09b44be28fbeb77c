// Bench measures the library beside its peers on the same clients and the same
// real servers, in one run, and writes a report. See README.md.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

// options are the flags.
type options struct {
	rounds  int
	length  time.Duration
	nodes   []int
	workers []int
	clients []string
	frozen  bool
	away    bool
	idle    int
	crowded int
	moments int
	dir     string
	raw     string
}

func main() {
	if err := begin(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// begin is what this program does, or a process that it has started, or what its first argument asks for.
func begin(args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case crowdedCommand:
			return beCrowd(args[1:], os.Stdin, os.Stdout)
		case linksCommand:
			return beLinks(args[1:], os.Stdin, os.Stdout)
		case kindsCommand:
			return beKinds(args[1:], os.Stdout, os.Stderr)
		}
	}
	o := parse()
	report, err := createReport(o.dir, os.Stdout)
	if err != nil {
		return err
	}
	if err := run(o, report, os.Stderr); err != nil {
		return err
	}
	return report.write()
}

func parse() options {
	o := options{nodes: []int{1, 3, 5, 7}, workers: []int{1, 64, 512}, clients: []string{goRedis, redigoClient, noClient}}
	// Short and many: the speed of a shared machine changes from second to second,
	// and only what is measured side by side can be compared.
	flag.IntVar(&o.rounds, "rounds", 9, "rounds of each scenario; every contender is measured once in each")
	flag.DurationVar(&o.length, "time", 80*time.Millisecond, "length of one measurement")
	flag.BoolVar(&o.frozen, "frozen", true, "also measure n=3 with one server frozen")
	flag.BoolVar(&o.away, "away", true, "also measure n=3 with servers that are 10ms away")
	flag.IntVar(&o.idle, "idle", 10_000, "locks to hold with keep-alive for the memory figure; 0 for none")
	flag.IntVar(&o.crowded, "crowded", 5, "rounds of 32 workers on one key, in one process and in four; 0 for none")
	flag.IntVar(&o.moments, "moments", 300, "times that several callers try a free lock at the same moment; 0 for none")
	flag.StringVar(&o.dir, "dir", ".", "folder for results.md and its plots; \"\" to print the report and draw nothing")
	flag.StringVar(&o.raw, "raw", "", "file for the raw output, JSON lines")
	flag.Func("nodes", "numbers of servers (default 1,3,5,7; none for none)", intsInto(&o.nodes))
	flag.Func("workers", "numbers of workers (default 1,64,512)", intsInto(&o.workers))
	flag.Func("clients", "Redis clients (default go-redis,redigo,direct)", func(s string) error {
		o.clients = strings.Split(s, ",")
		return nil
	})
	flag.Parse()
	return o
}

// intsInto reads a list of positive numbers.
func intsInto(list *[]int) func(string) error {
	return func(s string) error {
		*list = nil
		if s == "none" {
			return nil
		}
		for field := range strings.SplitSeq(s, ",") {
			n, err := strconv.Atoi(field)
			if err != nil || n < 1 {
				return fmt.Errorf("%q is not a positive number", field)
			}
			*list = append(*list, n)
		}
		return nil
	}
}

// scenarios lists them: healthy ones first.
func (o options) scenarios() []scenario {
	var all []scenario
	for _, workers := range o.workers {
		for _, n := range o.nodes {
			all = append(all, scenario{Nodes: n, Workers: workers})
		}
	}
	for _, workers := range o.workers {
		if o.frozen {
			all = append(all, scenario{Nodes: 3, Workers: workers, Frozen: true})
		}
	}
	for _, workers := range o.workers {
		if o.away {
			all = append(all, scenario{Nodes: 3, Workers: workers, Away: far})
		}
	}
	return all
}

func run(o options, out *report, progress io.Writer) (err error) {
	raw, err := createRaw(o.raw)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, raw.close()) }()

	m := thisMachine()
	if err := raw.write(m); err != nil {
		return err
	}
	fmt.Fprintf(out, "# Results\n\nWritten by `go -C bench run .`. What is measured, and how to read it, stands in [README.md](README.md).\n\n## Measured on\n\n%v\nSettings:\n\n%s\n", m, settings())
	fmt.Fprintf(out, "%d rounds of %v per contender, in turn (one server frozen: %d of %v; %v away: %d of %v). Medians of the rounds, quartiles in brackets; max over all.\n", o.rounds, o.length, freezes, freeze, far, freezes, journey)

	c := contest{clients: o.clients, rounds: o.rounds, length: o.length, progress: progress, record: raw.write}
	results := make(map[scenario][]*entry)
	for _, s := range o.scenarios() {
		all, err := c.run(s)
		if err != nil {
			return err
		}
		results[s] = all
		writeTable(out, s, all)
		if s.Frozen {
			writeFreezeCost(out, all)
		}
		if s.Nodes == 3 {
			if err := out.latency(s, all); err != nil {
				return err
			}
		}
	}
	if err := writeGrowth(out, o, results); err != nil {
		return err
	}
	if o.crowded > 0 {
		fmt.Fprintf(out, "\n## One lock, many workers\n\n%s", crowdSettings())
	}
	for _, processes := range []int{1, 4} {
		if o.crowded == 0 {
			break
		}
		s := crowdedScenario{Nodes: 3, Workers: crowd, Processes: processes}
		results, err := runCrowded(s, o.crowded, crowdedLength, raw, progress)
		if err != nil {
			return err
		}
		writeCrowded(out, s, results)
		if err := out.waits(s, results); err != nil {
			return err
		}
	}
	if o.crowded > 0 {
		if err := runHandover(raw, out, progress); err != nil {
			return err
		}
	}
	if o.moments > 0 {
		if err := runMoments(o.moments, raw, out, progress); err != nil {
			return err
		}
	}
	if o.idle == 0 {
		return nil
	}
	return runIdle(o, raw, out, progress)
}

func runIdle(o options, raw *rawFile, out, progress io.Writer) error {
	nodes, err := startServers(3)
	if err != nil {
		return err
	}
	defer nodes.stop()
	writeIdleHeader(out)
	for _, client := range o.clients {
		fmt.Fprintf(progress, "%d held locks on %s\n", o.idle, client)
		r, err := measureIdle(nodes, client, o.idle)
		if err != nil {
			return err
		}
		fmt.Fprintln(out, r)
		if err := raw.write(r); err != nil {
			return err
		}
	}
	return nil
}
