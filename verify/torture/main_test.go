package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain lets the test binary be a worker, or a process that sleeps: a run starts its own
// program again.
func TestMain(m *testing.M) {
	if os.Getenv(workerEnvironment) != "" {
		if err := beWorker(os.Args[2:], os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "worker:", err)
			os.Exit(2)
		}
		os.Exit(0)
	}
	if what := os.Getenv(sleeperEnvironment); what != "" {
		if err := beSleeper(what, os.Args[1], os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, "sleeper:", err)
			os.Exit(2)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

const ms = time.Millisecond

// quiet is a history of two clients of different processes, in which nothing happens yet.
func quiet() *History {
	return &History{
		Run: Run{
			Seed: 7, Length: time.Second, TTL: 200 * ms, Fencing: true, Nodes: 3, Names: []string{"A"}, Server: "7.0",
			Clients: []Client{{Process: 0, Adapter: adapters[0]}, {Process: 1, Adapter: adapters[3]}},
		},
		Finals: []Final{{Name: "A"}},
		Calm:   Calm{Begun: time.Second, Bound: time.Second},
	}
}

// hold adds a hold that was asked for 5 ms before it was granted, and released when it ended.
func (h *History) hold(client int, from, to time.Duration, token uint64) *Try {
	h.Tries = append(h.Tries, Try{
		Client: client, Name: "A", Mode: "Lock", Call: from - 5*ms, Return: from, Token: token,
		End: to, Until: from + 200*ms, Unlock: to, Unlocked: to + ms,
	})
	return &h.Tries[len(h.Tries)-1]
}

// update adds an increment of both counters to the last hold.
func (h *History) update(begun, done time.Duration, value int64) {
	t := &h.Tries[len(h.Tries)-1]
	for _, fenced := range []bool{false, true} {
		t.Writes = append(t.Writes, Write{Fenced: fenced, Begun: begun, Read: begun + ms, Sent: done - ms, Done: done, Value: value})
	}
	h.Finals[0].Unfenced, h.Finals[0].Fenced = value+1, value+1
}

// sound is a history in which two clients alternate, and one of them loses its lock in a
// pause and is refused by the fence.
func sound() *History {
	h := quiet()
	h.hold(0, 10*ms, 50*ms, 100)
	h.update(12*ms, 20*ms, 0)
	h.hold(1, 60*ms, 90*ms, 200)
	h.update(62*ms, 70*ms, 1)
	// Asleep from 130 to 400: what it knew ended at Until.
	late := h.hold(0, 100*ms, 300*ms, 300)
	late.Until, late.Unlock, late.Unlocked = 300*ms, 401*ms, 402*ms
	late.Lost, late.Denied = "lock expired", "redlock: unlock: lock is not held"
	late.Writes = []Write{{Fenced: true, Begun: 120 * ms, Read: 121 * ms, Sent: 400 * ms, Done: 401 * ms, Value: 2, Refused: true}}
	h.hold(1, 310*ms, 380*ms, 400)
	h.update(320*ms, 330*ms, 2)
	h.Faults = []Fault{
		{Kind: stop, Process: 0, Begin: 130 * ms, End: 400 * ms, Fired: true, Felt: 1},
		{Kind: kill, Process: -1, Nodes: []int{0, 2}, Begin: 20 * ms, End: 200 * ms, Fired: true, Felt: 2},
		{Kind: noReply, Process: 1, Nodes: []int{1}, Begin: 40 * ms, End: 60 * ms, Fired: true, Felt: 3, How: lossy},
	}
	return h
}

func replay(t *testing.T, h *History) (code int, out string, page string) {
	t.Helper()
	o := options{replay: filepath.Join(t.TempDir(), "history.jsonl")}
	o.report = strings.TrimSuffix(o.replay, ".jsonl") + ".html"
	if err := h.save(o.replay); err != nil {
		t.Fatal(err)
	}
	var stdout bytes.Buffer
	code, err := begin(context.Background(), o, &stdout, &stdout)
	if err != nil {
		t.Fatal(err)
	}
	return code, stdout.String(), o.report
}

func TestASoundHistoryEndsWellAndOneThatBreaksAClaimNamesItsFile(t *testing.T) {
	if code, out, _ := replay(t, sound()); code != fine {
		t.Errorf("code %d of a sound history:\n%s", code, out)
	}
	h := sound()
	h.hold(1, 20*ms, 40*ms, 150)
	code, out, _ := replay(t, h)
	if code != broken || !strings.Contains(out, "history.jsonl") || !strings.Contains(out, "both held \"A\" for 20ms") {
		t.Errorf("code %d, want %d, and the file and the position:\n%s", code, broken, out)
	}
	h.Run.Outside = true
	if code, out, _ := replay(t, h); code != fine || !strings.Contains(out, "VIOLATED") {
		t.Errorf("code %d of a violation outside the assumptions, want %d and a report:\n%s", code, fine, out)
	}
	h.Run.Guard = true
	if code, out, _ := replay(t, h); code != broken {
		t.Errorf("code %d of a violation under a guard, want %d:\n%s", code, broken, out)
	}
	h = sound()
	h.Faults[0].Err = "no such process"
	if code, out, _ := replay(t, h); code != useless {
		t.Errorf("code %d where a fault was not carried out, want %d:\n%s", code, useless, out)
	}
}

func TestAHistoryIsReadAsItWasWritten(t *testing.T) {
	h := sound()
	h.Calm.Left = []string{"A on node 1"}
	file := filepath.Join(t.TempDir(), "history.jsonl")
	if err := h.save(file); err != nil {
		t.Fatal(err)
	}
	again, err := load(file)
	if err != nil {
		t.Fatal(err)
	}
	if want, got := fmt.Sprintf("%+v", h), fmt.Sprintf("%+v", again); want != got {
		t.Errorf("%s\nwas written, and read as\n%s", want, got)
	}
}

func TestAHistoryThatWasCutOffIsNone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "history.jsonl")
	if err := sound().save(file); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for lines := range bytes.Count(whole, []byte("\n")) {
		part := bytes.Join(bytes.SplitAfter(whole, []byte("\n"))[:lines], nil)
		if err := os.WriteFile(file, part, 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := load(file); err == nil {
			t.Errorf("with %d lines it is taken for whole", lines)
		}
	}
}

