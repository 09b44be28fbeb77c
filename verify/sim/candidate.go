package main

import (
	"context"
	"fmt"

	"github.com/quorumlock/quorumlock/election"
	"github.com/quorumlock/quorumlock/redlock"
)

// A candidate is a call that campaigns. To the rules it is one that takes a lock: two leaders
// are two holders, and terms are tokens.

// takeOrLead takes the lock of a call, by a campaign if it is one.
func (s *session) takeOrLead(ctx context.Context, opts []redlock.LockOption) (*holding, error) {
	if s.Kind != campaign && s.Kind != tryElect {
		k, err := s.take(ctx, opts)
		if err != nil {
			return nil, err
		}
		return &holding{k, k.Context().Done()}, nil
	}
	run := s.client.election.Campaign
	if s.Kind == tryElect {
		run = s.client.election.TryCampaign
	}
	l, err := run(ctx, s.text(0))
	if err != nil {
		return nil, err
	}
	s.leader.Store(l)
	s.leads(l)
	s.acknowledged(s.what(0), s.text(0), s.begun)
	return &holding{l.Lock(), l.Context().Done()}, nil
}

// text is the value that a call proclaims after so many others.
func (s *session) text(i int) string { return fmt.Sprintf("value %d.%d", s.Call, i) }

func (s *session) what(i int) string {
	return fmt.Sprintf("%v's %s %d.%d", s.client, s.Kind, s.Call, i)
}

// giveBack ends what a call holds.
func (s *session) giveBack(ctx context.Context) error {
	if l := s.leader.Load(); l != nil {
		return l.Resign(ctx)
	}
	if s.doing != nil {
		return s.doing.give(ctx)
	}
	return s.held.Load().Unlock(ctx)
}

// write has the holder publish, now and then, until end is called. What is under way then goes
// on while the lock is given back.
func (s *session) write() (end func()) {
	if s.Kind != campaign && s.Kind != tryElect && s.Kind != holderCall || s.Times == 0 {
		return func() {}
	}
	ended := make(chan struct{})
	go func() { // ends with the hold, or the process
		defer close(ended)
		for i := 1; i <= s.Times && s.client.rest(s.event, i, s.unlock); i++ {
			if l := s.leader.Load(); l != nil {
				s.proclaim(l, i)
			} else {
				s.publishAs(s.held.Load().Lock, i)
			}
		}
	}()
	return func() {
		s.early()
		<-ended
	}
}

// proclaim is one value of a leader.
func (s *session) proclaim(l *election.Leadership, i int) {
	ctx, cancel := s.client.operation(s.event, i)
	defer cancel()
	begun := s.client.world.now()
	err := l.Proclaim(ctx, s.text(i))
	s.client.saw("%s: %q: %v", s.what(i), s.text(i), err)
	if err == nil {
		s.acknowledged(s.what(i), s.text(i), begun)
	}
}
