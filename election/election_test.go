package election_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorumlock/quorumlock/election"
	"github.com/quorumlock/quorumlock/internal/fakenode"
	"github.com/quorumlock/quorumlock/pool"
	"github.com/quorumlock/quorumlock/redlock"
)

var ctx = context.Background()

// A fixture is an election on three nodes in virtual time. (The model of a node knows no wait
// queue: the order of candidates is tested on real servers.)
type fixture struct {
	*testing.T
	nodes []*fakenode.Node
}

// A candidate is a process that campaigns.
type candidate struct {
	*election.Election
	locker *redlock.Locker
}

func (f *fixture) candidate(name string, opts ...redlock.LockOption) candidate {
	f.Helper()
	var pools []pool.Pool
	for _, n := range f.nodes {
		pools = append(pools, &fakenode.Client{Node: n})
	}
	locker, err := redlock.New(pools, redlock.WithOwner(name), redlock.WithTTL(4*time.Second))
	if err != nil {
		f.Fatal(err)
	}
	e, err := election.New(locker, "leader", opts...)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		if err := locker.Close(ctx); err != nil {
			f.Error(err)
		}
	})
	return candidate{e, locker}
}

func inBubble(t *testing.T, test func(f *fixture)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := &fixture{T: t}
		f.nodes, _ = fakenode.Pools(3)
		t.Cleanup(func() {
			time.Sleep(time.Hour) // the nodes give up what is with them
		})
		test(f)
		f.faults(fakenode.Faults{})
	})
}

func (f *fixture) faults(faults fakenode.Faults, numbers ...int) {
	fakenode.SetFaults(f.nodes, faults, numbers...)
}

func (f *fixture) campaign(c candidate, value string) *election.Leadership {
	f.Helper()
	s, err := c.Campaign(ctx, value)
	if err != nil {
		f.Fatal(err)
	}
	return s
}

func (f *fixture) leader(c candidate, holder, value string) election.Leader {
	f.Helper()
	l, err := c.Leader(ctx)
	if err != nil || l.Holder != holder || l.Value != value || !l.Confirmed {
		f.Fatalf("the leader is %+v, %v; want %s with %q", l, err, holder, value)
	}
	return l
}

func TestTheNextLeaderHasWhatTheOneBeforeProclaimed(t *testing.T) {
	inBubble(t, func(f *fixture) {
		a, b := f.candidate("a"), f.candidate("b")
		if _, err := b.Leader(ctx); !errors.Is(err, election.ErrNoLeader) {
			f.Error(err)
		}
		first := f.campaign(a, "a is here")
		if before, ok := first.Previous(); ok {
			f.Errorf("the first leader comes after %+v", before)
		}
		f.leader(b, "a", "a is here")
		if _, err := b.TryCampaign(ctx, "b"); !errors.Is(err, redlock.ErrTaken) {
			f.Error(err)
		}
		for i := range 1000 {
			if err := first.Proclaim(ctx, fmt.Sprint("checkpoint ", i)); err != nil {
				f.Fatal(err)
			}
		}
		if l := f.leader(b, "a", "checkpoint 999"); l.Seq != 1000 || l.Term != first.Term() {
			f.Errorf("%+v", l)
		}
		if err := first.Resign(ctx); err != nil {
			f.Error(err)
		}
		if first.IsLeader() || first.Context().Err() == nil {
			f.Error("it still leads")
		}
		if err := first.Proclaim(ctx, "late"); !errors.Is(err, redlock.ErrNotHeld) {
			f.Error(err)
		}
		if _, err := b.Leader(ctx); !errors.Is(err, election.ErrNoLeader) {
			f.Error(err)
		}
		second := f.campaign(b, "b is here")
		if before, ok := second.Previous(); !ok || before.Value != "checkpoint 999" || before.Term != first.Term() {
			f.Errorf("the second leader comes after %+v", before)
		}
		if second.Term() <= first.Term() || !second.IsLeader() {
			f.Errorf("its term is %d after %d", second.Term(), first.Term())
		}
		f.leader(a, "b", "b is here")
		if err := second.Resign(ctx); err != nil {
			f.Error(err)
		}
	})
}

