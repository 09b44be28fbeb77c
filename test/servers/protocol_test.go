package servers_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/internal/fakenode"
	"github.com/quorumlock/quorumlock/internal/node"
	"github.com/quorumlock/quorumlock/internal/redisproc"
	"github.com/quorumlock/quorumlock/pool"
	"github.com/quorumlock/quorumlock/redlocktest"
)

// The tests of the core run on a model of a node and on miniredis. This holds
// that both answer as a real server does: the same commands, in the same order,
// get the same answers.

// A backend is one node to compare: the protocol's way to it, and another
// client's.
type backend struct {
	name   string
	node   *node.Node
	hold   func(key, value string, ttl time.Duration)
	remove func(key string)
}

func backends(t *testing.T, lib library, wrap func(pool.Pool) pool.Pool) []backend {
	server := redisproc.Start(t, redisproc.Options{})
	kit := redlocktest.New(t, 1).Node(0)
	model := fakenode.New("model")
	must := func(args ...string) {
		if _, err := server.Do(args...); err != nil {
			t.Fatal(err)
		}
	}
	all := []backend{
		{"redis-server", node.New(wrap(lib.Open(t, server.Addr(), nil))), func(key, value string, ttl time.Duration) {
			must("SET", key, value, "PX", strconv.FormatInt(ttl.Milliseconds(), 10))
		}, func(key string) { must("DEL", key) }},
		{"miniredis", node.New(wrap(lib.Open(t, kit.Addr(), nil))), kit.Hold, func(key string) { kit.Delete(key) }},
		{"model", node.New(wrap(model)), model.Hold, model.Delete},
	}
	for _, b := range all {
		t.Cleanup(b.node.Stop)
	}
	return all
}

// ask puts one request and waits for its answer.
func (b backend) ask(t testing.TB, verb node.Verb, key, value string, ttl time.Duration) node.Answer {
	t.Helper()
	return b.askAs(t, verb, key, value, ttl, node.WaiterFlag{ID: "me", TTL: ttl})
}

func (b backend) askAs(t testing.TB, verb node.Verb, key, value string, ttl time.Duration, flag node.WaiterFlag) node.Answer {
	t.Helper()
	return b.askFor(t, verb, node.NewEntry(key, value), ttl, flag)
}

func (b backend) askFor(t testing.TB, verb node.Verb, lease node.Entry, ttl time.Duration, flag node.WaiterFlag) node.Answer {
	t.Helper()
	request := node.NewRequest(verb, lease, ttl, flag)
	deadline := node.MakeDeadline(context.Background(), 20*time.Second)
	answered := make(answers, 1)
	if err := b.node.Start(&node.Call{Request: request, Deadline: &deadline, Receiver: answered}); err != nil {
		t.Fatalf("%s: %v", b.name, err)
	}
	return <-answered
}

type answers chan node.Answer

func (a answers) Answer(_ *node.Call, answer node.Answer) { a <- answer }
func (a answers) Late(*node.Call, node.Answer)            {}

// describe is what must be the same. Remaining times differ by how long it took
// to ask: what is compared is that they are those of the last write, which are
// hours apart.
func describe(a node.Answer) string {
	text := fmt.Sprintf("status %d, holder %q, ttl %.0fh, awaited by %q, tickets from %d to %d, %d wait, token %d", a.Status, a.Holder, a.TTL.Hours(), a.NextWaiter, a.First, a.Last, a.Waiting, a.LargestToken)
	if a.Err != nil {
		text += ", refused"
	}
	if a.Micros != 0 {
		text += ", at " + time.UnixMicro(a.Micros).Round(time.Hour).String()
	}
	return text
}

func TestRealServersMiniredisAndTheModelAnswerAlike(t *testing.T) {
	wraps := map[string]func(pool.Pool) pool.Pool{
		"with native commands": func(p pool.Pool) pool.Pool { return p },
		"with scripts only":    func(p pool.Pool) pool.Pool { return scriptsOnly{p} },
	}
	for name, wrap := range wraps {
		t.Run(name, func(t *testing.T) {
			withTwo(t, func(t *testing.T, lib library) {
				all := backends(t, lib, wrap)
				for seed := range rounds(20, 100) {
					askAlike(t, all, seed)
				}
			})
		})
	}
}

