package redlock

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorumlock/quorumlock/internal/fakenode"
	"github.com/quorumlock/quorumlock/pool"
)

// findings returns what Check found with this word, by node.
func findings(found []Finding, check string) map[string]Finding {
	of := make(map[string]Finding)
	for _, f := range found {
		if f.Check == check {
			of[f.Node] = f
		}
	}
	return of
}

// mustCheck checks, and wants an end within a time.
func (f *fixture) mustCheck(within time.Duration) []Finding {
	f.t.Helper()
	begun := time.Now()
	found, err := f.Check(context.Background())
	if err != nil {
		f.t.Fatal(err)
	}
	if took := time.Since(begun); took > within {
		f.t.Errorf("it took %v, want %v at most", took, within)
	}
	return found
}

func (f *fixture) wantNothingLeft() {
	f.t.Helper()
	for i, n := range f.nodes {
		if keys := n.Keys(); len(keys) > 0 {
			f.t.Errorf("node %d still has %q", i, keys)
		}
	}
}

func TestCheckTakesATestLockOnEveryNodeAndLeavesNothing(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		found := f.mustCheck(2 * time.Second)
		if len(findings(found, "summary")) != 3 || len(findings(found, "self-test")) != 0 {
			t.Errorf("found %v", found)
		}
		for i, n := range f.nodes {
			// Two want the lock, one after the other, then once more and wait; and all nodes have one key.
			if n.Count("acquire") != 5 || n.Count("extend") != 2 || n.Count("release") != 5 {
				t.Errorf("node %d: %v", i, n.Log())
			}
			for _, c := range n.Log() {
				if !strings.HasPrefix(c.Key, "app:redlock-check:") {
					t.Errorf("node %d: it touched %q", i, c.Key)
				}
			}
		}
		f.wantNothingLeft()
	}, WithPrefix("app:"))
}

func TestCheckIsNotHeldUpByANodeThatHangs(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		f.nodes[1].Freeze()
		found := f.mustCheck(2 * time.Second)
		if r := findings(found, "reachable"); len(r) != 1 || r["node-2"].Severity != SeverityError || !strings.Contains(r["node-2"].Seen, "no answer within 1s") {
			t.Errorf("found %v", found)
		}
		f.nodes[1].Thaw()
		synctest.Wait()
		f.wantNothingLeft()
	})
}

// A client that cannot be interrupted holds one goroutine, however often Check is
// called, and Close waits for it.
func TestAClientThatDoesNotReturnHoldsOneExamination(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		f.nodes[1].Set(fakenode.Faults{LoseRequests: true, Uninterrupted: true})
		for i, says := range []string{"did not return", "earlier examination", "earlier examination"} {
			found := f.mustCheck(7500 * time.Millisecond)
			if r := findings(found, "reachable"); len(r) != 1 || !strings.Contains(r["node-2"].Seen, says) {
				t.Errorf("check %d found %v", i, found)
			}
			if calls := f.nodes[1].Calls(); calls != 1 {
				t.Errorf("%d calls are with the client", calls)
			}
		}
		begun := time.Now()
		if err := f.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if time.Since(begun) < time.Minute || f.nodes[1].Calls() != 0 {
			t.Errorf("Close came back after %v, with %d calls", time.Since(begun), f.nodes[1].Calls())
		}
	})
}

func TestANodeThatFallsSilentMidwayIsAskedNothingMore(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		time.AfterFunc(500*time.Millisecond, f.nodes[1].Freeze)
		// Half a second in, one for the answer that does not come, one to clean up.
		found := f.mustCheck(2600 * time.Millisecond)
		if r := findings(found, "reachable"); len(r) != 1 || !strings.Contains(r["node-2"].Seen, "not all is known") {
			t.Errorf("found %v", found)
		}
		f.nodes[1].Thaw()
		time.Sleep(10 * time.Second)
		f.wantNothingLeft()
	})
}

func TestCheckEndsWithItsContextAndStillCleansUp(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		ctx, cancel := context.WithCancelCause(context.Background())
		why := fmt.Errorf("enough")
		time.AfterFunc(300*time.Millisecond, func() { cancel(why) })
		begun := time.Now()
		found, err := f.Check(ctx)
		wantIs(t, err, context.Canceled, why)
		if found != nil || time.Since(begun) != 300*time.Millisecond {
			t.Errorf("found %v after %v", found, time.Since(begun))
		}
		synctest.Wait()
		f.wantNothingLeft()
		if f.nodes[0].Count("acquire") == 0 {
			t.Error("there was nothing to clean up")
		}
		_, err = f.Check(ctx)
		wantIs(t, err, context.Canceled)
	})
}

