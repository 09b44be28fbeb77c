package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/election"
	"github.com/quorumlock/quorumlock/redlock"
)

// A process that sleeps: it campaigns, proclaims or runs, is stopped for two TTLs in the midst of
// it, and says after every step whether it leads. Meanwhile another process was elected.

// sleeperEnvironment makes the test binary such a process. Its value is what it does.
const sleeperEnvironment = "TORTURE_SLEEPER"

const sleeperTTL = 2 * time.Second

// A belief is what it says.
type belief struct {
	Step   string
	Before time.Duration // when it began to look
	Leads  bool          `json:",omitempty"`
	Term   uint64        `json:",omitempty"`
	Err    string        `json:",omitempty"`
	Lost   bool          `json:",omitempty"` // Err matches redlock.ErrLost
}

// A sleeper waits for a line on its stdin before the step in which it is to be stopped, and for
// another one when it may stop waiting.
type sleeper struct {
	clock clock
	out   *json.Encoder
}

// believe looks in two ways whether it leads.
func (b *sleeper) believe(step string, s *election.Leadership, err error) bool {
	says := belief{Step: step, Before: b.clock.now()}
	if s != nil {
		if rand.IntN(2) == 0 {
			says.Leads = s.Context().Err() == nil
		} else {
			says.Leads = s.IsLeader()
		}
		says.Term = s.Term()
	}
	if err != nil {
		says.Err, says.Lost = err.Error(), errors.Is(err, redlock.ErrLost)
	}
	_ = b.out.Encode(says)
	return says.Leads
}

func newSleepersLocker(addrs []string, owner string) (*redlock.Locker, func() error, error) {
	pools, closeAll, err := open("go-redis", addrs)
	if err != nil {
		return nil, nil, err
	}
	locker, err := redlock.New(pools, redlock.WithTTL(sleeperTTL), redlock.WithNodeTimeout(sleeperTTL/4), redlock.WithOwner(owner))
	return locker, closeAll, err
}

func beSleeper(what, name string, addrs []string) error {
	b := &sleeper{out: json.NewEncoder(os.Stdout)}
	locker, closeAll, err := newSleepersLocker(addrs, "sleeper")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	in := bufio.NewScanner(os.Stdin)
	over := make(chan struct{})
	awake := func() { // waits for the end of the sleep, next to what is done
		defer close(over)
		in.Scan()
		time.Sleep(200 * time.Millisecond)
		cancel()
	}
	e, err := election.New(locker, name)
	if err != nil {
		return err
	}
	warm, err := election.New(locker, name+" warm")
	if err != nil {
		return err
	}
	// Connections are open and scripts are known.
	s, err := warm.Campaign(ctx, "warm")
	if err != nil {
		return err
	}
	if err := s.Resign(ctx); err != nil {
		return err
	}
	switch what {
	case "Campaign":
		b.believe("ready", nil, nil)
		in.Scan()
		go awake() // ends with the second line
		s, err = e.Campaign(ctx, "first")
		b.believe("returned", s, err)
	case "Proclaim":
		if s, err = e.Campaign(ctx, "first"); err != nil {
			return err
		}
		b.believe("ready", s, nil)
		in.Scan()
		go awake()
		err = s.Proclaim(ctx, "late")
		b.believe("returned", s, err)
	case "Run":
		err = e.Run(ctx, "first", func(_ context.Context, leads *election.Leadership) error {
			s = leads
			b.believe("ready", s, nil)
			in.Scan()
			go awake()
			for b.believe("leads", s, nil) {
			}
			b.believe("leads no more", s, nil)
			return nil
		})
		b.believe("returned", s, err)
	}
	for done := false; !done; time.Sleep(time.Millisecond) {
		select {
		case <-over:
			done = true
		default:
		}
		b.believe("later", s, nil)
	}
	b.believe("end", nil, nil)
	end, cancelEnd := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancelEnd()
	return errors.Join(locker.Close(end), closeAll())
}