// The masters store the first value, and their answers are lost: it is proclaimed once more.
func TestALeaderWhoseFirstProclaimFailsStillHasWhatTheOneBeforeProclaimed(t *testing.T) {
	inBubble(t, func(f *fixture) {
		a, b := f.candidate("a"), f.candidate("b")
		first := f.campaign(a, "a")
		if err := first.Proclaim(ctx, "checkpoint"); err != nil {
			f.Fatal(err)
		}
		if err := first.Resign(ctx); err != nil {
			f.Fatal(err)
		}
		f.faults(fakenode.Faults{Delay: 10 * time.Millisecond})
		elected := make(chan *election.Leadership)
		go func() { elected <- f.campaign(b, "b") }()
		for f.nodes[0].Count("acquire") < 4 { // two for each: the first token of a process is too small
			time.Sleep(time.Millisecond)
		}
		time.Sleep(5 * time.Millisecond) // it reads what the leader before has left
		f.faults(fakenode.Faults{LoseReplies: true})
		time.Sleep(time.Second / 2)
		f.faults(fakenode.Faults{})
		second := <-elected
		if before, ok := second.Previous(); !ok || before.Value != "checkpoint" || before.Term != first.Term() {
			f.Errorf("the leader before has left %+v", before)
		}
		f.leader(a, "b", "b")
		if err := second.Resign(ctx); err != nil {
			f.Error(err)
		}
	})
}

// It is granted by one node, and by no majority.
func TestACandidateThatWasNotElectedIsNeverShown(t *testing.T) {
	inBubble(t, func(f *fixture) {
		a, b := f.candidate("a"), f.candidate("b")
		for i, n := range f.nodes {
			if i > 0 {
				n.Hold("leader", "rl1:00000000000000000000000000000000:another", time.Minute)
			}
		}
		if _, err := a.TryCampaign(ctx, "a"); !errors.Is(err, redlock.ErrTaken) {
			f.Error(err)
		}
		if l, err := b.Leader(ctx); !errors.Is(err, election.ErrNoLeader) {
			f.Error(l, err)
		}
	})
}

// It holds the lock, and has proclaimed nothing yet. The value of the leader before is not its own.
func TestALeaderThatHasProclaimedNothingIsNotShown(t *testing.T) {
	inBubble(t, func(f *fixture) {
		a := f.candidate("a")
		if err := f.campaign(a, "a").Resign(ctx); err != nil {
			f.Fatal(err)
		}
		for _, n := range f.nodes {
			n.Hold("leader", "rl1:00000000000000000000000000000000:another", time.Minute)
		}
		if l, err := a.Leader(ctx); !errors.Is(err, election.ErrNoLeader) {
			f.Error(l, err)
		}
	})
}

// A leader that is thought to be dead has a value on its way.
func TestAProclamationOfAFormerLeaderThatComesLateIsNotStored(t *testing.T) {
	inBubble(t, func(f *fixture) {
		a, b := f.candidate("a"), f.candidate("b")
		first := f.campaign(a, "a")
		f.faults(fakenode.Faults{Delay: 10 * time.Second, Uninterrupted: true})
		late := make(chan error)
		go func() { late <- first.Proclaim(ctx, "late") }()
		if err := <-late; err == nil {
			f.Error("a value without an answer is proclaimed")
		}
		time.Sleep(4 * time.Second) // its keys expire: it cannot renew them
		f.faults(fakenode.Faults{})
		if first.IsLeader() {
			f.Error("it leads without its keys")
		}
		second := f.campaign(b, "b")
		time.Sleep(20 * time.Second)
		f.leader(b, "b", "b")
		for _, err := range []error{second.Resign(ctx), func() error {
			err := first.Resign(ctx)
			if errors.Is(err, redlock.ErrNotHeld) {
				return nil
			}
			return fmt.Errorf("the first leader resigns: %w", err)
		}()} {
			if err != nil {
				f.Error(err)
			}
		}
	})
}

func (f *fixture) next(changes <-chan election.Change, kind election.Kind, value string) election.Change {
	f.Helper()
	select {
	case c := <-changes:
		if c.Kind != kind || c.Leader.Value != value {
			f.Fatalf("the observer is told %v %q (%v), want %v %q", c.Kind, c.Leader.Value, c.Err, kind, value)
		}
		return c
	case <-time.After(time.Hour):
		f.Fatalf("the observer is told nothing, want %v %q", kind, value)
	}
	return election.Change{}
}

