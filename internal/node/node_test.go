package node

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorumlock/quorumlock/internal/fakenode"
	"github.com/quorumlock/quorumlock/pool"
)

const (
	ttl     = 8 * time.Second
	timeout = 400 * time.Millisecond
)

func newNode(t *testing.T, p pool.Pool) *Node {
	n := New(p)
	n.Trust()
	t.Cleanup(n.Stop)
	return n
}

// A recorder is a receiver that keeps its answers.
type recorder struct {
	mu      sync.Mutex
	answers []Answer
	late    []Answer
	times   []time.Time
}

func (r *recorder) Answer(_ *Call, a Answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answers, r.times = append(r.answers, a), append(r.times, time.Now())
}

func (r *recorder) Late(_ *Call, a Answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.late = append(r.late, a)
}

func (r *recorder) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.answers)
}

func call(verb Verb, key, value string, r *recorder) *Call {
	request := NewRequest(verb, NewEntry(key, value), ttl, WaiterFlag{ID: "me", TTL: time.Second})
	deadline := MakeDeadline(context.Background(), timeout)
	return &Call{Request: request, Deadline: &deadline, Receiver: r}
}

// ask makes one call and waits for its answer.
func ask(t *testing.T, n *Node, verb Verb, key, value string) Answer {
	t.Helper()
	var r recorder
	return askFor(n, call(verb, key, value, &r), &r)
}

func askFor(n *Node, c *Call, r *recorder) Answer {
	if err := n.Start(c); err != nil {
		return Answer{Err: err}
	}
	for synctest.Wait(); r.count() == 0; synctest.Wait() {
		time.Sleep(time.Millisecond)
	}
	return r.answers[0]
}

func wantStatus(t *testing.T, a Answer, want Status) {
	t.Helper()
	if a.Status != want {
		t.Errorf("status %d, want %d (error: %v)", a.Status, want, a.Err)
	}
}

func TestEveryVerbReadsItsReplies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := fakenode.New("a")
		n := newNode(t, fake)
		wantStatus(t, ask(t, n, Inspect, "k", ""), Absent)
		wantStatus(t, ask(t, n, Extend, "k", "v"), Absent)
		wantStatus(t, ask(t, n, Release, "k", "v"), Absent)
		wantStatus(t, ask(t, n, Acquire, "k", "v"), Granted)
		wantStatus(t, ask(t, n, Extend, "k", "v"), Extended)
		time.Sleep(time.Second)
		if a := ask(t, n, Inspect, "k", ""); a.Holder != "v" || a.TTL != 7*time.Second {
			t.Errorf("Inspect: %+v", a)
		}
		for _, verb := range []Verb{Acquire, Extend} {
			a := ask(t, n, verb, "k", "w")
			wantStatus(t, a, Taken)
			if a.Holder != "v" {
				t.Errorf("%v: holder %q", verb, a.Holder)
			}
		}
		wantStatus(t, ask(t, n, Release, "k", "w"), Absent)
		if fake.Get("k") != "v" {
			t.Error("a release without the value deleted the key")
		}
		wantStatus(t, ask(t, n, Release, "k", "v"), Deleted)
	})
}

// A lost reply and a repeat, by the client or the network, must not read as
// "taken".
func TestAcquireThatFindsItsOwnValueIsGranted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, fakenode.New("a"))
		wantStatus(t, ask(t, n, Acquire, "k", "v"), Granted)
		wantStatus(t, ask(t, n, Acquire, "k", "v"), Granted)
	})
}

// An empty value of a foreign client is a value.
func TestEmptyForeignValueHoldsTheKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := fakenode.New("a")
		fake.Hold("k", "", time.Minute)
		n := newNode(t, fake)
		wantStatus(t, ask(t, n, Acquire, "k", "v"), Taken)
		wantStatus(t, ask(t, n, Extend, "k", "v"), Taken)
		wantStatus(t, ask(t, n, Release, "k", "v"), Absent)
		wantStatus(t, ask(t, n, Inspect, "k", ""), Taken)
	})
}

func verbs(fake *fakenode.Node) (sent []string) {
	for _, c := range fake.Log() {
		sent = append(sent, c.Verb)
	}
	return sent
}

func TestScriptIsLoadedOnceAndAgainAfterTheServerLostIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := fakenode.New("a")
		n := newNode(t, fake)
		ask(t, n, Release, "k", "v")
		ask(t, n, Release, "k", "v")
		fake.Lose()
		ask(t, n, Release, "k", "v")
		ask(t, n, Release, "k", "v")
		want := []string{"EVAL", "EVALSHA", "EVAL", "EVALSHA"}
		if got := verbs(fake); !reflect.DeepEqual(got, want) {
			t.Errorf("took effect: %v, want %v", got, want)
		}
	})
}

