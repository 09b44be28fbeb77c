package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/quorumlock/quorumlock/internal/node"
	"github.com/quorumlock/quorumlock/internal/redisproc"
	"github.com/quorumlock/quorumlock/pool"
	"github.com/quorumlock/quorumlock/pool/goredis"
)

// The model is worth what it has in common with a server.

// A recorder notes what a node says to each command.
type recorder struct {
	pool.Pool

	mu   sync.Mutex
	said []any
}

func (r *recorder) Do(ctx context.Context, args ...any) (any, error) {
	reply, err := r.Pool.Do(ctx, args...)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.said = append(r.said, err.Error())
	} else {
		r.said = append(r.said, reply)
	}
	return reply, err
}

// take returns what was said since it was last asked.
func (r *recorder) take() []any {
	r.mu.Lock()
	defer r.mu.Unlock()
	said := r.said
	r.said = nil
	return said
}

// A modelPool is the model of a server, on the clock of the machine.
type modelPool struct {
	mu sync.Mutex
	*server
}

func newModelPool() *modelPool {
	begun := time.Now()
	offset := time.Duration(begun.UnixMicro()-epoch) * time.Microsecond
	return &modelPool{server: newServer(0, nodeClock{now: func() time.Duration { return time.Since(begun) }, offset: offset})}
}

func (m *modelPool) Do(_ context.Context, args ...any) (any, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.do(args, func(string, string) {})
}

// alike reports whether two replies are the same. Remaining times and times of day,
// which are large, may differ by what it took to ask.
func alike(a, b any) bool {
	switch a := a.(type) {
	case int64:
		b, ok := b.(int64)
		const hours, today = 1_000_000, 1_000_000_000_000_000 // milliseconds, microseconds
		switch {
		case !ok:
			return false
		case a > today:
			return max(a-b, b-a) < 5_000_000
		case a > hours:
			return max(a-b, b-a) < 5_000
		}
		return a == b
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !alike(a[i], b[i]) {
				return false
			}
		}
		return true
	case string:
		b, ok := b.(string)
		if a, isTime := quarantined(a); isTime {
			b, isTime := quarantined(b)
			return isTime && max(a-b, b-a) < 5_000
		}
		return ok && (a == b || strings.HasPrefix(a, "NOSCRIPT") && strings.HasPrefix(b, "NOSCRIPT"))
	}
	return reflect.DeepEqual(a, b)
}

// quarantined is for how long a server says that it grants no locks, in milliseconds.
func quarantined(reply string) (left int64, ok bool) {
	n, err := fmt.Sscanf(reply, "GUARDQUARANTINE this server may have forgotten locks, and grants none for another %d ms", &left)
	return left, n == 1 && err == nil
}

func TestTheModelAnswersAsAServerDoes(t *testing.T) {
	compare(t, newModelPool())
}

// So do the scripts, where they are carried out as they are on the data of the model.
func TestTheScriptsOnTheModelsDataAnswerAsAServerDoes(t *testing.T) {
	model := newModelPool()
	model.lua = newInterpreter()
	compare(t, model)
}

