package redlock

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/internal/fakenode"
)

// A logbook is what was logged.
type logbook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// lines returns what has been logged since the last time.
func (l *logbook) lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := strings.TrimSpace(l.text.String())
	l.text.Reset()
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

func (l *logbook) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// byDefault makes a logbook the default logger's.
func byDefault(t *testing.T) *logbook {
	book, before := new(logbook), slog.Default()
	slog.SetDefault(book.logger())
	t.Cleanup(func() { slog.SetDefault(before) })
	return book
}

// waitInVain waits for a lock that nobody grants.
func (f *fixture) waitInVain(d time.Duration) {
	f.t.Helper()
	_, err := f.Lock(context.Background(), "job", WithMaxWait(d))
	wantIs(f.t, err, ErrNoQuorum, context.DeadlineExceeded)
}

func TestAWaitThatNoNodeEverAnsweredIsReportedOnceWithoutALogger(t *testing.T) {
	book := byDefault(t)
	for name, c := range map[string]struct {
		faults fakenode.Faults
		says   []string
	}{
		"refused": {fakenode.Faults{Refuse: true}, []string{"refused", "start the server"}},
		"silent":  {fakenode.Faults{LoseRequests: true}, []string{"no answer", "whether it is a Redis server"}},
		"loading": {fakenode.Faults{Error: "LOADING Redis is loading the dataset in memory"}, []string{"LOADING", "still loading"}},
	} {
		inBubble(t, 3, func(f *fixture) {
			for _, n := range f.nodes {
				n.Set(c.faults)
			}
			f.waitInVain(4 * time.Second)
			if said := book.lines(); said != nil {
				t.Errorf("%s: after four seconds it says %q", name, said)
			}
			f.waitInVain(9 * time.Second)
			said := book.lines()
			if len(said) != 1 {
				t.Fatalf("%s: %q", name, said)
			}
			for _, text := range append(c.says, "level=WARN", "redlock: a lock is waited for", "name=job", "node node-") {
				if !strings.Contains(said[0], text) {
					t.Errorf("%s: %q is missing in %s", name, text, said[0])
				}
			}
			f.waitInVain(time.Minute)
			if said := book.lines(); said != nil {
				t.Errorf("%s: again: %q", name, said)
			}
		})
	}
}

func TestAnOutageOfNodesThatHadAnsweredIsNoMatterForTheDefaultLogger(t *testing.T) {
	book := byDefault(t)
	inBubble(t, 3, func(f *fixture) {
		f.unlock(f.lock("job"))
		for _, n := range f.nodes {
			n.Set(fakenode.Faults{Refuse: true})
		}
		f.waitInVain(time.Minute)
	})
	inBubble(t, 3, func(f *fixture) {
		for _, n := range f.nodes {
			n.Hold("job", "another", time.Hour)
		}
		_, err := f.Lock(context.Background(), "job", WithMaxWait(time.Minute))
		wantIs(t, err, ErrTaken)
	})
	inBubble(t, 3, func(f *fixture) { // a quarantine passes
		f.unlock(f.lock("job"))
	}, WithRestartGuard(defaultTTL))
	inBubble(t, 3, func(f *fixture) { // all nodes answer, and nobody holds it
		f.nodes[0].Hold("job", "one", time.Hour)
		f.nodes[1].Hold("job", "another", time.Hour)
		f.nodes[1].Set(fakenode.Faults{Delay: time.Millisecond})
		_, err := f.Lock(context.Background(), "job", WithMaxWait(9*time.Second), WithNodeTimeout(2*time.Millisecond), WithRetryDelay(2*time.Second, 2*time.Second))
		wantIs(t, err, ErrNoQuorum)
		f.nodes[0].Delete("job")
		f.nodes[1].Delete("job")
	})
	if said := book.lines(); said != nil {
		t.Errorf("it says %q", said)
	}
}

func TestALoggerOfTheUserGetsTheReport(t *testing.T) {
	byDefault := byDefault(t)
	own := new(logbook)
	inBubble(t, 3, func(f *fixture) {
		for _, n := range f.nodes {
			n.Set(fakenode.Faults{Refuse: true})
		}
		own.lines()
		f.waitInVain(9 * time.Second)
		if said := strings.Join(own.lines(), "\n"); strings.Count(said, "a lock is waited for") != 1 || strings.Count(said, "node fails") != 3 {
			t.Errorf("it says %s", said)
		}
	}, WithLogger(own.logger()))
	inBubble(t, 3, func(f *fixture) {
		for _, n := range f.nodes {
			n.Set(fakenode.Faults{Refuse: true})
		}
		f.waitInVain(9 * time.Second)
	}, WithLogger(slog.New(slog.DiscardHandler)))
	if said := byDefault.lines(); said != nil {
		t.Errorf("the default logger says %q", said)
	}
}
