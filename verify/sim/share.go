package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"sync/atomic"
	"time"
)

// share has every process do its part. They end when one of them has found something.
func share(ctx context.Context, program string, o options, progress io.Writer) ([]finding, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	done := make([]atomic.Int64, o.workers)
	defer reportProgress(progress, o, done)()
	type end struct {
		finding
		err error
	}
	ends := make(chan end)
	for part := range o.workers {
		go func() { // ends with the process
			f, err := hire(ctx, program, o, part, &done[part])
			ends <- end{f, err}
		}()
	}
	var all []finding
	var errs []error
	for range o.workers {
		e := <-ends
		switch {
		case e.err == nil:
			all = append(all, e.finding)
		case ctx.Err() == nil:
			errs = append(errs, e.err)
		}
		if e.err != nil || e.Rule != "" {
			stop()
		}
	}
	return all, errors.Join(errs...)
}

// reportProgress says how far the processes are, again and again, until stop is called.
func reportProgress(out io.Writer, o options, done []atomic.Int64) (stop func()) {
	if o.pause <= 0 {
		return func() {}
	}
	begun, ticker, over, stopped := time.Now(), time.NewTicker(o.pause), make(chan struct{}), make(chan struct{})
	go func() { // ends when stop is called
		defer close(stopped)
		for {
			select {
			case <-over:
				return
			case <-ticker.C:
			}
			var n int64
			for i := range done {
				n += done[i].Load()
			}
			if n == 0 {
				continue
			}
			rate := float64(n) / time.Since(begun).Seconds()
			left := time.Duration((float64(o.runs) - float64(n)) / rate * float64(time.Second))
			fmt.Fprintf(out, "%d of %d schedules, %.0f a second, %v left\n", n, o.runs, rate, left.Round(time.Second))
		}
	}()
	return func() {
		ticker.Stop()
		close(over)
		<-stopped
	}
}

// hire starts a process for one part, and waits for it. done is how many schedules it
// has run.
func hire(ctx context.Context, program string, o options, part uint64, done *atomic.Int64) (f finding, err error) {
	cmd := exec.CommandContext(ctx, program, "--worker", "--part", strconv.FormatUint(part, 10),
		"--workers", strconv.FormatUint(o.workers, 10), "--runs", strconv.FormatUint(o.runs, 10),
		"--seed", strconv.FormatUint(o.seed, 10), "--outside="+strconv.FormatBool(o.outside), "--real="+strconv.FormatBool(o.real), "--values="+strconv.FormatBool(o.values), "--shared="+strconv.FormatBool(o.shared), "--slots="+strconv.FormatBool(o.slots), "--brief="+strconv.FormatBool(o.brief), "--without", o.without)
	// Goroutines take turns without more threads, and begin with the stack that most of them need.
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1", "GODEBUG=asyncpreemptoff=1,adaptivestackstart=1")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return f, err
	}
	if err := cmd.Start(); err != nil {
		return f, err
	}
	var last report
	for said := json.NewDecoder(stdout); err == nil && last.End == nil; done.Store(int64(last.Runs)) {
		err = said.Decode(&last)
	}
	if err = errors.Join(cmd.Wait(), err); err != nil {
		return f, fmt.Errorf("worker %d: %w\n%s", part, err, stderr.Bytes())
	}
	return *last.End, nil
}