func TestAnObserverIsToldOfEachLeaderAndOfItsEnd(t *testing.T) {
	inBubble(t, func(f *fixture) {
		a, b, o := f.candidate("a"), f.candidate("b"), f.candidate("observer")
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		changes, err := o.Observe(ctx)
		if err != nil {
			f.Fatal(err)
		}
		f.next(changes, election.None, "")
		first := f.campaign(a, "a")
		f.next(changes, election.Leads, "a")
		if err := first.Proclaim(ctx, "a again"); err != nil {
			f.Error(err)
		}
		f.next(changes, election.Leads, "a again")
		begun := time.Now()
		if err := first.Resign(ctx); err != nil {
			f.Error(err)
		}
		f.next(changes, election.None, "")
		if took := time.Since(begun); took > 5*time.Millisecond {
			f.Errorf("the end of a leader that resigned took %v", took)
		}

		second := f.campaign(b, "b")
		f.next(changes, election.Leads, "b")
		f.faults(fakenode.Faults{Refuse: true}, 0, 1)
		f.next(changes, election.Unknown, "")
		time.Sleep(10 * time.Second)
		if second.IsLeader() {
			f.Error("it leads without a majority")
		}
		f.faults(fakenode.Faults{})
		f.next(changes, election.None, "")
		_ = second.Resign(ctx)
	})
}

// A leader that died is not told of by anybody.
func TestAnObserverIsToldWithinATTLThatALeaderHasDied(t *testing.T) {
	inBubble(t, func(f *fixture) {
		a, o := f.candidate("a"), f.candidate("observer")
		changes, err := o.Observe(f.Context())
		if err != nil {
			f.Fatal(err)
		}
		f.next(changes, election.None, "")
		first := f.campaign(a, "a")
		f.next(changes, election.Leads, "a")
		time.Sleep(time.Minute)
		for _, n := range f.nodes { // as if it had been renewed for the last time
			n.Hold("leader", n.Get("leader"), 3300*time.Millisecond)
		}
		f.block(a)
		begun := time.Now()
		f.next(changes, election.None, "")
		if took := time.Since(begun); took > 3310*time.Millisecond {
			f.Errorf("it took %v", took)
		}
		_ = first
	})
}

// block ends a candidate, and leaves its keys.
func (f *fixture) block(c candidate) {
	f.Helper()
	_ = c.locker.Close(ctx) // says that a lock is held
}

func TestRunResignsWhenLeadHasReturnedAndNotBefore(t *testing.T) {
	inBubble(t, func(f *fixture) {
		a, b := f.candidate("a"), f.candidate("b")
		var order []string
		failure := errors.New("lead failed")
		leads := make(chan *election.Leadership)
		done := make(chan error)
		go func() {
			done <- a.Run(ctx, "a", func(ctx context.Context, s *election.Leadership) error {
				leads <- s
				<-ctx.Done()
				time.Sleep(time.Minute) // it has work to end
				order = append(order, "a has returned")
				return failure
			})
		}()
		s := <-leads
		if err := s.Resign(ctx); err != nil {
			f.Error(err)
		}
		second := f.campaign(b, "b")
		order = append(order, "b leads")
		if err := <-done; !errors.Is(err, failure) || errors.Is(err, redlock.ErrLost) {
			f.Error(err)
		}
		if got := strings.Join(order, ", "); got != "a has returned, b leads" {
			f.Error(got)
		}
		if err := second.Resign(ctx); err != nil {
			f.Error(err)
		}
	})
}

func TestRunSaysThatTheLeadershipWasLost(t *testing.T) {
	inBubble(t, func(f *fixture) {
		a := f.candidate("a")
		err := a.Run(ctx, "a", func(ctx context.Context, s *election.Leadership) error {
			f.faults(fakenode.Faults{Refuse: true})
			<-ctx.Done()
			if s.IsLeader() {
				f.Error("it leads after the end of its context")
			}
			return nil
		})
		if !errors.Is(err, redlock.ErrLost) || !errors.Is(err, redlock.ErrExpired) {
			f.Error(err)
		}
	})
}

