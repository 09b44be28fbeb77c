package fanout

import (
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/internal/node"
)

func TestUnknownOutcomeIsOverOnceTheNodeHasAnsweredForLongEnough(t *testing.T) {
	const (
		life   = 8 * time.Second
		before = 10 * time.Second // that the node had been answering when the outcome became unknown
		tick   = time.Millisecond
	)
	unknownSince := time.Now()
	end := unknownSince.Add(time.Hour) // when the release was sent
	// answering is a node without a silence that has been answering for so long since then.
	answering := func(d time.Duration) node.Liveness {
		return node.Liveness{Answers: true, LastAnswer: end, AnsweredTime: before + d, AnsweringSince: unknownSince.Add(-before)}
	}
	// after is answering with a silence that took silence and ended so long before end.
	after := func(silence, ended, d time.Duration) node.Liveness {
		p := answering(d)
		p.LastSilence, p.AnsweringSince = silence, end.Add(-ended)
		return p
	}
	answeredAt := func(p node.Liveness, at time.Time) node.Liveness { p.LastAnswer = at; return p }
	silent := answering(2 * life)
	silent.Answers = false

	for name, c := range map[string]struct {
		liveness node.Liveness
		since    time.Duration
		over     bool
	}{
		"for the lifetime of the key":                        {liveness: answering(life), over: true},
		"for less":                                           {liveness: answering(life - tick)},
		"and is silent now":                                  {liveness: silent},
		"and did not answer since":                           {liveness: answeredAt(answering(2*life), unknownSince)},
		"partly after the release was sent":                  {liveness: answeredAt(answering(life), end.Add(tick))},
		"partly after it, and for the lifetime before":       {liveness: answeredAt(answering(life+tick), end.Add(tick)), over: true},
		"and since a silence for as long as that":            {liveness: after(3*time.Second, 3*time.Second, life), over: true},
		"and since a silence for less than that":             {liveness: after(3*time.Second, 3*time.Second-tick, life)},
		"and since a long silence for the lifetime":          {liveness: after(time.Minute, life, life), over: true},
		"and since a long silence for less":                  {liveness: after(time.Minute, life-tick, life)},
		"for twice the lifetime around silences":             {liveness: after(time.Minute, tick, 2*life), over: true},
		"for less than twice the lifetime around silences":   {liveness: after(time.Minute, tick, 2*life-tick)},
		"for another lifetime, in which its key may expire":  {liveness: answering(2 * life), since: life, over: true},
		"for less than another, in which its key may expire": {liveness: answering(2*life - tick), since: life},
	} {
		s := nodeState{unknownSince: unknownSince, answeredThen: before, keyLifetime: life}
		if got := s.answeredLongEnough(c.liveness, end, c.since); got != c.over {
			t.Errorf("the node answered %s: over: %v, want %v", name, got, c.over)
		}
	}
}

func TestUnknownOutcomeOfASilentNodeIsOverOnlyAfterTenMinutes(t *testing.T) {
	const life = 8 * time.Second
	now := time.Now()
	n := node.New(nil) // it was never asked
	for name, c := range map[string]struct {
		state nodeState
		after time.Duration
		over  bool
	}{
		"nothing is unknown":        {nodeState{}, 0, true},
		"at once":                   {nodeState{unknownSince: now}, 0, false},
		"after ten minutes":         {nodeState{unknownSince: now}, life + maxUnknown, false},
		"later":                     {nodeState{unknownSince: now}, life + maxUnknown + 1, true},
		"while the client has it":   {nodeState{outstanding: 1}, 2 * maxUnknown, false},
		"while it has another call": {nodeState{unknownSince: now, outstanding: 1}, 2 * maxUnknown, false},
	} {
		c.state.keyLifetime = life
		if got := c.state.provesRelease(n, now.Add(c.after)); got != c.over {
			t.Errorf("%s: over: %v, want %v", name, got, c.over)
		}
	}
}
