package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/quorumlock/quorumlock/cmd/redlock/internal/child"
	"github.com/quorumlock/quorumlock/election"
	"github.com/quorumlock/quorumlock/redlock"
)

// forever is a time to wait that does not end.
const forever time.Duration = -1

// Run campaigns, runs the command, resigns and reports how that ended.
func (e *electCommand) Run(s *streams) error {
	r := e.asRun()
	if r.Wait == forever {
		r.round = (&outage{name: e.Name, say: s.say}).round
	}
	return r.report(s, func(locker *redlock.Locker, j *job) error { return e.lead(r, locker, j) })
}

// asRun is a run whose lock is that of the leader.
func (e *electCommand) asRun() *runCommand {
	r := &runCommand{
		masters: e.masters, Name: e.Name, TTL: e.TTL, Wait: forever, Fair: true, Fencing: true, Guard: e.Guard,
		Timeout: e.Timeout, Grace: e.Grace, Owner: e.Owner, Prefix: e.Prefix, Conflict: e.Conflict,
		StatusFD: e.StatusFD, Quiet: e.Quiet, Verbose: e.Verbose, Command: e.Command,
	}
	if e.Wait != nil {
		r.Wait = *e.Wait
	}
	return r
}

// lead campaigns, and runs the command while this process leads.
func (e *electCommand) lead(r *runCommand, locker *redlock.Locker, j *job) error {
	el, err := election.New(locker, e.Name)
	if err != nil {
		return endWith(exitUsage, err)
	}
	value := r.Owner
	if e.Value != nil {
		value = *e.Value
	}
	s, err := e.campaign(r, el, value, j.signals)
	if err != nil {
		return err
	}
	h := &hold{
		lock: s.Lock(), what: "the leadership", named: fmt.Sprintf("the leadership of %q", e.Name), held: s.IsLeader, unlock: s.Resign,
		grace: e.Grace, signals: j.signals, say: j.say, verbose: e.Verbose, began: time.Now(),
	}
	if len(e.Command) == 0 {
		return h.untilInterrupted(j.stdout, elected(e.Name, value, s))
	}
	if e.Verbose {
		j.say.Print(elected(e.Name, value, s))
	}
	env := r.environment(os.Environ(), s.Term())
	if former, ok := s.Previous(); ok && !strings.ContainsRune(former.Value, 0) { // no variable can have that
		env = append(env, previousVariable+"="+former.Value)
	}
	return h.run(j.path, j.argv, env)
}

// An outage is a time in which no majority answers a candidate. It waits for ever by default: so it
// says once that it does, and why.
type outage struct {
	name string
	say  *log.Logger

	mu   sync.Mutex // protects said
	said bool
}

// round is called for the rounds of the candidate, and of the leader.
func (o *outage) round(r redlock.RoundInfo) {
	q := (*redlock.QuorumError)(nil)
	fails := errors.As(r.Err, &q) && !errors.Is(q, redlock.ErrTaken) && q.Nodes != nil
	o.mu.Lock()
	news := fails && !o.said && r.Op == "lock"
	o.said = fails
	o.mu.Unlock()
	if news {
		o.say.Printf("warning: no majority answers the campaign for %q, which goes on: %s", o.name, quorumWords(q))
	}
}

// elected says what was won.
func elected(name, value string, s *election.Leadership) string {
	text := fmt.Sprintf("this process leads %q with %s, term %d", name, short(value), s.Term())
	if former, ok := s.Previous(); ok {
		text += "; the last value before was " + short(former.Value)
	}
	return text
}

// campaign waits for the leadership, or for a signal that asks to end.
func (e *electCommand) campaign(r *runCommand, el *election.Election, value string, signals <-chan os.Signal) (*election.Leadership, error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var s *election.Leadership
	ended := make(chan error, 1)
	go func() { // ends with ctx
		var err error
		s, err = el.Campaign(ctx, value)
		ended <- err
	}()
	for {
		select {
		case err := <-ended:
			return s, e.refusal(r, err)
		case sig := <-signals:
			switch {
			case child.Ends(sig):
				cancel()
				if err := <-ended; err == nil { // it was elected at that moment
					_ = s.Resign(context.Background())
				}
				return nil, endWith(exitSignal+child.Number(sig), fmt.Errorf("%v while campaigning for %q", sig, e.Name))
			case child.Suspends(sig):
				child.Suspend()
			}
		}
	}
}

// refusal returns the error of a campaign with its exit code.
func (e *electCommand) refusal(r *runCommand, err error) error {
	why, within := "", ""
	q := (*redlock.QuorumError)(nil)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &q):
		why = quorumWords(q)
	case errors.Is(err, context.DeadlineExceeded):
		why = "no attempt was over by then"
	default:
		return endWith(exitUsage, err) // the name, or the value
	}
	if errors.Is(err, context.DeadlineExceeded) {
		within = fmt.Sprintf(" within --wait %v", r.Wait)
	}
	err = fmt.Errorf("%q: not elected%s: %s", e.Name, within, why)
	switch {
	case q != nil && !errors.Is(q, redlock.ErrTaken):
		return endWith(exitNoQuorum, err)
	case e.Quiet:
		err = nil
	}
	return &ending{code: e.Conflict, word: wordTaken, err: err}
}

// untilInterrupted leads until a signal asks to end, or the leadership is lost.
func (h *hold) untilInterrupted(output io.Writer, text string) error {
	if h.held() {
		if _, err := fmt.Fprintln(output, text); err != nil {
			h.release()
			return endWith(exitSystem, written(err))
		}
	}
	_, h.lost = h.await(nil)
	lost := h.lost
	h.release()
	switch {
	case lost:
		return endWith(exitLost, fmt.Errorf("%s was lost: %s", h.named, trimmed(context.Cause(h.lock.Context()))))
	case h.lost: // as the release has shown, and said
		return endWith(exitLost, nil)
	}
	_, _ = fmt.Fprintf(output, "this process resigned: it leads %q no more\n", h.lock.Name())
	return &ending{word: wordReleased}
}