func TestRunEndsWithItsContextAndWithAPanic(t *testing.T) {
	inBubble(t, func(f *fixture) {
		a := f.candidate("a")
		ctx, cancel := context.WithCancel(ctx)
		err := a.Run(ctx, "a", func(ctx context.Context, s *election.Leadership) error {
			cancel()
			<-ctx.Done()
			return ctx.Err()
		})
		if !errors.Is(err, context.Canceled) || errors.Is(err, redlock.ErrLost) {
			f.Error(err)
		}
		func() {
			defer func() {
				if recover() != "lead panics" {
					f.Error("the panic is gone")
				}
			}()
			_ = a.Run(context.Background(), "a", func(context.Context, *election.Leadership) error { panic("lead panics") })
		}()
		s, err := a.TryCampaign(context.Background(), "again")
		if err != nil {
			f.Fatal(err)
		}
		if err := s.Resign(context.Background()); err != nil {
			f.Error(err)
		}
	})
}

// A master that was away gets the value when it is back, without a reader.
func TestALeaderStoresItsValueOnMastersThatComeBack(t *testing.T) {
	inBubble(t, func(f *fixture) {
		a := f.candidate("a", redlock.WithTTL(time.Hour))
		f.faults(fakenode.Faults{Refuse: true}, 2)
		s := f.campaign(a, "a")
		f.faults(fakenode.Faults{}, 2)
		time.Sleep(time.Hour) // the lock is taken there again, and then the value
		f.faults(fakenode.Faults{Refuse: true}, 0)
		o, err := a.Leader(ctx)
		if err != nil || o.Value != "a" {
			f.Error(o, err)
		}
		f.faults(fakenode.Faults{})
		// It is prolonged for as long as it leads.
		time.Sleep(30 * time.Hour)
		f.leader(a, "a", "a")
		if err := s.Resign(ctx); err != nil {
			f.Error(err)
		}
	})
}

func TestWrongArgumentsOfAnElectionAreRefused(t *testing.T) {
	inBubble(t, func(f *fixture) {
		a := f.candidate("a")
		for what, call := range map[string]func() error{
			"no name":      func() error { _, err := election.New(a.locker, ""); return err },
			"a side key":   func() error { _, err := election.New(a.locker, "{x}:value"); return err },
			"no Locker":    func() error { _, err := election.New(nil, "name"); return err },
			"a long value": func() error { _, err := a.Campaign(ctx, strings.Repeat("x", election.MaxValue+1)); return err },
		} {
			if err := call(); err == nil {
				f.Errorf("%s is allowed", what)
			}
		}
		for _, n := range f.nodes {
			if n.Sent() > 0 {
				f.Errorf("%d commands were sent", n.Sent())
			}
		}
	})
}

// A request handler may ask for each request.
func BenchmarkIsLeader(b *testing.B) {
	masters, _ := fakenode.Pools(3)
	locker, disconnect := connect(masters, "bench")
	defer disconnect()
	e, err := election.New(locker, "leader")
	if err != nil {
		b.Fatal(err)
	}
	s, err := e.Campaign(ctx, "value")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if !s.IsLeader() {
			b.Fatal("it does not lead")
		}
	}
	_ = s.Resign(ctx)
}

func TestIsLeaderAllocatesNothing(t *testing.T) {
	masters, _ := fakenode.Pools(3)
	locker, disconnect := connect(masters, "bench")
	defer disconnect()
	e, err := election.New(locker, "leader")
	if err != nil {
		t.Fatal(err)
	}
	s, err := e.Campaign(ctx, "value")
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { s.IsLeader() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	_ = s.Resign(ctx)
}

// It was elected, and no master answered until its lock had expired.
func TestACampaignGoesOnIfItsTermEndsBeforeItIsConfirmed(t *testing.T) {
	inBubble(t, func(f *fixture) {
		a, b := f.candidate("a"), f.candidate("b")
		f.faults(fakenode.Faults{Delay: 20 * time.Millisecond})
		elected := make(chan *election.Leadership, 1)
		go func() {
			s, err := a.Campaign(ctx, "a")
			if err != nil {
				f.Error(err)
			}
			elected <- s
		}()
		for f.nodes[0].Label("leader") != "a" {
			time.Sleep(time.Millisecond)
		}
		f.faults(fakenode.Faults{LoseRequests: true})
		time.Sleep(5 * time.Second)
		f.faults(fakenode.Faults{})
		s := <-elected
		if s == nil || !s.IsLeader() {
			f.Fatal("it does not lead")
		}
		f.leader(b, "a", "a")
		if err := s.Resign(ctx); err != nil {
			f.Error(err)
		}
	})
}