// askAlike does the same at random to all backends and compares what they say.
func askAlike(t *testing.T, all []backend, seed uint64) {
	values := []string{"a", "b", "me.1", "me.", "other.", "ab", "*", "", "rl1:0123:a", "with\r\nlines\x00\xff"}
	random := rand.New(rand.NewPCG(seed, 1))
	var story []string
	var last string // the value that was to be set
	for range 15 {
		value := values[random.IntN(len(values))]
		hours := time.Duration(1+random.IntN(9)) * time.Hour
		former := values[random.IntN(len(values))] // most often no match
		act := random.IntN(10)
		switch act {
		case 0, 3, 4:
			last = value
		case 6, 9:
			value = last
		case 8:
			switch random.IntN(3) {
			case 0:
				former = last
			case 1: // the reply was lost, and it is sent again
				value = last
			}
			last = value
		}
		seen := make(map[string][]string)
		for _, b := range all {
			said := b.act(t, act, fmt.Sprint("key", seed), value, former, hours)
			seen[said] = append(seen[said], b.name)
		}
		story = append(story, fmt.Sprintf("%d %q %q %v", act, value, former, hours))
		if len(seen) != 1 {
			t.Fatalf("seed %d: after\n%s\nthe answers differ: %v", seed, strings.Join(story, "\n"), seen)
		}
	}
}

// act does one thing and describes the answer.
func (b backend) act(t testing.TB, act int, key, value, former string, ttl time.Duration) string {
	switch act {
	case 0:
		b.hold(key, value, ttl)
		return "held"
	case 1:
		b.remove(key)
		return "removed"
	case 2:
		b.hold("{"+key+"}:wait", value, ttl)
		return "marked"
	}
	verb := []node.Verb{node.Acquire, node.AcquireOrFlag, node.Extend, node.Release, node.Inspect, node.Swap, node.Expire}[act-3]
	lease := node.NewEntry(key, value).Replacing(former)
	return describe(b.askFor(t, verb, lease, ttl, node.WaiterFlag{ID: "me", TTL: ttl}))
}

// The wait queue, with positions that expire. The model does not know it:
// what is tested about it is tested with servers that run Lua.
func TestRealServersAndMiniredisKeepTheSameWaitQueue(t *testing.T) {
	withTwo(t, func(t *testing.T, lib library) {
		all := backends(t, lib, func(p pool.Pool) pool.Pool { return p })[:2]
		for n := range rounds(20, 100) {
			standAlike(t, all, lib.Seed(n))
		}
	})
}

func standAlike(t *testing.T, all []backend, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 2))
	key := fmt.Sprint("line", seed)
	var story []string
	for range 25 {
		verb := []node.Verb{node.AcquireInTurn, node.AcquireInTurn, node.AcquireInTurn, node.Release, node.Release, node.Inspect}[random.IntN(6)]
		value := []string{"a", "b", "c"}[random.IntN(3)]
		flag := node.WaiterFlag{ID: []string{"one", "two", "three"}[random.IntN(3)], Position: node.QueuePosition{
			Ticket: int64(random.IntN(6)), Count: int64(random.IntN(50)), TTL: time.Duration(1+random.IntN(9)) * time.Hour,
		}}
		flag.Position.Last = flag.Position.Ticket
		if flag.Position.Ticket > 0 && random.IntN(2) == 0 {
			flag.Position.Next = flag.Position.Ticket + int64(1+random.IntN(3))
			flag.Position.Last = flag.Position.Next + int64(random.IntN(100))
		}
		if random.IntN(2) == 0 {
			flag.TTL = time.Hour
		}
		if random.IntN(5) == 0 {
			flag.Position.TTL = time.Millisecond
		}
		lease, token := node.NewEntry(key, value), int64(-1)
		if random.IntN(3) == 0 {
			token = randomToken(random)
			lease = lease.Fenced(new(node.Fence), token, time.Hour)
		}
		flag.Position.Requeue = verb == node.Release && flag.Position.Ticket > 0 && random.IntN(2) == 0
		hours := time.Duration(1+random.IntN(9)) * time.Hour
		seen := make(map[string][]string)
		for _, b := range all {
			said := describe(b.askFor(t, verb, lease, hours, flag))
			seen[said] = append(seen[said], b.name)
		}
		story = append(story, fmt.Sprintf("%d %q %d %+v", verb, value, token, flag))
		if len(seen) != 1 {
			t.Fatalf("seed %d: after\n%s\nthe answers differ: %v", seed, strings.Join(story, "\n"), seen)
		}
		if flag.Position.TTL == time.Millisecond {
			time.Sleep(3 * time.Millisecond) // until it has expired
		}
	}
}