// compare asks a server and a model of it the same.
func compare(t *testing.T, asModel *modelPool) {
	process := redisproc.Start(t, redisproc.Options{})
	client := redis.NewClient(&redis.Options{Addr: process.Addr()})
	t.Cleanup(func() { _ = client.Close() })
	real, model := &recorder{Pool: goredis.New(client)}, &recorder{Pool: asModel}
	both := []*node.Node{node.New(real), node.New(model)}
	for _, n := range both {
		t.Cleanup(n.Stop)
	}
	twins := twins{t, process, asModel}
	twins.start(nil)
	kinds := make(map[string]int)
	for seed := range uint64(210) {
		random := rand.New(rand.NewPCG(seed, 3))
		key := fmt.Sprint("key", seed)
		var steps []string
		for range 25 {
			if did := twins.happen(random); did != "" {
				steps = append(steps, did)
				kinds[did]++
			}
			q := question(random, key, seed%3 == 0)
			for _, n := range both {
				ask(t, n, q)
			}
			want, got := real.take(), model.take()
			a, b := twins.markers()
			want, got = append(want, a...), append(got, b...)
			steps = append(steps, fmt.Sprintf("%+v\n  -> %v", q, want))
			if !alike(want, got) {
				t.Fatalf("seed %d: after\n%s\nthe model says %v", seed, strings.Join(steps, "\n"), got)
			}
			kinds[said(q, want[len(want)-1-len(a)])]++
			if strings.Contains(fmt.Sprint(want), readersMark) {
				kinds[q.grant+" finds readers"]++
			}
			if q.grant == "any" {
				kinds[saidOfSlots(q, want[len(want)-1-len(a)])]++
			}
			if q.brief {
				time.Sleep(3 * time.Millisecond) // until it has expired
			}
			there, here := twins.kept(key)
			for i := 0; q.brief && i < 1000 && !alike(there, here); i++ { // or later, where the clock was set back
				time.Sleep(time.Millisecond)
				there, here = twins.kept(key)
			}
			if !alike(there, here) {
				t.Fatalf("seed %d: after\n%s\nthe server keeps %v\nthe model keeps %v", seed, strings.Join(steps, "\n"), there, here)
			}
		}
		if random.IntN(20) == 0 {
			if _, err := process.Do("SCRIPT", "FLUSH"); err != nil {
				t.Fatal(err)
			}
			clear(asModel.known)
		}
		if seed%50 == 49 {
			twins.start(process.Restart)
		}
	}
	for _, kind := range []string{"several lock <nil>", "several lock int64", "several lock []interface {}",
		"several extend int64", "several extend string", "several unlock int64", "several unlock string", "guarded several lock <nil>",
		"shared lock []interface {}", "shared extend int64", "shared extend string", "shared unlock int64", "shared unlock string", "guarded shared lock []interface {}",
		" finds readers", "several finds readers",
		"any lock []interface {}", "any unlock int64", "any unlock string", "guarded any lock []interface {}", "chosen extend int64", "chosen unlock int64", "chosen unlock string",
		"any takes", "any is queued", "any finds its own", "any finds another", "any is refused its token"} {
		if kinds[kind] == 0 {
			t.Errorf("%q never came: %v", kind, kinds)
		}
	}
	for _, kind := range []string{"lock <nil>", "lock string", "lock int64", "lock []interface {}", "extend int64", "extend string",
		"unlock int64", "unlock string", "inspect []interface {}", "read []interface {}", "read string", "publish []interface {}",
		"guarded lock GUARDQUARANTINE", "guarded lock GUARDMISMATCH", "guarded lock <nil>", "guarded lock string", "guarded lock int64"} {
		if kinds[kind] == 0 {
			t.Errorf("%q never came: %v", kind, kinds)
		}
	}
}

// said names what was asked and what was said.
func said(q query, reply any) string {
	what := fmt.Sprintf("%T", reply)
	if text, _ := reply.(string); strings.HasPrefix(text, "GUARD") {
		what, _, _ = strings.Cut(text, " ")
	}
	what = strings.TrimSpace(fmt.Sprintf("%s %v %s", q.grant, q.verb, what))
	if q.guarded {
		return "guarded " + what
	}
	return what
}

func ask(t *testing.T, n *node.Node, q query) {
	t.Helper()
	deadline := node.MakeDeadline(context.Background(), 20*time.Second)
	answered := make(answers, 1)
	request := q.request
	if request == nil {
		request = node.NewRequest(q.verb, q.lease, q.ttl, q.flag)
	}
	call := &node.Call{Request: request, Deadline: &deadline, Receiver: answered}
	if err := n.Start(call); err != nil {
		t.Fatal(err)
	}
	if a := <-answered; a.Err != nil && !strings.Contains(a.Err.Error(), "CLOCKBEHIND") && !strings.Contains(a.Err.Error(), "GUARD") {
		t.Fatal(a.Err)
	}
}

type answers chan node.Answer

func (a answers) Answer(_ *node.Call, answer node.Answer) { a <- answer }
func (a answers) Late(*node.Call, node.Answer)            {}
