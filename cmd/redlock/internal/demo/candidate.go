package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/quorumlock/quorumlock/election"
	"github.com/quorumlock/quorumlock/pool"
	"github.com/quorumlock/quorumlock/pool/direct"
	"github.com/quorumlock/quorumlock/redlock"
)

const (
	electionKey = "demo-leader"
	electionTTL = 2 * time.Second
	pace        = 350 * time.Millisecond // between two steps of a leader
)

// What a candidate writes, each with a step and a time: that it was elected, and found that step;
// that a step was acknowledged; and until when it led.
const (
	electedWord = "elected"
	stepWord    = "step"
	endedWord   = "ended"
)

// Candidate is a process of its own: it campaigns, and while it leads it counts steps, and
// proclaims each. It goes on where the leader before has stopped. It resigns when input ends, so it
// does not outlive the demo.
func Candidate(addrs []string, name string, input io.Reader, output io.Writer) error {
	e, end, err := enter(addrs, name)
	if err != nil {
		return err
	}
	defer end()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { // ends with the input, or with this process
		_, _ = io.Copy(io.Discard, input)
		cancel()
	}()
	say := func(word string, step int, at time.Time) { fmt.Fprintln(output, word, step, at.UnixMicro()) }
	err = e.Run(ctx, name+" takes over", func(ctx context.Context, s *election.Leadership) error {
		step := 0
		if former, ok := s.Previous(); ok {
			step = stepIn(former.Value)
		}
		say(electedWord, step, time.Now())
		for ctx.Err() == nil {
			if err := s.Proclaim(ctx, fmt.Sprint(stepWord, " ", step+1)); err == nil {
				step++
				say(stepWord, step, time.Now())
			}
			select {
			case <-time.After(pace):
			case <-ctx.Done():
			}
		}
		end := time.Now()
		if until := s.Until(); until.Before(end) {
			end = until
		}
		say(endedWord, step, end)
		return nil
	})
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// stepIn is the number in a value, 0 for one that is no step.
func stepIn(value string) int {
	text, _ := strings.CutPrefix(value, stepWord+" ")
	n, _ := strconv.Atoi(text)
	return n
}

// enter returns the election. Call end when it is not used any more.
func enter(addrs []string, name string) (e *election.Election, end func(), err error) {
	var pools []pool.Pool
	var nodes []*direct.Pool
	for _, addr := range addrs {
		node, err := direct.New(addr)
		if err != nil {
			return nil, func() {}, err
		}
		nodes = append(nodes, node)
		pools = append(pools, node)
	}
	locker, err := redlock.New(pools, redlock.WithOwner(name), redlock.WithTTL(electionTTL), redlock.WithNodeTimeout(electionTTL/4))
	if err == nil {
		e, err = election.New(locker, electionKey)
	}
	return e, func() {
		if locker != nil {
			ctx, cancel := context.WithTimeout(context.Background(), electionTTL/4)
			defer cancel()
			_ = locker.Close(ctx) // what is left expires
		}
		for _, node := range nodes {
			_ = node.Close()
		}
	}, err
}
