package redlock

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorumlock/quorumlock/internal/fakenode"
	"github.com/quorumlock/quorumlock/pool"
)

const (
	noRights      = "NOPERM this user has no permissions to run the 'set' command"
	wrongPassword = "WRONGPASS invalid username-password pair or user is disabled."
	dataKey       = "WRONGTYPE Operation against a key holding the wrong kind of value"
	ofACluster    = "MOVED 7186 127.0.0.1:7001"
	strangeWords  = "ERR words that nobody has heard before"
)

// refuse has nodes answer all commands with an error, "" for none.
func refuse(text string, nodes ...*fakenode.Node) {
	for _, n := range nodes {
		n.Set(fakenode.Faults{Error: text})
	}
}

// after is how long a call of Lock took that ended with ErrNoQuorum without its context.
func (f *fixture) after(opts ...LockOption) (took time.Duration, err error) {
	f.t.Helper()
	start := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	_, err = f.Lock(ctx, "job", opts...)
	wantIs(f.t, err, ErrNoQuorum)
	if ctx.Err() != nil {
		f.t.Fatalf("it waits for a fault that does not pass: %v", err)
	}
	return time.Since(start), err
}

func TestWaitingEndsAtOnceWhereANodeNeverAnsweredAndAnOperatorHasToFixIt(t *testing.T) {
	for _, text := range []string{noRights, wrongPassword, dataKey, ofACluster} {
		inBubble(t, 3, func(f *fixture) {
			refuse(text, f.nodes[0])
			f.unlock(f.lock("job")) // one of three is no reason to give up
		})
		inBubble(t, 3, func(f *fixture) {
			refuse(text, f.nodes[0], f.nodes[1])
			took, err := f.after()
			if took != 0 {
				t.Errorf("%s: gave up after %v", text, took)
			}
			if !strings.Contains(err.Error(), "node node-1: "+text+" (") {
				t.Errorf("error %q does not name node, reason and remedy", err)
			}
		})
	}
}

func TestAKeyThatIsNoLockEndsAWaitAtOnceAlsoWhereLocksWereTaken(t *testing.T) {
	for _, text := range []string{dataKey, ofACluster} {
		inBubble(t, 3, func(f *fixture) {
			f.unlock(f.lock("job"))
			refuse(text, f.nodes...)
			if took, err := f.after(); took != 0 {
				t.Errorf("gave up after %v: %v", took, err)
			}
		})
	}
}

// Credentials are rotated and rights are changed while services wait.
func TestAShortLossOfRightsEndsNoWaitThatHadReachedTheNodes(t *testing.T) {
	for _, text := range []string{noRights, wrongPassword, strangeWords} {
		inBubble(t, 3, func(f *fixture) {
			holder := mustNew(t, f)
			f.others = append(f.others, holder)
			held, err := holder.Lock(context.Background(), "job")
			if err != nil {
				t.Fatal(err)
			}
			var pending []*Pending
			for range 3 {
				pending = append(pending, f.LockAsync(context.Background(), "job"))
			}
			time.Sleep(time.Second)
			refuse(text, f.nodes...)
			time.Sleep(300 * time.Millisecond)
			refuse("", f.nodes...)
			if err := held.Unlock(context.Background()); err != nil {
				t.Error(err)
			}
			for i, p := range pending {
				lock, err := p.Wait(context.Background())
				if err != nil {
					t.Fatalf("%s: caller %d was thrown out: %v", text, i, err)
				}
				f.unlock(lock)
			}
		})
	}
}

func TestARefusalThatStaysEndsEveryWaitAfterAFewSeconds(t *testing.T) {
	for _, text := range []string{noRights, wrongPassword, strangeWords} {
		inBubble(t, 3, func(f *fixture) {
			f.unlock(f.lock("job"))
			refuse(text, f.nodes[0], f.nodes[1])
			next := f.LockAsync(context.Background(), "job")
			last := f.LockAsync(context.Background(), "job")
			took, err := f.after() // it stands behind the two
			if took < 2*time.Second || took > 4*time.Second {
				t.Errorf("%s: gave up after %v: %v", text, took, err)
			}
			for _, p := range []*Pending{next, last} {
				_, err := p.Wait(context.Background())
				wantIs(t, err, ErrNoQuorum)
			}
			refuse("", f.nodes...)
			f.unlock(f.lock("job"))
		})
	}
}

// What one of the nodes says in between counts for that one only.
func TestARefusalOfAMajorityEndsTheWaitWhateverTheOthersDo(t *testing.T) {
	inBubble(t, 5, func(f *fixture) {
		refuse(strangeWords, f.nodes[:3]...)
		f.nodes[3].Set(fakenode.Faults{Refuse: true})
		if took, err := f.after(); took > 4*time.Second {
			t.Errorf("gave up after %v: %v", took, err)
		}
	})
	inBubble(t, 5, func(f *fixture) {
		refuse(strangeWords, f.nodes[:2]...)
		f.nodes[2].Set(fakenode.Faults{Refuse: true}) // it may come back
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_, err := f.Lock(ctx, "job")
		wantIs(t, err, ErrNoQuorum, context.DeadlineExceeded)
		if ctx.Err() == nil {
			t.Errorf("it gave up: %v", err)
		}
	})
}

func TestARefusalInStrangeWordsEndsTryLockAsBefore(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		refuse(strangeWords, f.nodes...)
		for range 100 {
			_, err := f.TryLock(context.Background(), "job")
			wantIs(t, err, ErrNoQuorum)
			time.Sleep(time.Second)
		}
		refuse("", f.nodes...)
		time.Sleep(2 * time.Second) // what was said last says nothing about now
		k, err := f.TryLock(context.Background(), "job")
		if err != nil {
			t.Fatal(err)
		}
		f.unlock(k)
	})
}

// A brokenClient sends nothing: all of its connections are in use, or it was closed.
type brokenClient struct {
	name string
	err  error
}

func (b brokenClient) String() string { return b.name }
func (b brokenClient) Do(context.Context, ...any) (any, error) {
	return nil, fmt.Errorf("%w: %w", pool.ErrNotSent, b.err)
}

func TestAClientWithoutAFreeConnectionIsNamedAndNotTheNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		book := new(logbook)
		l, err := New([]pool.Pool{brokenClient{"node-1", pool.ErrNoConn}}, WithLogger(book.logger()))
		if err != nil {
			t.Fatal(err)
		}
		_, err = l.Lock(context.Background(), "job", WithMaxWait(time.Minute))
		wantIs(t, err, ErrNoQuorum, pool.ErrNoConn, context.DeadlineExceeded) // it may heal
		if !strings.Contains(err.Error(), "PoolSize") {
			t.Errorf("no remedy: %v", err)
		}
		if said := strings.Join(book.lines(), "\n"); !strings.Contains(said, "no free connection to node") || strings.Contains(said, "node fails") || !strings.Contains(said, "PoolSize") {
			t.Errorf("it says %s", said)
		}
		if err := l.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

func TestAClientThatWasClosedEndsTheWaitAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, err := New([]pool.Pool{brokenClient{"node-1", pool.ErrClosed}})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		_, err = l.Lock(context.Background(), "job", WithMaxWait(time.Minute))
		wantIs(t, err, ErrNoQuorum, pool.ErrClosed)
		if took := time.Since(start); took > 0 || !strings.Contains(err.Error(), "close it after the Locker") {
			t.Errorf("after %v: %v", took, err)
		}
		if err := l.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}
