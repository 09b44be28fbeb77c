package demo

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/quorumlock/quorumlock/election"
)

const (
	candidateCount = 3
	stepsOfALeader = 5

	// electionLength is how long the second part may take. It takes about seven seconds.
	electionLength = 10 * time.Second

	// afterStep is how long after its last step a leader ends: the observer has shown it then.
	afterStep = pace / 2
)

// CandidateCommand is the sub-command that runs [Candidate], with its name and the addresses as
// arguments.
const CandidateCommand = "demo-candidate"

// Leaders is how the second part ended.
type Leaders struct {
	Elected   int           // leaders
	AfterKill time.Duration // until the next one was elected
	AfterEnd  time.Duration // the same after one that resigned
	Forgotten int           // leaders that did not find the last step of the one before
	Two       int           // leaders that were elected while another one led
}

// The second part: processes campaign. The first leader is killed, the others resign. An observer
// shows each change.
type leaders struct {
	Leaders
	out        *lines
	began      time.Time
	candidates []*candidate
	heard      chan said
	referee    referee

	leader   *candidate       // nil if it was killed, or resigned
	steps    int              // of this leader that were acknowledged
	last     int              // the number of the last one
	due      <-chan time.Time // this leader is to end
	released time.Time        // when the last leader was killed, or was told to resign
	killed   int              // 1 if that one was killed, more if it resigned
}

// A candidate is a process.
type candidate struct {
	name  string
	cmd   *exec.Cmd
	input io.Closer // nil when it has ended
	hold  int       // of the referee
}

// said is a line of a candidate; word is "" at its end.
type said struct {
	by   *candidate
	word string
	step int
	at   time.Time
}

// elect plays the second part, until it is over or ctx ends.
func elect(ctx context.Context, addrs []string, stdout io.Writer) (Leaders, error) {
	l := &leaders{out: newLines(stdout), began: time.Now(), heard: make(chan said)}
	defer l.end()
	observer, end, err := enter(addrs, "observer")
	if err != nil {
		return Leaders{}, err
	}
	defer end()
	changes, err := observer.Observe(ctx)
	if err != nil {
		return Leaders{}, err
	}
	fmt.Fprintf(stdout, "\nAn election on the same masters: %d processes campaign, TTL %s. The leader\nproclaims each step of its work. An observer prints each change.\n\n", candidateCount, seconds(electionTTL))
	for i := range candidateCount {
		if err := l.start(fmt.Sprintf("candidate-%d", i+1), addrs); err != nil {
			return Leaders{}, err
		}
		if i > 0 {
			continue
		}
		for l.Elected == 0 && ctx.Err() == nil { // the first one leads before the others come
			l.next(ctx, changes)
		}
	}
	for running := candidateCount; running > 0 && ctx.Err() == nil; {
		if l.next(ctx, changes) {
			running--
		}
	}
	_, overlaps := l.referee.verdict()
	l.Two = len(overlaps)
	return l.Leaders, nil
}

// start starts a process.
func (l *leaders) start(name string, addrs []string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	c := &candidate{name: name, cmd: exec.Command(self, append([]string{CandidateCommand, name}, addrs...)...)}
	output, err := c.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if c.input, err = c.cmd.StdinPipe(); err != nil {
		return err
	}
	if err := c.cmd.Start(); err != nil {
		return err
	}
	l.candidates = append(l.candidates, c)
	go func() { // ends with the process; end hears it
		for lines := bufio.NewScanner(output); lines.Scan(); {
			s := said{by: c}
			var micros int64
			if _, err := fmt.Sscan(lines.Text(), &s.word, &s.step, &micros); err == nil {
				s.at = time.UnixMicro(micros)
				l.heard <- s
			}
		}
		_ = c.cmd.Wait()
		l.heard <- said{by: c}
	}()
	return nil
}

// end kills the processes that are left.
func (l *leaders) end() {
	left := 0
	for _, c := range l.candidates {
		if c.input != nil {
			_ = c.cmd.Process.Kill()
			left++
		}
	}
	for left > 0 {
		if s := <-l.heard; s.word == "" {
			_ = s.by.input.Close()
			left--
		}
	}
}

// next shows what happens next. It reports whether a process has ended.
func (l *leaders) next(ctx context.Context, changes <-chan election.Change) (ended bool) {
	select {
	case change, more := <-changes:
		if more {
			l.observed(change)
		}
	case s := <-l.heard:
		l.candidate(s)
		return s.word == ""
	case <-l.due:
		l.endLeader()
	case <-ctx.Done():
	}
	return false
}

// observed shows a change.
func (l *leaders) observed(c election.Change) {
	switch c.Kind {
	case election.Leads:
		l.note(fmt.Sprintf("observer: %s leads: %q", c.Leader.Holder, c.Leader.Value))
	case election.None:
		l.note("observer: nobody leads")
	default:
		l.note("observer: too few masters answer to say so")
	}
}

// candidate takes what a candidate says.
func (l *leaders) candidate(s said) {
	switch s.word {
	case electedWord:
		s.by.hold = l.referee.begin(s.by.name, s.at)
		l.elected(s.by, s.step)
	case stepWord:
		l.steps, l.last = l.steps+1, s.step
		if l.leader == s.by && l.steps == stepsOfALeader {
			l.due = time.After(afterStep)
		}
	case endedWord:
		l.referee.finish(s.by.hold, s.at)
		if l.leader == s.by { // the machine was too busy to renew it
			l.leader, l.due, l.released = nil, nil, time.Now()
			l.note(s.by.name + " has lost the leadership")
		}
	default:
		_ = s.by.input.Close()
		s.by.input = nil
	}
}

// endLeader lets the leader end: the first one is killed.
func (l *leaders) endLeader() {
	c := l.leader
	l.leader, l.due, l.released = nil, nil, time.Now()
	if l.killed++; l.killed > 1 {
		_ = c.input.Close()
		l.note(fmt.Sprintf("%s resigns after step %d", c.name, l.last))
		return
	}
	_ = c.cmd.Process.Kill()
	l.referee.finish(c.hold, l.released)
	l.note(fmt.Sprintf("%s IS KILLED after step %d; its TTL has to pass", c.name, l.last))
}

// elected takes that a candidate was elected, and found that step.
func (l *leaders) elected(c *candidate, step int) {
	l.leader, l.due = c, nil
	if l.Elected++; l.Elected == 1 {
		return
	}
	after := time.Since(l.released)
	if l.killed == 1 {
		l.AfterKill = after
	} else {
		l.AfterEnd = after
	}
	if l.steps > 0 && step < l.last { // it may be larger: the killed one may not have said its last one
		l.Forgotten++
	}
	l.steps = 0
	l.note(fmt.Sprintf("%s is elected after %s, and found step %d", c.name, brief(after), step))
}

// brief is a time as short as it can be.
func brief(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return seconds(d)
}

func (l *leaders) note(text string) { l.out.write(time.Since(l.began), text) }
