package testbed

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// WantError checks that an error matches all of these.
func WantError(t testing.TB, err error, targets ...error) {
	t.Helper()
	for _, target := range targets {
		if !errors.Is(err, target) {
			t.Errorf("got %v, want an error that matches %q", err, target)
		}
	}
}

// WantText checks that an error says all that a reader needs.
func WantText(t testing.TB, err error, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(fmt.Sprint(err), part) {
			t.Errorf("the error %q does not say %q", fmt.Sprint(err), part)
		}
	}
}

// Eventually waits for what no event reports: the state of a server, or work that
// goes on in the background. The time is a bound, not a claim.
func Eventually(t testing.TB, what string, reached func() bool) {
	t.Helper()
	Within(t, 20*time.Second, what, reached)
}

// Within is Eventually with a time that is a claim.
func Within(t testing.TB, d time.Duration, what string, reached func() bool) {
	t.Helper()
	for end := time.Now().Add(d); !reached(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Errorf("not after %v: %s", d, what)
			return
		}
	}
}