func TestWhatWouldComeToNothingIsRefusedBeforeItBegins(t *testing.T) {
	dir := t.TempDir()
	right := options{minutes: 1, ttl: time.Second, clients: 1, locks: 1, report: filepath.Join(dir, "a.html"), history: filepath.Join(dir, "a.jsonl")}
	if err := right.check(); err != nil {
		t.Fatal(err)
	}
	for name, wrong := range map[string]func(o *options){
		"no time":       func(o *options) { o.minutes = 0 },
		"a long TTL":    func(o *options) { o.ttl = time.Hour },
		"a short TTL":   func(o *options) { o.ttl = time.Millisecond },
		"no client":     func(o *options) { o.clients = 0 },
		"no slot":       func(o *options) { o.semaphores = 1 },
		"many slots":    func(o *options) { o.semaphores, o.slots = 1, 256 },
		"no page":       func(o *options) { o.report = filepath.Join(dir, "none", "a.html") },
		"no history":    func(o *options) { o.history = filepath.Join(dir, "none", "a.jsonl") },
		"a stray word":  func(o *options) { o.rest = []string{"extra"} },
		"one in replay": func(o *options) { o.rest, o.replay = []string{"extra"}, "a.jsonl" },
	} {
		o := right
		wrong(&o)
		if o.check() == nil {
			t.Errorf("%s: not refused", name)
			continue
		}
		if code, err := begin(t.Context(), o, io.Discard, io.Discard); err == nil || code != useless {
			t.Errorf("%s: %d, %v", name, code, err)
		}
	}
}
