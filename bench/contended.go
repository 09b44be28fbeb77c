package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Many workers, in one process or in several, want the same lock and hold it for a
// millisecond. What counts is how many locks a second they get together, and how
// long the unlucky ones wait.

const (
	crowd    = 32 // workers
	holdTime = time.Millisecond

	crowdedLength = 3 * time.Second // of one measurement
)

// A crowdedScenario is one way to spread the workers.
type crowdedScenario struct {
	Nodes     int
	Workers   int
	Processes int
}

func (s crowdedScenario) String() string {
	text := "one process"
	if s.Processes > 1 {
		text = fmt.Sprintf("%d processes", s.Processes)
	}
	return fmt.Sprintf("n=%d, %d workers in %s, one key", s.Nodes, s.Workers, text)
}

// A crowdedResult is what the workers of one contender did in one round.
type crowdedResult struct {
	Lib     string
	Round   int
	Elapsed time.Duration // in which a grant counts
	Workers []crowdedWorker
	Trip    time.Duration // a lock or an unlock that nobody contends, on the same servers, median
}

// A crowdedWorker is one of them.
type crowdedWorker struct {
	Waits  []time.Duration // of all its calls of Lock that began in time
	Grants int             // of them, those that were granted in time
	Held   time.Duration   // all in all
	Failed int
	Error  string
}

func (r crowdedResult) grants() (n int) {
	for _, w := range r.Workers {
		n += w.Grants
	}
	return n
}

func (r crowdedResult) rate() float64 { return float64(r.grants()) / r.Elapsed.Seconds() }

func (r crowdedResult) waits() (all []time.Duration) {
	for _, w := range r.Workers {
		all = append(all, w.Waits...)
	}
	slices.Sort(all)
	return all
}

// hold is how long a lock was held on average: to sleep for a millisecond takes a
// little longer.
func (r crowdedResult) hold() time.Duration {
	held, n := time.Duration(0), 0
	for _, w := range r.Workers {
		held, n = held+w.Held, n+len(w.Waits)
	}
	return held / time.Duration(max(1, n))
}

// jain is Jain's index of the workers' shares: 1 if all got the same.
func (r crowdedResult) jain() float64 {
	var sum, squares float64
	for _, w := range r.Workers {
		sum += float64(w.Grants)
		squares += float64(w.Grants) * float64(w.Grants)
	}
	return sum * sum / (float64(len(r.Workers)) * max(1, squares))
}

func (r crowdedResult) failed() (n int, first string) {
	for _, w := range r.Workers {
		n += w.Failed
		if first == "" {
			first = w.Error
		}
	}
	return n, first
}

// runCrowded measures all contenders in turn, round by round.
func runCrowded(s crowdedScenario, rounds int, length time.Duration, raw *rawFile, progress io.Writer) (map[string][]crowdedResult, error) {
	nodes, err := startServers(s.Nodes)
	if err != nil {
		return nil, err
	}
	defer nodes.stop()
	results := make(map[string][]crowdedResult)
	for round := range rounds {
		for _, c := range crowdedContenders {
			fmt.Fprintf(progress, "%v, round %d of %d: %s\n", s, round+1, rounds, c.lib)
			r, err := measureCrowded(s, c.lib, nodes, length)
			if err != nil {
				return nil, fmt.Errorf("%v: %s: %w", s, c.lib, err)
			}
			r.Round = round + 1
			results[c.lib] = append(results[c.lib], r)
			if err := raw.write(r); err != nil {
				return nil, err
			}
		}
	}
	return results, nil
}

