package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorumlock/quorumlock/pool"
)

// scripted is a server with given answers, by the beginning of a command.
// What is not listed is unknown to it.
type scripted struct {
	replies map[string]any

	mu    sync.Mutex // protects asked: connections are kept busy meanwhile
	asked []string
}

func (s *scripted) String() string { return "scripted" }

func (s *scripted) Do(ctx context.Context, args ...any) (any, error) {
	command := strings.TrimSuffix(fmt.Sprintln(args...), "\n")
	s.mu.Lock()
	s.asked = append(s.asked, command)
	s.mu.Unlock()
	best := ""
	for begin := range s.replies {
		if strings.HasPrefix(command, begin) && len(begin) > len(best) {
			best = begin
		}
	}
	reply, known := s.replies[best]
	if !known {
		reply = pool.Error("ERR unknown command '" + args[0].(string) + "'")
	}
	if err, is := reply.(error); is {
		return nil, err
	}
	return reply, ctx.Err()
}

func examine(t *testing.T, replies map[string]any) (f Facts, s *scripted) {
	t.Helper()
	s = &scripted{replies: replies}
	synctest.Test(t, func(t *testing.T) {
		e := Examination{Patience: time.Second, Period: time.Second, Origin: time.Now(), Key: "test", Value: "value", TTL: 5 * time.Second}
		f = New(s).Examine(context.Background(), e)
	})
	return f, s
}

func (s *scripted) has(command string) bool {
	return slices.ContainsFunc(s.asked, func(c string) bool { return strings.HasPrefix(c, command) })
}

func TestAServerThatLoadsItsDataIsAskedForNoLock(t *testing.T) {
	f, s := examine(t, map[string]any{
		"PING": pool.Error("LOADING Redis is loading the dataset in memory"),
		"INFO": "# Server\r\nredis_version:7.0.15\r\nrole:master\r\nloading:1\r\n",
	})
	if f.Err != nil || f.Server.Loading != 1 || f.SelfTest.Skipped == "" || s.has("SET") || s.has("EVAL") {
		t.Errorf("got %+v after %q", f, s.asked)
	}
}

func TestAnOldServerIsAskedInTheFormsThatItKnows(t *testing.T) {
	f, s := examine(t, map[string]any{
		"PING":       "PONG",
		"INFO":       "redis_version:6.0.16\r\nrole:master\r\n",
		"SET test":   pool.Error("ERR syntax error"),
		"SET {":      "OK",
		"EVAL ":      nil,
		"ACL WHOAMI": "default",
		"TIME":       []any{"1000", "500000"},
	})
	if !f.NativeRefused || f.Server.Major != 6 || f.SelfTest.Err == nil {
		t.Errorf("got %+v", f)
	}
	if !s.has("ACL DRYRUN") || !s.has("ZADD {test}:queue") || f.Rights.User != "default" {
		t.Errorf("rights: %+v after %q", f.Rights, s.asked)
	}
	if len(f.Samples) != samples || f.Samples[0].Clock != 1000500*time.Millisecond || f.Samples[samples-1].Sent < 900*time.Millisecond {
		t.Errorf("samples: %v", f.Samples)
	}
}

func TestExaminationEndsWhenTheHandshakeIsRefused(t *testing.T) {
	for _, refusal := range []error{
		pool.Error("NOAUTH Authentication required."),
		pool.Error("WRONGPASS invalid username-password pair"),
		fmt.Errorf("%w: %w", pool.ErrNotSent, pool.Error("ERR DB index is out of range")),
		errors.New("connection reset by peer"),
	} {
		f, s := examine(t, map[string]any{"PING": refusal})
		if !errors.Is(f.Err, refusal) || len(s.asked) != 1 {
			t.Errorf("%v: got %v after %q", refusal, f.Err, s.asked)
		}
	}
}

// Passwords stand in the configuration.
func TestOnlyNamedParametersAreAskedFor(t *testing.T) {
	_, s := examine(t, map[string]any{"PING": "PONG", "CONFIG GET": []any{}})
	var asked []string
	for _, command := range s.asked {
		if rest, is := strings.CutPrefix(command, "CONFIG "); is {
			asked = append(asked, rest)
		}
	}
	if want := []string{"GET *appendfsync*", "GET save", "GET min-*-to-write"}; !slices.Equal(asked, want) {
		t.Errorf("asked for %q, want %q", asked, want)
	}
}

func TestTextsOfAServerAreShownIfTheyFitInALine(t *testing.T) {
	s := parseInfo("redis_version:7\x1b[2J\r\nrun_id:" + strings.Repeat("a", 300) + "\r\nrole:master\r\nmaxmemory:much\r\nno colon\r\n")
	if s.Version != "?" || s.RunID != "" || s.Role != "master" || s.Max != -1 || s.Major != -1 {
		t.Errorf("got %+v", s)
	}
	if s := parseInfo("redis_version:7.2.4\nvalkey_version:8.0.1\n"); s.Version != "valkey 8.0.1" || s.Major != 7 || s.AOF != -1 || s.Uptime >= 0 {
		t.Errorf("got %+v", s)
	}
}

func TestRepliesThatAreNoTimeOrConfigurationAreRefused(t *testing.T) {
	for _, reply := range []any{nil, "1", []any{"1"}, []any{"1", int64(2)}, []any{"x", "1"}} {
		if at, err := parseTime(reply); err == nil {
			t.Errorf("%v is %v", reply, at)
		}
	}
	for _, reply := range []any{nil, "x", []any{"save"}} {
		if err := parseConfig(reply, map[string]string{}); err == nil {
			t.Errorf("%v is a configuration", reply)
		}
	}
}

func TestAMarkerIsReadAsTheScriptReadsIt(t *testing.T) {
	for _, c := range []struct {
		marker, left any
		want         Marker
		fails        bool
	}{
		{nil, int64(-2), Marker{}, false},
		{"0aF 3 8000 8083", int64(-2), Marker{"0aF", "3 8000 8083", 0}, false},
		{"0aF 3 8000 8083", int64(8083), Marker{"0aF", "3 8000 8083", 8083 * time.Millisecond}, false},
		{"0aF ", int64(0), Marker{"0aF", "", time.Millisecond}, false}, // PTTL rounds down
		{"0aF x\x1b[2J", int64(-1), Marker{"0aF", "?", -1}, false},
		{"0aF 3", int64(1) << 62, Marker{"0aF", "3", -1}, false},
		{"0ag 3 8000 8083", int64(-2), Marker{}, false}, // no run id: the script writes it anew
		{" 3 8000 8083", int64(-2), Marker{}, false},
		{"0af", int64(-2), Marker{}, false},
		{"0af 3", "soon", Marker{"0af", "3", 0}, true},
		{pool.Error("WRONGTYPE"), int64(-2), Marker{}, true},
	} {
		f, _ := examine(t, map[string]any{"PING": "PONG", "SET test": nil, "GET " + markerKey: c.marker, "PTTL " + quarantineKey: c.left})
		if f.Marker != c.want || c.fails != (f.MarkerErr != nil) {
			t.Errorf("%q, %v: got %+v, %v", c.marker, c.left, f.Marker, f.MarkerErr)
		}
	}
	f, s := examine(t, map[string]any{"PING": "PONG", "INFO": "role:slave\r\n", "GET": "0af 3 8000 8083"})
	if f.Marker != (Marker{}) || f.MarkerErr != nil || s.has("GET") {
		t.Errorf("a replica has its master's: %+v", f)
	}
}
