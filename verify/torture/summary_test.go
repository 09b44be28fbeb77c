package main

import (
	"io"
	"testing"
)

func TestWhatIsExcusedWhereServersForgetIsOnlyWhatTheyKeep(t *testing.T) {
	for _, c := range []struct {
		claim          string
		outside, guard bool
		want           int
	}{
		{claim: "I1", want: broken},
		{claim: "I1", outside: true, want: fine},
		{claim: "I2", outside: true, want: fine},
		{claim: "S1", want: broken},
		{claim: "S1", outside: true, want: fine},
		{claim: "S2", outside: true, want: fine},
		{claim: "S3", outside: true, want: fine},
		{claim: "S3", outside: true, guard: true, want: broken},
		{claim: "S4", outside: true, want: broken},
		{claim: "I3", outside: true, want: broken},
		{claim: "I5", outside: true, want: broken},
		{claim: "I6", outside: true, want: broken},
		{claim: "I1", outside: true, guard: true, want: broken},
	} {
		h := &History{Run: Run{Outside: c.outside, Guard: c.guard}}
		verdicts := []Verdict{{Claim: "I4", State: holds}, {Claim: c.claim, State: violated, Marks: make([]Mark, 1)}}
		if got := summarize(io.Discard, options{}, h, verdicts); got != c.want {
			t.Errorf("%+v: exit code %d", c, got)
		}
	}
}
