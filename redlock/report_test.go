package redlock

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorumlock/quorumlock/internal/clock"
	"github.com/quorumlock/quorumlock/internal/fakenode"
	"github.com/quorumlock/quorumlock/pool"
)

// A counter is what a service has behind a mutex. (It is a channel, since a bubble does not
// see a wait for a mutex.)
type counter struct {
	mutex chan struct{}
	lost  int
}

func (c *counter) take() { c.mutex <- struct{}{} }
func (c *counter) give() { <-c.mutex }

func TestACallerMayHoldAMutexThatItsTraceTakesWhenItAsksAContext(t *testing.T) {
	for name, ask := range map[string]func(k *Lock, ctx context.Context){
		"Err":   func(_ *Lock, ctx context.Context) { wantIs(t, ctx.Err(), context.Canceled) },
		"Done":  func(_ *Lock, ctx context.Context) { <-ctx.Done() },
		"Value": func(k *Lock, ctx context.Context) { ctx.Value(ofName{k.locker, k.name}) },
		"Held":  func(k *Lock, _ context.Context) { k.Held() },
	} {
		t.Run(name, func(t *testing.T) {
			var c counter
			inBubble(t, 3, func(f *fixture) {
				c = counter{mutex: make(chan struct{}, 1)}
				k := f.lock("job")
				ctx := k.Context()
				f.clock.Step(time.Hour) // no timer has noticed
				asked := make(chan struct{})
				c.take()
				go func() {
					ask(k, ctx)
					close(asked)
				}()
				select {
				case <-asked:
				case <-time.After(suspendPeriod / 2):
					t.Error("the caller waits for the Trace")
				}
				c.give()
				<-asked
				synctest.Wait()
				if c.lost != 1 {
					t.Errorf("notified %d times", c.lost)
				}
				wantIs(t, context.Cause(ctx), ErrExpired)
				time.Sleep(8 * time.Second) // the keys expire
			}, WithTrace(&Trace{Lost: func(string, error) {
				c.take()
				c.lost++
				c.give()
			}}))
		})
	}
}

// A slowSubmitter takes its time to take a command over, as a socket does that is full.
type slowSubmitter struct {
	fakenode.Pipelined
	slow *atomic.Bool
}

func (s slowSubmitter) Submit(ctx context.Context, r pool.Receiver, args ...any) {
	if s.slow.Load() {
		time.Sleep(time.Second)
	}
	s.Pipelined.Submit(ctx, r, args...)
}

// A lock that ended may have keys that are to be deleted.
func TestErrOfAContextSendsNoCommands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes, pools := fakenode.Pools(3)
		var slow atomic.Bool
		for i, n := range nodes {
			pools[i] = slowSubmitter{fakenode.Pipelined{Node: n}, &slow}
		}
		c := new(clock.Fake)
		l, err := newLocker(c, pools, nil)
		if err != nil {
			t.Fatal(err)
		}
		k, err := l.Lock(context.Background(), "job")
		if err != nil {
			t.Fatal(err)
		}
		ctx := k.Context()
		nodes[0].Set(fakenode.Faults{LoseReplies: true})
		nodes[1].Set(fakenode.Faults{LoseReplies: true})
		wantIs(t, k.Extend(context.Background()), ErrNoQuorum) // and yet the keys were prolonged
		nodes[0].Set(fakenode.Faults{})
		nodes[1].Set(fakenode.Faults{})
		c.Step(time.Hour)
		slow.Store(true)
		begun := time.Now()
		if err := ctx.Err(); err == nil || time.Since(begun) > 0 {
			t.Errorf("Err returns %v after %v", err, time.Since(begun))
		}
		slow.Store(false)
		if err := l.Close(context.Background()); err != nil || nodes[0].Get("job") != "" {
			t.Errorf("Close: %v; the key is %q", err, nodes[0].Get("job"))
		}
	})
}

func TestLocksAreRenewedInTimeThoughTheLoggerBlocks(t *testing.T) {
	full := new(hangingHandler)
	inBubble(t, 3, func(f *fixture) {
		full.read = make(chan struct{})
		var held []*Lock
		for i := range 320 { // 64 at a time
			held = append(held, f.lock(fmt.Sprint(i), WithKeepAlive()))
		}
		f.nodes[0].Set(fakenode.Faults{Refuse: true})
		f.nodes[1].Set(fakenode.Faults{Refuse: true})
		time.Sleep(3 * time.Second) // the renewals of all fail, and that is logged
		f.nodes[0].Set(fakenode.Faults{})
		f.nodes[1].Set(fakenode.Faults{})
		time.Sleep(8 * time.Second)
		lost := 0
		for _, k := range held {
			if k.Context().Err() != nil {
				lost++
			}
		}
		close(full.read)
		if lost > 0 {
			t.Errorf("%d of %d locks were lost", lost, len(held))
		}
		for _, k := range held {
			k.Unlock(context.Background())
		}
	}, WithLogger(slog.New(full)))
}

func TestCloseReturnsByItsDeadlineThoughTheLoggerBlocks(t *testing.T) {
	full := new(hangingHandler)
	inBubble(t, 3, func(f *fixture) {
		full.read = make(chan struct{})
		time.AfterFunc(6*time.Second, func() { close(full.read) })
		for i := range 10 {
			f.lock(fmt.Sprint(i))
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		begun := time.Now()
		if err := f.Close(ctx); err == nil || !strings.Contains(err.Error(), "10 locks are still held") {
			t.Errorf("Close: %v", err)
		}
		if took := time.Since(begun); took > time.Second {
			t.Errorf("Close took %v", took)
		}
		time.Sleep(10 * time.Second)
	}, WithLogger(slog.New(full)))
}

func TestCloseWaitsForTheLoggerAndWritesOneRecordForAllHeldLocks(t *testing.T) {
	var log safeBuffer
	inBubble(t, 3, func(f *fixture) {
		log.reset()
		for i := range 100 {
			f.lock(fmt.Sprint(i))
		}
		f.Close(context.Background())
		got := log.String()
		if want := `msg="redlock: closed, and locks are still held" locks=100 names="[\"0\" \"1\" \"10\" \"11\" \"12\"] ..." owner=me`; strings.Count(got, "\n") != 1 || !strings.Contains(got, want) {
			t.Errorf("the log: %s\nwant %s", got, want)
		}
		time.Sleep(8 * time.Second) // the keys expire
	}, WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
}

// A safeBuffer may be written to when a test has ended.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func (s *safeBuffer) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.b.Reset()
}

func TestReportsAreDeliveredInOrderAndDroppedOnesAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log safeBuffer
		r := reporter{logger: slog.New(slog.NewTextHandler(&log, nil))}
		var delivered []int
		blocked := make(chan struct{})
		for i := range maxReports + 8 {
			r.add(func() {
				<-blocked
				delivered = append(delivered, i)
			})
			if i == 0 {
				synctest.Wait() // it is being delivered, and not queued any more
			}
		}
		close(blocked)
		synctest.Wait()
		for i := range delivered {
			if delivered[i] != i {
				t.Fatalf("report %d comes as number %d", delivered[i], i)
			}
		}
		if len(delivered) != maxReports+1 || !strings.Contains(log.String(), "dropped=7\n") {
			t.Errorf("%d were delivered; the log: %s", len(delivered), log.String())
		}
		r.add(func() { delivered = nil })
		synctest.Wait()
		if delivered != nil || r.done != nil || r.queue != nil {
			t.Error("it does not go on, or keeps a goroutine")
		}
	})
}