func measureCrowded(s crowdedScenario, lib string, nodes servers, length time.Duration) (r crowdedResult, err error) {
	if err := nodes.flush(); err != nil {
		return r, err
	}
	r = crowdedResult{Lib: lib, Elapsed: length}
	if r.Trip, err = roundTrip(nodes); err != nil {
		return r, err
	}
	var processes []*exec.Cmd
	var starts []io.WriteCloser
	var replies []*bufio.Reader
	defer func() {
		for _, p := range processes {
			_ = p.Process.Kill() // nothing to do if it has ended
			_ = p.Wait()
		}
	}()
	self, err := os.Executable()
	if err != nil {
		return r, err
	}
	for range s.Processes {
		p := exec.Command(self, crowdedCommand, "--lib", lib, "--addrs", strings.Join(nodes.addrs(), ","),
			"--workers", strconv.Itoa(s.Workers/s.Processes), "--for", length.String())
		p.Stderr = os.Stderr
		in, err1 := p.StdinPipe()
		out, err2 := p.StdoutPipe()
		if err := errors.Join(err1, err2, p.Start()); err != nil {
			return r, err
		}
		processes, starts, replies = append(processes, p), append(starts, in), append(replies, bufio.NewReader(out))
	}
	for _, reply := range replies { // all are connected
		if _, err := reply.ReadString('\n'); err != nil {
			return r, err
		}
	}
	for _, start := range starts {
		if err := start.Close(); err != nil {
			return r, err
		}
	}
	for _, reply := range replies {
		var workers []crowdedWorker
		if err := json.NewDecoder(reply).Decode(&workers); err != nil {
			return r, err
		}
		r.Workers = append(r.Workers, workers...)
	}
	return r, nil
}

// roundTrip measures half of a cycle of ours that nobody contends.
func roundTrip(nodes servers) (time.Duration, error) {
	locker, closeLocker, err := newOurs(goRedis, true, nodes.addrs(), poolSize(1))
	if err != nil {
		return 0, err
	}
	w := &oursWorker{locker: locker, key: "trip"}
	var trips []time.Duration
	for range 300 {
		begun := time.Now()
		if err := errors.Join(w.Lock(), w.Unlock()); err != nil {
			return 0, errors.Join(err, closeLocker())
		}
		trips = append(trips, time.Since(begun)/2)
	}
	return median(trips[100:]), closeLocker()
}

// crowdedCommand makes this program one of the processes of the workers.
const crowdedCommand = "crowd"

// beCrowd is what such a process does: it says that it is ready, waits for the end
// of its input, lets its workers work and reports.
func beCrowd(args []string, in io.Reader, out io.Writer) error {
	flags := flag.NewFlagSet(crowdedCommand, flag.ContinueOnError)
	lib := flags.String("lib", ours, "")
	addrs := flags.String("addrs", "", "")
	workers := flags.Int("workers", crowd, "")
	length := flags.Duration("for", time.Second, "")
	if err := flags.Parse(args); err != nil {
		return err
	}
	open, err := crowdedContender(*lib)
	if err != nil {
		return err
	}
	s, err := open(strings.Split(*addrs, ","), poolSize(*workers))
	if err != nil {
		return err
	}
	warm := s.worker(fmt.Sprint("warm-up:", os.Getpid()))
	for range 20 {
		if err := errors.Join(warm.Lock(), warm.Unlock()); err != nil {
			return err
		}
	}
	fmt.Fprintln(out, "ready")
	if _, err := io.Copy(io.Discard, in); err != nil {
		return err
	}
	all := crowdOf(s, "crowded", *workers, *length)
	return errors.Join(json.NewEncoder(out).Encode(all), s.close())
}

// crowdOf lets so many workers want one key for so long.
func crowdOf(s session, key string, workers int, length time.Duration) []crowdedWorker {
	all := make([]crowdedWorker, workers)
	end := time.Now().Add(length)
	var group sync.WaitGroup
	for i := range all {
		w := s.worker(key)
		group.Go(func() { all[i].work(w, end) })
	}
	group.Wait()
	return all
}

func (c *crowdedWorker) work(w worker, end time.Time) {
	for begun := time.Now(); begun.Before(end); begun = time.Now() {
		if err := w.Lock(); err != nil {
			c.fail(err)
			continue
		}
		granted := time.Now()
		c.Waits = append(c.Waits, granted.Sub(begun))
		if granted.Before(end) {
			c.Grants++
		}
		time.Sleep(holdTime)
		c.Held += time.Since(granted)
		if err := w.Unlock(); err != nil {
			c.fail(err)
		}
	}
}

func (c *crowdedWorker) fail(err error) {
	c.Failed++
	if c.Error == "" {
		c.Error = err.Error()
	}
}
