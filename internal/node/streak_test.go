package node

import (
	"fmt"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/pool"
)

// A story is what a node answers, and when.
type story []struct {
	after  time.Duration // the answer before
	err    error
	before bool // the node had answered well before
}

const (
	wrongpass = pool.Error("WRONGPASS invalid username-password pair or user is disabled.")
	strange   = pool.Error("ERR words that no server has used before")
	loading   = pool.Error("LOADING Redis is loading the dataset in memory")
	wrongKind = pool.Error("WRONGTYPE Operation against a key holding the wrong kind of value")
)

func TestARefusalEndsAWaitWhenItHasLastedAndNotBefore(t *testing.T) {
	const ms = time.Millisecond
	every := func(n int, pause time.Duration, err error, before bool) (s story) {
		for range n {
			s = append(s, story{{pause, err, before}}...)
		}
		return s
	}
	join := func(parts ...story) (s story) {
		for _, p := range parts {
			s = append(s, p...)
		}
		return s
	}
	well := story{{100 * ms, nil, true}}
	for name, c := range map[string]struct {
		story story
		want  bool
	}{
		"nothing":                                        {nil, false},
		"a wrong password at first":                      {every(1, 0, wrongpass, false), true},
		"a wrong password for 300 ms":                    {every(4, 100*ms, wrongpass, true), false},
		"a wrong password for 2 s":                       {every(21, 100*ms, wrongpass, true), true},
		"a wrong password for 2 s, then a right one":     {join(every(21, 100*ms, wrongpass, true), well), false},
		"a wrong password every other time":              {join(every(11, 100*ms, wrongpass, true), well, every(11, 100*ms, wrongpass, true)), false},
		"a data key":                                     {every(1, 0, wrongKind, true), true},
		"a data key that has gone":                       {join(every(1, 0, wrongKind, true), well), false},
		"strange words at first":                         {every(2, 100*ms, strange, false), false},
		"strange words for 2 s":                          {every(21, 100*ms, strange, false), true},
		"strange words for 2 s, but it starts meanwhile": {join(every(11, 100*ms, strange, false), every(1, 100*ms, loading, true), every(11, 100*ms, strange, false)), false},
		"strange words for 2 s, and silence meanwhile":   {join(every(11, 100*ms, strange, false), every(3, 400*ms, noAnswer{}, true), every(11, 100*ms, strange, false)), true},
		"twice in an hour":                               {every(2, time.Hour, strange, true), false},
		"three times, a minute apart":                    {every(3, time.Minute, strange, true), true},
		"many in a moment":                               {every(1000, ms, strange, true), false},
		"a moment each hour, and nothing between":        {join(every(3, 50*ms, wrongpass, true), story{{time.Hour, wrongpass, true}}, every(3, 50*ms, wrongpass, true)), false},
		"loading for a minute":                           {every(600, 100*ms, loading, false), false},
		"not reached for a minute":                       {every(600, 100*ms, fmt.Errorf("%w: connection refused", pool.ErrNotSent), false), false},
		"a clock that is set back":                       {every(30, -100*ms, strange, true), false},
	} {
		t.Run(name, func(t *testing.T) {
			var s Streak
			at := time.Unix(1e9, 0)
			for _, a := range c.story {
				at = at.Add(a.after)
				s.Note(Answer{Err: a.err, At: at, WellBefore: a.before})
			}
			if got := s.Permanent(); got != c.want {
				t.Errorf("permanent: %v, want %v (%+v)", got, c.want, s)
			}
		})
	}
}
