package lease

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorumlock/quorumlock/internal/clock"
)

// A fixture is a Keeper in a bubble of virtual time. The bubble itself fails the test if a
// goroutine is left.
type fixture struct {
	*Keeper
	t     *testing.T
	clock *clock.Fake
	all   []*testLock
}

func inBubble(t *testing.T, f func(f *fixture)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := new(clock.Fake)
		fix := &fixture{Keeper: NewKeeper(c), t: t, clock: c}
		f(fix)
		_, renewed := fix.Close()
		if renewed != nil {
			<-renewed
		}
		for _, k := range fix.all {
			k.Release(c.Read())
		}
	})
}

// A testLock notes what its lease asks of it.
type testLock struct {
	Lease
	f         *fixture
	name      string
	unknown   bool          // an acquire has an unknown outcome
	answering time.Duration // how long an extension takes

	mu      sync.Mutex // protects the rest
	refused error      // what every extension meets
	ending  func()     // is called by Ended
	events  []string
	sent    []time.Time // extensions
}

// ask makes a lease of the TTL of terms that is not held yet.
func (f *fixture) ask(name string, terms Terms) *testLock {
	k := &testLock{f: f, name: name}
	k.Start(f.Keeper, Grant{Lock: k, Values: context.Background()}, terms, f.clock.Read())
	f.all = append(f.all, k)
	return k
}

// hold makes a lease that is held, and kept alive.
func (f *fixture) hold(name string) *testLock { return f.holdOn(terms, name, true) }

func (f *fixture) holdOn(terms Terms, name string, keepAlive bool) *testLock {
	f.t.Helper()
	k := f.ask(name, terms)
	if !f.Hold(&k.Lease, keepAlive) {
		f.t.Fatalf("lease %q is refused", name)
	}
	return k
}

func (f *fixture) holdMany(n int) (all []*testLock) {
	for i := range n {
		all = append(all, f.hold(fmt.Sprint(i)))
	}
	return all
}

func (f *fixture) release(k *testLock) {
	f.t.Helper()
	if cause, valid := k.Release(f.clock.Read()); cause != ErrReleased || !valid {
		f.t.Errorf("lease %q: %v", k.name, cause)
	}
}

// note has one more event, with what is wrong about it.
func (k *testLock) note(format string, args ...any) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.events = append(k.events, fmt.Sprintf(format, args...))
}

func (k *testLock) noted() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.events)
}

func (k *testLock) extensions() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.sent)
}

// locked fails the test if the mutex of the lease is held, or is not.
func (k *testLock) locked(during string, want bool) {
	free := k.Lease.mu.TryLock()
	if free {
		k.Lease.mu.Unlock()
	}
	if free == want {
		k.f.t.Errorf("%s: the mutex of the lease is held: %v", during, !free)
	}
}

func (k *testLock) Keys() Keys { return testKeys{k} }

func (k *testLock) Renew(ctx context.Context) error {
	if !k.BeginExtension(ctx) {
		return ctx.Err()
	}
	defer k.EndExtension()
	if cause := k.EndIfExpired(false); cause != nil {
		return cause
	}
	x, err := k.Extension()
	if err != nil {
		return err
	}
	k.mu.Lock()
	k.sent = append(k.sent, time.Now())
	refused := k.refused
	k.mu.Unlock()
	if k.answering > 0 {
		time.Sleep(k.answering)
	}
	k.Extended(x, k.f.clock.Read(), refused)
	if cause := k.EndIfExpired(false); cause != nil {
		return cause
	}
	return refused
}

// onEnd has f called by Ended.
func (k *testLock) onEnd(f func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ending = f
}

// refuse has all further extensions fail.
func (k *testLock) refuse() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.refused = errRefused
}

func (k *testLock) RenewalFailed(err error, left time.Duration, again bool) {
	k.locked("RenewalFailed", false)
	k.note("renewal failed: %v, again %v", err, again)
}

func (k *testLock) Ended(rollBack bool) {
	k.locked("Ended", false)
	k.note("ended, rolled back %v", rollBack)
	k.mu.Lock()
	ending := k.ending
	k.mu.Unlock()
	if ending != nil {
		ending()
	}
}

func (k *testLock) Lost(cause error, silent bool) {
	k.locked("Lost", false)
	k.note("lost: %v, silent %v", cause, silent)
}

type testKey struct{}

func (k *testLock) Value(key any) any {
	k.locked("Value", false)
	if key == (testKey{}) {
		return k
	}
	return nil
}

type testKeys struct{ k *testLock }

func (keys testKeys) RetakeUntil(until time.Time) {
	keys.k.locked("RetakeUntil", true)
	if !until.IsZero() {
		keys.k.f.t.Errorf("nodes are taken again until %v", until)
	}
	keys.k.note("no retake")
}

func (keys testKeys) OutcomeUnknown() bool { return keys.k.unknown }

func (keys testKeys) ExpectRelease() {
	keys.k.locked("ExpectRelease", true)
	keys.k.note("release expected")
}