// sleeps does a round: a process is stopped in a step for two TTLs. When is how its parent waits
// for the moment to stop it.
func sleeps(t *testing.T, c *cluster, what, name string, hold weather, when func() bool) {
	clock, err := newClock()
	if err != nil {
		t.Fatal(err)
	}
	clock.origin = 0 // that of the child
	var links []*link
	var addrs []string
	for _, addr := range c.addrs() {
		l, err := openLink(addr)
		if err != nil {
			t.Fatal(err)
		}
		defer l.close()
		links, addrs = append(links, l), append(addrs, l.addr())
	}
	set := func(w weather) {
		for _, l := range links {
			l.set(w)
		}
	}
	child := exec.Command(os.Args[0], append([]string{name}, addrs...)...)
	child.Env = append(os.Environ(), sleeperEnvironment+"="+what)
	child.Stderr = os.Stderr
	stdin, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = child.Process.Kill() // nothing to do if it has ended
		_ = child.Wait()
	}()
	says := json.NewDecoder(stdout)
	var first belief
	if err := says.Decode(&first); err != nil || first.Step != "ready" || first.Leads != (what != "Campaign") {
		t.Fatalf("%+v, %v", first, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	locker, closeAll, err := newSleepersLocker(c.addrs(), "parent")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := errors.Join(locker.Close(ctx), closeAll()); err != nil {
			t.Error(err)
		}
	}()
	e, err := election.New(locker, name)
	if err != nil {
		t.Fatal(err)
	}

	set(hold)
	if _, err := io.WriteString(stdin, "go\n"); err != nil {
		t.Fatal(err)
	}
	for !when() {
		if ctx.Err() != nil {
			t.Fatal("the moment to stop it does not come")
		}
	}
	if err := stopProcess(child.Process); err != nil {
		t.Fatal(err)
	}
	slept := clock.now()
	set(weather{}) // what was held arrives
	leads, err := e.Campaign(ctx, "parent")
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(2*sleeperTTL - (clock.now() - slept))
	woken := clock.now()
	if err := continueProcess(child.Process); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(stdin, "awake\n"); err != nil {
		t.Fatal(err)
	}
	looked := 0
	for {
		var b belief
		if err := says.Decode(&b); err != nil {
			t.Fatal(err)
		}
		if b.Step == "end" {
			break
		}
		late := b.Before >= woken
		if late {
			looked++
		}
		switch {
		case late && b.Leads && b.Term < leads.Term():
			t.Errorf("%s: it says that it leads in term %d, %v after it was woken: %s", what, b.Term, b.Before-woken, b.Step)
		case b.Step == "returned" && what == "Proclaim" && (b.Err == "" || !strings.Contains(b.Err, "not held")):
			t.Errorf("Proclaim in a sleep returned %q", b.Err)
		case b.Step == "returned" && what == "Run" && !b.Lost:
			t.Errorf("Run with a sleep returned %q", b.Err)
		}
	}
	if looked < 2 {
		t.Errorf("%s: it looked %d times after it was woken", what, looked)
	}
	if err := leads.Resign(ctx); err != nil {
		t.Log(err) // this machine may have been too busy
	}
}

func TestAProcessThatWasStoppedNeverSaysThatItLeadsWhenItWakes(t *testing.T) {
	needServers(t)
	rounds := 1
	if os.Getenv("REDLOCK_LONG") != "" {
		rounds = 12
	}
	c, err := startCluster(3)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	// stored reports whether a majority has such a value under a key.
	stored := func(key, part string) bool {
		n := 0
		for _, node := range c.nodes {
			if reply, _ := node.server.Do("GET", key); strings.Contains(fmt.Sprint(reply), part) {
				n++
			}
		}
		return n >= 2
	}
	after := func(longest time.Duration) func() bool {
		return func() bool { time.Sleep(rand.N(longest)); return true }
	}
	for round := range rounds {
		name := fmt.Sprint("round ", round)
		t.Run(name, func(t *testing.T) {
			for _, step := range []struct {
				what, in string
				hold     weather
				when     func(name string) func() bool
			}{
				// Its answers are those of before: it was granted the lock.
				{"Campaign", "while it was granted the lock", weather{holdDown: true}, func(name string) func() bool {
					return func() bool { return stored(name, ":sleeper") }
				}},
				{"Campaign", "at any moment", weather{delay: 30 * ms}, func(string) func() bool { return after(500 * ms) }},
				{"Proclaim", "when it was stored", weather{holdDown: true}, func(name string) func() bool {
					return func() bool { return stored("{"+name+"}:leader", "late") }
				}},
				{"Proclaim", "at any moment", weather{delay: 20 * ms}, func(string) func() bool { return after(60 * ms) }},
				{"Run", "at any moment", weather{}, func(string) func() bool { return after(20 * ms) }},
			} {
				t.Run(step.what+" "+step.in, func(t *testing.T) {
					t.Parallel() // most of the time they sleep
					own := name + " " + step.what + " " + step.in
					sleeps(t, c, step.what, own, step.hold, step.when(own))
				})
			}
		})
	}
}
