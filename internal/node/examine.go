package node

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/quorumlock/quorumlock/pool"
)

// An Examination says how to examine nodes. All nodes get the same, but for Value and Own.
type Examination struct {
	Fair     bool          // locks are waited for with WithFair
	Fencing  bool          // locks have tokens
	Guard    Guard         // of locks; zero if restarts are not guarded
	Patience time.Duration // for the answer to one question
	Period   time.Duration // over which the clock is watched
	Origin   time.Time     // of the times in samples
	Key      string        // the same on all nodes: nothing else uses it
	Value    string        // stored under Key on this node
	Own      string        // the key of the self-test: no other node has it
	TTL      time.Duration // of all keys: they are gone after it in any case
}

// samples is how often the clock is read.
const samples = 20

var errExamined = errors.New("the client has not returned from an earlier examination yet")

// Examine finds out about the node what can be asked. It asks one question after the other, and
// none after a question without an answer: a node that hangs delays it for one Patience. When
// it returns, what it wrote is gone, or, if the node does not confirm that, expires.
//
// It bypasses the circuit breaker, which is for calls that come by the thousand. There is one
// examination of a node at a time, so a client that does not return delays only one.
func (n *Node) Examine(ctx context.Context, e Examination) Facts {
	x := &examination{Examination: e, node: n, ctx: ctx, facts: Facts{Node: n.String()}, sides: make(map[string]bool)}
	wait, cancel := context.WithTimeout(ctx, e.Patience)
	defer cancel()
	select {
	case n.examined <- struct{}{}:
		defer func() { <-n.examined }()
	case <-wait.Done():
		x.facts.Err = errExamined
		return x.facts
	}
	defer x.busy.Wait()
	defer x.cleanUp()
	x.run()
	x.freeConnection()
	if x.facts.Err == nil {
		x.facts.Cut = x.broken
	}
	return x.facts
}

// An examination is one under way.
type examination struct {
	Examination
	node   *Node
	ctx    context.Context
	facts  Facts
	broken error           // the node does not answer any more
	wrote  bool            // Key may be set
	sides  map[string]bool // side keys; true for those that were set
	tested []string        // keys of the self-test that may be set

	subscription *wakeUp        // a subscription, which may have the only connection
	busy         sync.WaitGroup // calls that keep connections busy, see survey
}

func (x *examination) guarded() bool { return x.Guard != Guard{} }

// ask asks one question. Error replies are answers.
func (x *examination) ask(args ...any) (any, error) {
	if x.broken != nil {
		return nil, x.broken
	}
	ctx, cancel := context.WithTimeout(x.ctx, x.Patience)
	defer cancel()
	reply, err := x.node.pool.Do(ctx, args...)
	err = redact(err)
	if errors.Is(err, pool.ErrNoConn) && x.freeConnection() {
		reply, err = x.node.pool.Do(ctx, args...)
		err = redact(err)
	}
	switch {
	case err == nil, isRefusal(err) && !errors.Is(err, pool.ErrNotSent):
	case x.ctx.Err() != nil:
		x.broken = fmt.Errorf("the time for all questions was over: %w", err)
	case errors.Is(err, context.DeadlineExceeded):
		x.broken = fmt.Errorf("no answer within %v: %w", x.Patience, err)
	default:
		x.broken = err
	}
	if x.broken != nil {
		err = x.broken
	}
	return reply, err
}

func (x *examination) run() {
	if err := x.greet(); err != nil {
		x.facts.Err = err
		return
	}
	x.inquire()
	f := &x.facts
	if why := f.Server.noMaster(); why != "" {
		f.SelfTest.Skipped = why
		f.RightsErr = errors.New("it is not asked, since " + why)
	} else {
		x.selfTest()
		x.storeValue()
		x.rights()
	}
	x.survey()
	x.watchClock()
	if f.SelfTest.Skipped == "" {
		f.Marker, f.MarkerErr = x.marker() // late, since a quarantine runs out meanwhile
	}
}

// noMaster says why there is no self-test: that says more than what a server would refuse.
func (s *Server) noMaster() string {
	switch {
	case s.Mode == "sentinel":
		return "it is a Sentinel"
	case s.Mode == "cluster":
		return "it is part of a cluster"
	case s.Role == "slave":
		return "it is a replica"
	case s.Loading == 1:
		return "it is loading its data"
	}
	return ""
}

// greet finds out whether anything can be asked.
func (x *examination) greet() error {
	_, err := x.ask("PING")
	switch {
	case x.broken != nil:
		return x.broken
	case refusalHas(err, "NOAUTH"), refusalHas(err, "WRONGPASS"), refusalHas(err, "invalid password"), refusalHas(err, "max number of clients"):
		return err
	}
	return nil // other refusals are about PING: INFO may still be allowed
}

// inquire asks what the server says about itself.
func (x *examination) inquire() {
	f := &x.facts
	f.Server = parseInfo("")
	reply, err := x.ask("INFO")
	if text, ok := reply.(string); ok {
		f.Server = parseInfo(text)
	} else if err == nil {
		err = fmt.Errorf("unexpected reply %T to INFO", reply)
	}
	f.ServerErr = err

	found := make(map[string]string)
	// One after the other: before Redis 7 it takes a single pattern. Never all: there
	// are passwords among them.
	for _, pattern := range []string{"*appendfsync*", "save", "min-*-to-write"} {
		if reply, err = x.ask("CONFIG", "GET", pattern); err == nil {
			err = parseConfig(reply, found)
		}
		if err != nil {
			f.ConfigErr = err
			break
		}
	}
	f.Config = Config{
		Fsync: found["appendfsync"], FsyncInRewrite: found["no-appendfsync-on-rewrite"] != "yes",
		Save: found["save"], MinReplicas: found["min-replicas-to-write"],
	}

	// Sentinels find each other on this channel of the master that they watch.
	reply, err = x.ask("PUBSUB", "NUMSUB", "__sentinel__:hello")
	f.SentinelsErr = err
	if pair, ok := reply.([]any); ok && len(pair) == 2 {
		f.Sentinels, _ = pair[1].(int64)
	}
}

// watchClock reads the server's clock over the period, and so measures round trips.
// A refusal takes a round trip, too.
func (x *examination) watchClock() {
	pause := time.NewTicker(max(x.Period/(samples-1), time.Millisecond))
	defer pause.Stop()
	for i := range samples {
		if i > 0 {
			select {
			case <-pause.C:
			case <-x.ctx.Done():
				return
			}
		}
		s := Sample{Sent: time.Since(x.Origin)}
		reply, err := x.ask("TIME")
		s.Received = time.Since(x.Origin)
		if x.broken != nil {
			if i == 0 {
				x.facts.ClockErr = err
			}
			return
		}
		if err == nil {
			s.Clock, err = parseTime(reply)
		}
		if err != nil {
			x.facts.ClockErr = err
		}
		x.facts.Samples = append(x.facts.Samples, s)
	}
}