// epoch is the hour before the tests began: in microseconds it has as many digits as
// tokens have.
var epoch = time.Now().Truncate(time.Hour)

// randomToken returns one that is likely to be one more or less than another, or at the
// edge of what a node takes.
func randomToken(random *rand.Rand) int64 {
	at := []time.Duration{0, 0, 0, -48 * time.Hour, 12 * time.Hour, 48 * time.Hour, 60 * time.Hour}[random.IntN(7)]
	token := epoch.Add(at).UnixMicro() + random.Int64N(4)
	if random.IntN(8) == 0 {
		token = []int64{0, 1, 9, 10, 1<<53 - 1}[random.IntN(5)]
	}
	return token
}

func TestRealServersMiniredisAndTheModelTakeTheSameTokens(t *testing.T) {
	t.Parallel()
	withTwo(t, func(t *testing.T, lib library) {
		all := backends(t, lib, func(p pool.Pool) pool.Pool { return p })
		taken := 0
		for n := range rounds(20, 100) {
			taken += takeTokensAlike(t, all, lib.Seed(n))
		}
		if taken < 100 {
			t.Errorf("only %d tokens were taken", taken)
		}
	})
}

// takeTokensAlike locks with tokens, loses and releases the lock at random on all
// backends, and compares what they say and what they remember, digit by digit.
func takeTokensAlike(t *testing.T, all []backend, seed uint64) (taken int) {
	random := rand.New(rand.NewPCG(seed, 3))
	key := fmt.Sprint("fenced", seed)
	var story []string
	for range 25 {
		value := []string{"a", "b", "c"}[random.IntN(3)]
		token := randomToken(random)
		lease := node.NewEntry(key, value).Fenced(new(node.Fence), token, time.Duration(1+random.IntN(9))*time.Hour)
		if random.IntN(4) == 0 {
			lease = lease.Retake()
		}
		verb := []node.Verb{node.Acquire, node.Acquire, node.AcquireOrFlag, node.Release}[random.IntN(4)]
		act := random.IntN(3)
		hours := time.Duration(1+random.IntN(9)) * time.Hour
		seen := make(map[string][]string)
		for _, b := range all {
			if act == 0 {
				b.remove(key)
			}
			a := b.askFor(t, verb, lease, hours, node.WaiterFlag{ID: "me", TTL: hours})
			said := describe(a) + "; remembered: " + describe(b.ask(t, node.Inspect, "{"+key+"}:fence", "", 0))
			seen[said] = append(seen[said], b.name)
			if a.Status == node.Granted && b.name == "redis-server" {
				taken++
			}
		}
		story = append(story, fmt.Sprintf("%d %d %q %d for %v", act, verb, value, token, hours))
		if len(seen) != 1 {
			t.Fatalf("seed %d: after\n%s\nthe answers differ: %v", seed, strings.Join(story, "\n"), seen)
		}
	}
	return taken
}

