package servers_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/election"
	"github.com/quorumlock/quorumlock/internal/redisproc"
	"github.com/quorumlock/quorumlock/redlock"
)

func mustElection(t *testing.T, l *redlock.Locker, name string) *election.Election {
	t.Helper()
	e, err := election.New(l, name)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestCandidatesLeadOneAfterTheOtherInTheOrderOfTheirCampaigns(t *testing.T) {
	all := startServers(t, 3, redisproc.Options{})
	withEach(t, func(t *testing.T, lib library) {
		all.must(t, "FLUSHALL")
		ctx := patience(t)
		const candidates = 4
		observer := lib.Locker(t, all.addrs())
		o := mustElection(t, observer, "leader")
		watching, stop := context.WithCancel(ctx)
		defer stop()
		changes, err := o.Observe(watching)
		if err != nil {
			t.Fatal(err)
		}
		var seen []election.Change
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for c := range changes {
				seen = append(seen, c)
			}
		}()

		var mu sync.Mutex
		var order []int
		var group sync.WaitGroup
		othersWait := make(chan struct{})
		var last string
		var lastTerm uint64
		for i := range candidates {
			locker := lib.Locker(t, all.addrs(), redlock.WithOwner(fmt.Sprint("candidate ", i)))
			e := mustElection(t, locker, "leader")
			group.Go(func() {
				s, err := e.Campaign(ctx, fmt.Sprint("value of ", i))
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				order = append(order, i)
				before, ok := s.Previous()
				if ok != (last != "") || before.Value != last || before.Term != lastTerm {
					t.Errorf("%d finds %+v, want %q", i, before, last)
				}
				if s.Term() <= lastTerm || !s.IsLeader() {
					t.Errorf("term %d after %d", s.Term(), lastTerm)
				}
				if _, err := o.Leader(ctx); err != nil {
					t.Error(err)
				}
				last, lastTerm = fmt.Sprint("last value of ", i), s.Term()
				if err := s.Proclaim(ctx, last); err != nil {
					t.Error(err)
				}
				if l, err := o.Leader(ctx); err != nil || l.Value != last || l.Term != lastTerm || l.Holder != fmt.Sprint("candidate ", i) {
					t.Errorf("%+v, %v; want %q", l, err, last)
				}
				if i == 0 {
					<-othersWait
				}
				if err := s.Resign(ctx); err != nil {
					t.Error(err)
				}
			})
			if i == 0 {
				eventually(t, "the first leads", func() bool { _, err := o.Leader(ctx); return err == nil })
			} else {
				eventually(t, "every server has it in its queue", func() bool {
					for _, s := range all {
						if n, err := s.Do("ZCARD", "{leader}:queue"); err != nil || n != int64(i) {
							return false
						}
					}
					return true
				})
				if n, err := e.Candidates(ctx); err != nil || n != i {
					t.Errorf("%d candidates, %v, want %d", n, err, i)
				}
			}
			t.Cleanup(func() { settle(t, locker) })
		}
		close(othersWait)
		group.Wait()
		if fmt.Sprint(order) != "[0 1 2 3]" {
			t.Errorf("the order is %v", order)
		}
		if l, err := o.Leader(ctx); !errors.Is(err, election.ErrNoLeader) {
			t.Error(l, err)
		}
		stop()
		<-ended
		var term, seq uint64
		for _, c := range seen {
			if c.Kind != election.Leads {
				continue
			}
			if c.Leader.Term < term || c.Leader.Term == term && c.Leader.Seq <= seq {
				t.Errorf("the observer is told %+v after term %d, value %d", c.Leader, term, seq)
			}
			term, seq = c.Leader.Term, c.Leader.Seq
		}
		settle(t, observer)
	})
}

// A leader is killed: nobody unlocks, and its keys expire.
func TestTheNextLeaderFollowsOneThatDiedAndHasItsLastValue(t *testing.T) {
	all := startServers(t, 3, redisproc.Options{})
	withTwo(t, func(t *testing.T, lib library) {
		all.must(t, "FLUSHALL")
		ctx := patience(t)
		dying, next := lib.Locker(t, all.addrs(), redlock.WithTTL(3*time.Second)), lib.Locker(t, all.addrs(), redlock.WithTTL(3*time.Second))
		a, err := mustElection(t, dying, "leader").Campaign(ctx, "a")
		if err != nil {
			t.Fatal(err)
		}
		for i := range 100 {
			if err := a.Proclaim(ctx, fmt.Sprint("checkpoint ", i)); err != nil {
				t.Fatal(err)
			}
		}
		ended, end := context.WithCancel(ctx)
		end()
		_ = dying.Close(ended) // it renews no more, and its lock is left
		b, err := mustElection(t, next, "leader").Campaign(ctx, "b")
		if err != nil {
			t.Fatal(err)
		}
		if before, ok := b.Previous(); !ok || before.Value != "checkpoint 99" || before.Seq != 100 {
			t.Errorf("%+v", before)
		}
		if a.IsLeader() {
			t.Error("both lead")
		}
		if err := b.Resign(ctx); err != nil {
			t.Error(err)
		}
		settle(t, next)
	})
}
