package redlock

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// A caller that waits for its turn ends with its context, and with the Locker.
func TestACallerThatWaitsForItsTurnEndsAtOnce(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		first := &request{key: "job", repeats: repeats{until: time.Now().Add(time.Hour)}}
		if !f.takeTurn(context.Background(), first) {
			f.t.Fatal("the first has no turn")
		}
		for what, end := range map[string]func() (context.Context, time.Time){
			"its context": func() (context.Context, time.Time) {
				ctx, cancel := context.WithTimeout(context.Background(), time.Second)
				f.t.Cleanup(cancel)
				return ctx, time.Now().Add(time.Hour)
			},
			"its time": func() (context.Context, time.Time) { return context.Background(), time.Now().Add(time.Second) },
		} {
			begun := time.Now()
			ctx, until := end()
			second := &request{key: "job", repeats: repeats{until: until}}
			if f.takeTurn(ctx, second) || time.Since(begun) != time.Second {
				f.t.Errorf("%s does not end the wait, after %v", what, time.Since(begun))
			}
		}
		second := &request{key: "job", repeats: first.repeats}
		second.repeats.turn = nil
		has := make(chan bool)
		go func() { has <- f.takeTurn(context.Background(), second) }()
		synctest.Wait() // it waits
		f.giveTurn(first)
		f.giveTurn(first)
		if !<-has {
			f.t.Error("the next caller does not get the turn")
		}
		f.giveTurn(second)
		if n := len(f.turns.byKey); n != 0 {
			f.t.Errorf("%d turns are left", n)
		}
	})
}
