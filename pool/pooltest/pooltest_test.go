package pooltest

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/pool"
)

func TestASoundAdapterPasses(t *testing.T) {
	Run(t, openReference(""))
}

// bare is a pool that can do nothing but Do.
type bare struct{ pool.Pool }

func TestAPoolThatOnlyDoesSkipsTheDutiesOfTheOthers(t *testing.T) {
	for _, d := range slices.Concat(subscriberDuties, submitterDuties) {
		t.Run(d.name, func(t *testing.T) {
			defer func() {
				if !t.Skipped() {
					t.Error("it passes for one that was tested")
				}
			}()
			d.run(t, func(tb testing.TB, addr string) pool.Pool { return bare{openReference("")(tb, addr)} })
		})
	}
}

// Each fault is one that a client or an adapter has had.
func TestEveryFaultIsNoticedByTheDutyThatForbidsIt(t *testing.T) {
	faults := map[string]string{
		"waits":     "a call to a frozen server returns at its deadline",
		"repeats":   "a command whose connection breaks is not sent again",
		"reuses":    "a late reply never reaches another call",
		"promises":  "a command whose connection breaks is not sent again",
		"blames":    "a command whose connection breaks is not sent again",
		"eager":     "a context that ended before the call sends nothing",
		"mute":      "a call to a frozen server returns at its deadline",
		"rewords":   "an error of the server is a pool.Error with the server's text",
		"fills":     "every kind of reply arrives as the Go value that the contract names",
		"flattens":  "an error inside an array is an element of it",
		"truncates": "a truncated reply is an error, and the command is not sent again",
		"scribbles": "the slice of arguments is not changed",
		"tells":     "the name stays the same, is short, and shows no credentials",
		"forgets":   "no goroutine is left when the pool is closed",

		"clings":   "a connection on which the server said that it is no longer a master is closed",
		"queues":   "a call that hangs does not delay later calls",
		"vague":    "after the client was closed, errors match ErrClosed and ErrNotSent",
		"restarts": "a connection that is open after its call's deadline serves a later call",
		"trusts":   "a greeting that is refused is a command that was not sent, and the server's text",

		"loses":       "messages follow their Joined event, unchanged and in order",
		"hurries":     "messages follow their Joined event, unchanged and in order",
		"confuses":    "one subscription serves many channels",
		"stays":       "a channel that was left is silent, and the others are not",
		"impatient":   "silence does not end a subscription, and a ping brings an event",
		"alternates":  "channels are joined and left while another goroutine receives",
		"hogs":        "commands work while a subscription is open",
		"no messages": "a subscription ends with its context, also on a frozen server",
		"stubborn":    "subscribing to a frozen server ends with its context",
		"claims":      "subscribing to a server that refuses connections is an error",
		"reconnects":  "a connection that breaks ends its subscription, and is not replaced",
		"restores":    "a connection that breaks ends its subscription, and is not replaced",
		"swallows":    "a Join that is refused ends its subscription with the server's text",
		"keeps":       "no goroutine and no connection is left when a subscription is closed",
		"lingers":     "no goroutine and no connection is left when a subscription is closed",

		"repeats itself": "a submitted command has one outcome, the same as with Do",
		"blurts":         "Submit does not call the receiver before it returns, so that its caller may hold a mutex",
		"clutches":       "Submit does not call the receiver before it returns, so that its caller may hold a mutex",
		"scatters":       "submitted commands reach the server in the order of the calls",
		"shuffles":       "64 goroutines that submit and call at a time each get their own replies",
		"blocks":         "Submit returns at once on a frozen server, and each command has one outcome",
		"punctual":       "the receiver of a command that was sent gets the late reply",
		"hoards":         "a command that was not sent by its deadline is not sent later",
		"resends":        "a connection that breaks ends each outstanding command once, and sends none again",
		"hangs":          "a frozen server does not keep commands, goroutines and connections for ever",
		"defers":         "a frozen server does not keep commands, goroutines and connections for ever",
		"outlives":       "a frozen server does not keep commands, goroutines and connections for ever",
		"dwells":         "the context of a submitted command is not used after its receiver was called",
		"derives":        "the context of a submitted command is not used after its receiver was called",
	}
	defer func(was time.Duration) { slack = was }(slack)
	slack = 4 * short // what is noticed because it comes late comes seconds late, or never
	before := runtime.NumGoroutine()
	for fault, name := range faults {
		t.Run(fault, func(t *testing.T) {
			// Goroutines of the fault before this one that are still ending would be taken for some
			// that were there from the start, and as many could be left now.
			eventually(t, "goroutines of another fault are left", func() bool { return runtime.NumGoroutine() <= before+5 })
			switch fault {
			case "hangs", "defers": // the same, within what the reference has without them
				defer func(was time.Duration) { grace = was }(grace)
				grace = 3 * overtime
			case "forgets", "lingers", "keeps", "stays", "alternates", "hogs", "restores", "outlives", "clings", "restarts", "queues": // noticed when something does not come
				defer func(was time.Duration) { patience = was }(patience)
				patience = time.Second
				remembered = make(chan struct{})
				defer func() { close(remembered) }()
			}
			failures := attend(t, find(t, name), openReference(fault))
			if len(failures) == 0 {
				t.Fatalf("the duty %q passes an adapter with this fault", name)
			}
			t.Logf("noticed: %.200s", failures[0])
		})
	}
}

func find(t *testing.T, name string) duty {
	t.Helper()
	for _, d := range duties() {
		if d.name == name {
			return d
		}
	}
	t.Fatalf("no duty %q", name)
	return duty{}
}

// attend runs a duty that is to fail, and returns how it failed.
func attend(t *testing.T, d duty, open Opener) []string {
	w := &witness{scope: scope{TB: t}}
	done := make(chan struct{})
	go func() { // since a failure ends the goroutine
		defer close(done)
		d.run(w, open)
	}()
	<-done
	w.end()
	return w.failures
}

// witness takes down failures that would fail the test.
type witness struct {
	scope
	mu       sync.Mutex // protects failures
	failures []string
}

func (w *witness) note(text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failures = append(w.failures, strings.TrimSpace(text))
}

func (w *witness) Error(args ...any)                 { w.note(fmt.Sprintln(args...)) }
func (w *witness) Errorf(format string, args ...any) { w.note(fmt.Sprintf(format, args...)) }

func (w *witness) Fatal(args ...any) {
	w.note(fmt.Sprintln(args...))
	runtime.Goexit()
}

func (w *witness) Fatalf(format string, args ...any) {
	w.note(fmt.Sprintf(format, args...))
	runtime.Goexit()
}