func TestCheckHasAResultBeforeADeadline(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		f.nodes[0].Freeze()
		for _, left := range []time.Duration{100 * time.Millisecond, 400 * time.Millisecond, time.Second, 3 * time.Second, time.Minute} {
			ctx, cancel := context.WithTimeout(context.Background(), left)
			found, err := f.Check(ctx)
			if err != nil || len(findings(found, "reachable")) != 1 || len(findings(found, "summary")) != 2 {
				t.Errorf("%v before the deadline: %v, %v", left, found, err)
			}
			cancel()
		}
		ctx, cancel := context.WithTimeout(context.Background(), 0)
		defer cancel()
		_, err := f.Check(ctx)
		wantIs(t, err, context.DeadlineExceeded)
	})
}

func TestCheckOfAClosedLockerIsRefused(t *testing.T) {
	inBubble(t, 1, func(f *fixture) {
		if err := f.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		_, err := f.Check(context.Background())
		wantIs(t, err, ErrClosed)
	})
}

func TestChecksAtTheSameTimeDoNotSeeEachOther(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		other := mustNew(t, f)
		f.others = append(f.others, other)
		done := make(chan []Finding)
		go func() {
			found, _ := other.Check(context.Background())
			done <- found
		}()
		for _, found := range [][]Finding{f.mustCheck(2 * time.Second), <-done} {
			if len(found) == 0 || len(findings(found, "distinct"))+len(findings(found, "self-test"))+len(findings(found, "reachable")) > 0 {
				t.Errorf("found %v", found)
			}
			for _, f := range findings(found, "summary") {
				if !strings.Contains(f.Seen, "a test lock was taken") {
					t.Errorf("found %v", f)
				}
			}
		}
	})
}

// timed is a node that has a clock and reports its identity.
type timed struct {
	pool.Pool
	rate   float64
	offset time.Duration
	begun  time.Time
}

func (n timed) Do(ctx context.Context, args ...any) (any, error) {
	if args[0] != "TIME" {
		return n.Pool.Do(ctx, args...)
	}
	now := n.begun.Add(time.Duration(n.rate * float64(time.Since(n.begun)))).Add(n.offset)
	return []any{strconv.FormatInt(now.Unix(), 10), strconv.Itoa(now.Nanosecond() / 1000)}, nil
}

func TestCheckFindsAClockThatRunsFastAndOneThatIsMerelyWrong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, pools := fakenode.Pools(3)
		for i, p := range pools {
			pools[i] = timed{Pool: p, rate: 1, begun: time.Now()}
		}
		pools[1] = timed{Pool: pools[1].(timed).Pool, rate: 1.02, begun: time.Now()}
		pools[2] = timed{Pool: pools[2].(timed).Pool, rate: 1, begun: time.Now(), offset: -time.Hour}
		l, err := New(pools)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close(context.Background())
		found, err := l.Check(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		clocks := findings(found, "clock")
		if f := clocks["node-2"]; f.Severity != SeverityError || !strings.Contains(f.Seen, "runs fast: 1.0200") {
			t.Errorf("%v", found)
		}
		if f := clocks["node-3"]; f.Severity != SeverityNote || !strings.Contains(f.Seen, "1h0m0s behind") || !strings.HasPrefix(f.Endangers, "nothing directly") {
			t.Errorf("%v", found)
		}
		if len(clocks) != 2 {
			t.Errorf("%v", clocks)
		}
	})
}

func TestAFindingIsALineThatSaysAll(t *testing.T) {
	f := Finding{SeverityWarning, "persistence", "redis-1:6379", "nothing is persisted", "exclusion", "CONFIG SET"}
	if got, want := f.String(), "warning: node redis-1:6379: persistence: nothing is persisted; endangers exclusion; remedy: CONFIG SET"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := (Finding{Node: "n", Check: "summary", Seen: "fine"}).String(); got != "note: node n: summary: fine" {
		t.Errorf("got %q", got)
	}
}

func TestChecksOfOneLockerComeOneAfterTheOther(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		const many = 4
		all := make(chan []Finding)
		for range many {
			go func() {
				found, err := f.Check(context.Background())
				if err != nil {
					f.t.Error(err)
				}
				all <- found
			}()
		}
		for range many {
			if found := <-all; len(findings(found, "reachable"))+len(findings(found, "distinct")) > 0 {
				f.t.Errorf("found %v", found)
			}
		}
		go f.Check(context.Background())
		synctest.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
		defer cancel()
		_, err := f.Check(ctx)
		wantIs(f.t, err, context.DeadlineExceeded)
		time.Sleep(2 * time.Second)
	}, WithTTL(2*time.Second))
}