func TestOldServerGetsTheScriptAndIsAskedAnewAfterAnUpgrade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := fakenode.New("a")
		fake.Set(fakenode.Faults{NoNative: true})
		n := newNode(t, fake)
		wantStatus(t, ask(t, n, Acquire, "k", "v"), Granted) // SET refused, then EVAL
		wantStatus(t, ask(t, n, Acquire, "k", "w"), Taken)
		fake.Set(fakenode.Faults{})
		wantStatus(t, ask(t, n, Acquire, "k", "w"), Taken) // remembered: still the script
		fake.Lose()                                        // restarted, as an upgrade does
		wantStatus(t, ask(t, n, Acquire, "k", "v"), Granted)
		wantStatus(t, ask(t, n, Acquire, "k", "w"), Taken)                    // native again
		want := []string{"EVAL", "EVALSHA", "EVALSHA", "EVAL", "EVAL", "SET"} // the last but one is a release: see probe
		if got := verbs(fake); !reflect.DeepEqual(got, want) {
			t.Errorf("took effect: %v, want %v", got, want)
		}
	})
}

// prefixed is a proxy that puts words of its own before the server's error.
type prefixed struct{ pool.Pool }

func (p prefixed) Do(ctx context.Context, args ...any) (any, error) {
	reply, err := p.Pool.Do(ctx, args...)
	var e pool.Error
	if errors.As(err, &e) {
		err = fmt.Errorf("wrapped: %w", pool.Error("ERR backend said: "+string(e)))
	}
	return reply, err
}

func TestNoscriptIsFoundAnywhereInTheText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, prefixed{fakenode.New("a")})
		wantStatus(t, ask(t, n, Acquire, "k", "v"), Granted)
		wantStatus(t, ask(t, n, Release, "k", "v"), Deleted)
	})
}

func TestUnexpectedReplyIsAnErrorAndNotAVote(t *testing.T) {
	for _, verb := range []Verb{Acquire, Extend, Release, Inspect} {
		r := NewRequest(verb, NewEntry("k", "v"), ttl, WaiterFlag{})
		for _, reply := range []any{[]any{}, []any{"v", "1"}, 1.5, true} {
			if a := r.answer(reply, nil); a.Status != Failed || a.Err == nil {
				t.Errorf("%v: reply %v gives %+v", verb, reply, a)
			}
		}
	}
}

func TestTTLIsRoundedUpToWholeMilliseconds(t *testing.T) {
	for d, want := range map[time.Duration]int64{
		time.Nanosecond:                       1, // and never 0, which would delete the key
		time.Millisecond:                      1,
		time.Millisecond + time.Nanosecond:    2,
		8 * time.Second:                       8000,
		8*time.Second + 999*time.Microsecond:  8001,
		10*time.Millisecond - time.Nanosecond: 10,
	} {
		if got := millis(d); got != want {
			t.Errorf("millis(%v) = %d, want %d", d, got, want)
		}
	}
}

func TestARequestThatIsSetAnewSaysNothingOfTheOneBefore(t *testing.T) {
	flag := WaiterFlag{ID: "me", TTL: time.Second, Position: QueuePosition{Ticket: 3}}
	var r Request
	for i, next := range []struct {
		verb Verb
		ttl  time.Duration
		flag WaiterFlag
	}{
		{Acquire, ttl, WaiterFlag{}}, {Release, 0, flag}, {Acquire, ttl, WaiterFlag{}}, {AcquireOrFlag, ttl, flag}, {Extend, ttl / 2, WaiterFlag{}},
		{AcquireInTurn, ttl, flag}, {Release, 0, WaiterFlag{}}, {Inspect, 0, WaiterFlag{}}, {Acquire, time.Millisecond, WaiterFlag{}},
	} {
		if i%2 == 0 {
			if r.Clear(); !reflect.DeepEqual(r, Request{ttl: r.ttl}) {
				t.Errorf("%+v is left", r)
			}
		}
		entry := NewEntry("k", fmt.Sprint(next))
		r.Set(next.verb, entry, next.ttl, next.flag)
		fresh := NewRequest(next.verb, entry, next.ttl, next.flag)
		for f := preferred[next.verb]; f <= eval; f++ {
			if got, want := r.command(f), fresh.command(f); !reflect.DeepEqual(got, want) {
				t.Errorf("%v: got %v, want %v", next, got, want)
			}
		}
	}
}

// replyAfter is a server that grants everything, and takes so long for it.
type replyAfter time.Duration

func (replyAfter) String() string { return "a" }

func (d replyAfter) Do(context.Context, ...any) (any, error) {
	time.Sleep(time.Duration(d))
	return nil, nil
}

// A process that gets no processor for a while finds timers and answers at once.
func TestAnswerThatLiesInTheSocketWinsOverATimerThatComesLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, c := range []struct {
			reply, late time.Duration
			want        Status
		}{{grace / 2, grace, Granted}, {grace / 2, 90 * time.Millisecond, Granted}, {2 * grace, 90 * time.Millisecond, Failed}, {grace / 2, grace / 4, Failed}} {
			n := newNode(t, replyAfter(c.reply))
			var r recorder
			asked := call(Acquire, "k", "v", &r)
			deadline := MakeDeadline(context.Background(), -c.late)
			asked.Deadline = &deadline
			begun := time.Now()
			n.Start(asked)
			time.Sleep(time.Second)
			if r.count() != 1 || r.answers[0].Status != c.want || r.times[0].Sub(begun) > 2*grace {
				t.Errorf("%+v: answers %+v", c, r.answers)
			}
		}
	})
}
