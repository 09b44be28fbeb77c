package clock

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestElapsedIsTheLargerOfBothClocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			step, want, skew time.Duration
			why              string
		}{
			{0, time.Second, 0, "both agree"},
			{time.Hour, time.Hour + time.Second, time.Hour, "the machine was suspended, or the clock was set forward"},
			{-time.Hour, time.Second, -time.Hour, "a clock set back must not prolong anything"},
		} {
			f := new(Fake)
			before := f.Read()
			time.Sleep(time.Second)
			f.Step(c.step)
			now := f.Read()
			if got := now.Since(before); got != c.want {
				t.Errorf("step %v: elapsed %v, want %v: %s", c.step, got, c.want, c.why)
			}
			if got := now.Skew(before); got != c.skew {
				t.Errorf("step %v: skew %v, want %v", c.step, got, c.skew)
			}
		}
	})
}

func TestSystemClockFollowsTheBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before := System{}.Read()
		time.Sleep(time.Hour)
		if got := (System{}).Read().Since(before); got != time.Hour {
			t.Errorf("elapsed %v, want an hour", got)
		}
	})
}