// A node says what time it is if that is news: if it is not the time of the token.
func TestAGrantReturnsTheTimeIfItIsNew(t *testing.T) {
	withTwo(t, func(t *testing.T, lib library) {
		for _, b := range backends(t, lib, func(p pool.Pool) pool.Pool { return p }) {
			keys := 0
			grant := func(ahead time.Duration) int64 {
				keys++
				lease := node.NewEntry(fmt.Sprint("asked", keys), "a").Fenced(new(node.Fence), time.Now().Add(ahead).UnixMicro(), time.Hour)
				a := b.askFor(t, node.Acquire, lease, time.Hour, node.WaiterFlag{})
				if a.Status != node.Granted {
					t.Fatalf("%s: %+v", b.name, a)
				}
				return a.Micros
			}
			for _, ahead := range []time.Duration{-time.Minute, time.Minute} {
				if off := time.Since(time.UnixMicro(grant(ahead))); off > 10*time.Second || off < -10*time.Second {
					t.Errorf("%s: its clock is %v off", b.name, off)
				}
			}
			// If the call takes longer than a tenth of a second its time is news, too.
			eventually(t, b.name+" takes its time for known", func() bool { return grant(0) == 0 })
		}
	})
}

// scriptsOnly is a server before Redis 7, which refuses SET with NX and GET.
type scriptsOnly struct{ pool.Pool }

func (s scriptsOnly) Do(ctx context.Context, args ...any) (any, error) {
	if args[0] == "SET" {
		return nil, pool.Error("ERR syntax error")
	}
	return s.Pool.Do(ctx, args...)
}

// Fractions of a millisecond are rounded up. 0 would delete the key and say
// that it was extended.
func TestShortTTLsExpireOnTimeAndNeverBefore(t *testing.T) {
	withTwo(t, func(t *testing.T, lib library) {
		for _, b := range backends(t, lib, func(p pool.Pool) pool.Pool { return p }) {
			const ttl = 60 * time.Millisecond
			begun := wallClock()
			if a := b.ask(t, node.Acquire, "key", "a", ttl); a.Status != node.Granted {
				t.Errorf("%s: %+v", b.name, a)
			}
			eventually(t, "the key expires", func() bool { return b.ask(t, node.Inspect, "key", "a", 0).Status == node.Absent })
			if lived := wallClock().Sub(begun); lived < ttl {
				t.Errorf("%s: it lived for %v only", b.name, lived)
			}
			if a := b.ask(t, node.Extend, "key", "a", time.Hour); a.Status != node.Absent {
				t.Errorf("%s: an expired key was extended: %+v", b.name, a)
			}

			if a := b.ask(t, node.Acquire, "short", "a", time.Microsecond); a.Status != node.Granted {
				t.Errorf("%s: %+v", b.name, a)
			}
			b.ask(t, node.Acquire, "key", "a", time.Hour)
			if a := b.ask(t, node.Extend, "key", "a", time.Microsecond); a.Status != node.Extended {
				t.Errorf("%s: %+v", b.name, a)
			}
			eventually(t, "the key expires", func() bool { return b.ask(t, node.Inspect, "key", "a", 0).Status == node.Absent })
		}
	})
}

// An acquire in both forms has the same effect: what one wrote the other sees.
func TestTheNativeAndTheScriptedAcquireExcludeEachOther(t *testing.T) {
	withTwo(t, func(t *testing.T, lib library) {
		server := redisproc.Start(t, redisproc.Options{})
		p := lib.Open(t, server.Addr(), nil)
		native, scripted := backend{name: "native", node: node.New(p)}, backend{name: "scripted", node: node.New(scriptsOnly{p})}
		for i, pair := range [][2]backend{{native, scripted}, {scripted, native}} {
			key := fmt.Sprint("key", i)
			for _, step := range []struct {
				by    backend
				verb  node.Verb
				value string
				want  node.Status
			}{
				{pair[0], node.Acquire, "a", node.Granted},
				{pair[1], node.Acquire, "b", node.Taken},
				{pair[1], node.Acquire, "a", node.Granted}, // a repeat of the first, whose reply was lost
				{pair[1], node.Release, "b", node.Absent},
				{pair[0], node.Extend, "a", node.Extended},
				{pair[1], node.Release, "a", node.Deleted},
				{pair[0], node.Inspect, "", node.Absent},
			} {
				if a := step.by.ask(t, step.verb, key, step.value, time.Hour); a.Status != step.want {
					t.Errorf("%s by the %s form of %q: %+v, want status %d", step.verb, step.by.name, step.value, a, step.want)
				}
			}
		}
		native.node.Stop()
		scripted.node.Stop()
	})
}
