package redlock

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorumlock/quorumlock/internal/fakenode"
)

const fenceOfJob = "{job}:fence"

// tokens returns what the nodes remember, "" where that is nothing.
func (f *fixture) tokens() (tokens []string) {
	for _, n := range f.nodes {
		tokens = append(tokens, n.Get(fenceOfJob))
	}
	return tokens
}

// remember has nodes remember a token.
func remember(token int64, nodes ...*fakenode.Node) {
	for _, n := range nodes {
		n.Hold(fenceOfJob, strconv.FormatInt(token, 10), time.Hour)
	}
}

func TestWithoutFencingThereIsNoToken(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		k := f.lock("job")
		if got := f.tokens(); k.Token() != 0 || got[0] != "" {
			f.t.Errorf("token %d, the nodes remember %q", k.Token(), got)
		}
		f.unlock(k)
	})
}

func TestEveryAcquisitionOfAnyLockerHasALargerToken(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		other := mustNew(f.t, f)
		f.others = append(f.others, other)
		var last uint64
		for i := range 50 {
			l := []*Locker{f.Locker, other}[i%3%2]
			k, err := l.Lock(context.Background(), "job", WithFencing())
			if err != nil {
				f.t.Fatal(err)
			}
			if k.Token() <= last {
				f.t.Fatalf("token %d after %d", k.Token(), last)
			}
			last = k.Token()
			stored := 0
			for _, token := range f.tokens() {
				if token == fmt.Sprint(last) {
					stored++
				}
			}
			if stored < 2 {
				f.t.Fatalf("the token %d was handed out, and %d nodes have it: %q", last, stored, f.tokens())
			}
			f.unlock(k) // at the same instant of virtual time
		}
	})
}

func TestATokenCostsARoundTripOnceForEachLocker(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		for i, want := range []int{2, 3, 4} {
			f.unlock(f.lock(fmt.Sprint("job", i), WithFencing())) // any name
			for _, n := range f.nodes {
				if got := n.Count("acquire"); got != want {
					f.t.Errorf("%v has been asked %d times after %d locks, want %d", n, got, i+1, want)
				}
			}
		}
	})
}

func TestTryLockHasATokenAtTheFirstTry(t *testing.T) {
	for n := 1; n <= 5; n++ {
		inBubble(t, n, func(f *fixture) {
			k, err := f.TryLock(context.Background(), "job", WithFencing())
			if err != nil {
				f.t.Fatal(err)
			}
			if now := uint64(time.Now().UnixMicro()); k.Token() != now {
				f.t.Errorf("token %d at %d", k.Token(), now)
			}
			f.unlock(k)
		})
	}
}

func TestATokenThatIsTooSmallCostsOneMoreRoundTripAndNoPause(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		f.unlock(f.lock("other", WithFencing()))
		newest := time.Now().Add(time.Hour).UnixMicro() // as if the clocks had been set back since
		remember(newest, f.nodes...)
		begun := time.Now()
		k := f.lock("job", WithFencing())
		if k.Token() != uint64(newest+1) || time.Since(begun) != 0 {
			f.t.Errorf("token %d after %v, want %d at once", k.Token(), time.Since(begun), newest+1)
		}
		// It is remembered for as long after the time that it stands for as any other.
		if left := f.nodes[0].TTL(fenceOfJob); left < 25*time.Hour || left > 25*time.Hour+time.Second {
			f.t.Errorf("remembered for %v", left)
		}
		f.unlock(k)
	})
}

// The monotonic clock stands still while a machine sleeps, so the nodes seem to have gone
// ahead. What they may have forgotten since is older than the time that they tell, but not
// older than the time that the sleeper would propose.
func TestATokenComesFromTheTimeOfTheNodesAndNotFromAnEarlierAnswer(t *testing.T) {
	for ahead, rounds := range map[time.Duration]int{time.Hour: 2, stray + 10*time.Millisecond: 2, stray: 1, 0: 1} {
		inBubble(t, 3, func(f *fixture) {
			f.unlock(f.lock("other", WithFencing()))
			synctest.Wait()
			for _, n := range f.nodes {
				n.Set(fakenode.Faults{Ahead: ahead})
			}
			before := f.nodes[0].Count("acquire")
			k := f.lock("job", WithFencing())
			if behind := time.Now().Add(ahead).UnixMicro() - int64(k.Token()); behind > stray.Microseconds() {
				f.t.Errorf("%v ahead: the token is %d us behind", ahead, behind)
			}
			if got := f.nodes[0].Count("acquire") - before; got != rounds {
				f.t.Errorf("%v ahead: %d rounds, want %d", ahead, got, rounds)
			}
			f.unlock(k)
			synctest.Wait()
			f.wantCarriers("job", 0)
		})
	}
	inBubble(t, 3, func(f *fixture) { // one that goes ahead alone is not followed
		f.unlock(f.lock("other", WithFencing()))
		synctest.Wait()
		f.nodes[0].Freeze()
		f.nodes[1].Set(fakenode.Faults{Ahead: time.Hour})
		before := f.nodes[2].Count("acquire")
		k := f.lock("job", WithFencing())
		if got := f.nodes[2].Count("acquire") - before; got != 1 || int64(k.Token())-time.Now().UnixMicro() > stray.Microseconds() {
			f.t.Errorf("%d rounds, token %d at %d", got, k.Token(), time.Now().UnixMicro())
		}
		f.unlock(k)
		f.nodes[0].Thaw()
	})
}

// stray is clockTolerance of package fanout.
const stray = time.Second

func TestTokensAreRememberedForTheirLifeAndGrowAfterwards(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		k := f.lock("job", WithFencing(), WithTokenLife(time.Hour))
		f.unlock(k)
		if left := f.nodes[0].TTL(fenceOfJob); left != time.Hour {
			f.t.Errorf("remembered for %v, want an hour", left)
		}
		time.Sleep(time.Hour)
		if got := f.tokens(); got[0] != "" {
			f.t.Errorf("still remembered: %q", got)
		}
		next := f.lock("job", WithFencing())
		if next.Token() <= k.Token() {
			f.t.Errorf("token %d after %d", next.Token(), k.Token())
		}
		f.unlock(next)
	})
}

// Clocks of nodes are not those of each other, nor ours.
func TestTheTimeOfTheNodesIsThatOfTheirMajority(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		const year = 365 * 24 * time.Hour
		now := time.Now().Add(-20 * time.Minute).UnixMicro()
		f.nodes[0].Set(fakenode.Faults{Ahead: -20 * time.Minute})
		f.nodes[0].Set(fakenode.Faults{Ahead: -20 * time.Minute})
		f.nodes[1].Set(fakenode.Faults{Ahead: -year})
		f.nodes[2].Set(fakenode.Faults{Ahead: -20*time.Minute + time.Second})
		f.clock.Step(year) // nobody asks for ours
		k := f.lock("job", WithFencing())
		f.unlock(k)
		k = f.lock("job", WithFencing())                                   // when all have answered
		if ahead := int64(k.Token()) - now; ahead < 0 || ahead > 100_000 { // the third is a second ahead
			f.t.Errorf("the token is %d us ahead of the median", ahead)
		}
		// A broken client must not be able to use up all numbers, so a node does not
		// follow others that far.
		if got := f.tokens(); got[1] == fmt.Sprint(k.Token()) {
			f.t.Errorf("the node that is a year behind took it, too: %q", got)
		}
		f.unlock(k)

		f.nodes[0].Set(fakenode.Faults{Refuse: true})
		_, err := f.TryLock(context.Background(), "job", WithFencing())
		wantIs(f.t, err, ErrNoQuorum)
		if text := fmt.Sprint(err); !strings.Contains(text, "node-2") || !strings.Contains(text, "set the clock of this node") {
			f.t.Errorf("%v does not name the node and the remedy", err)
		}
	})
}

// A node that lost the lock is taken again by an extension, and then has the token.
func TestARetakenNodeRemembersTheToken(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		k := f.lock("job", WithFencing())
		f.nodes[2].Lose()
		extend := func(carriers int) {
			f.t.Helper()
			if err := k.Extend(context.Background()); err != nil {
				f.t.Fatal(err)
			}
			synctest.Wait()
			f.wantCarriers("job", carriers)
		}
		extend(3)
		if got := f.tokens()[2]; got != fmt.Sprint(k.Token()) {
			f.t.Errorf("the node that was taken again remembers %q, want %d", got, k.Token())
		}
		// Where there is a larger one, it stays: another client tried meanwhile. The lock is held
		// all the same.
		f.nodes[2].Delete("job")
		newer := int64(k.Token()) + 1
		remember(newer, f.nodes[2])
		extend(3)
		if got := f.tokens()[2]; got != fmt.Sprint(newer) {
			f.t.Errorf("the node that was taken again remembers %q, want %d", got, newer)
		}
		// Where there is the same, the key alone was lost.
		f.nodes[2].Delete("job")
		remember(int64(k.Token()), f.nodes[2])
		extend(3)
		f.unlock(k)
	})
}

// A node that denied the lock when it was granted is asked again while it is held.
func TestANodeThatDeniedTheLockGetsTheTokenLater(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		f.unlock(f.lock("other", WithFencing()))
		f.nodes[2].Hold("job", "another", 12*time.Millisecond)
		k := f.lock("job", WithFencing())
		time.Sleep(20 * time.Millisecond)
		f.wantCarriers("job", 3)
		if got := f.tokens()[2]; got != fmt.Sprint(k.Token()) {
			f.t.Errorf("it remembers %q, want %d", got, k.Token())
		}
		f.unlock(k)
	})
}

func TestALostReplyAndARepeatLeaveTheTokenAsItWas(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		f.unlock(f.lock("other", WithFencing()))
		for _, n := range f.nodes {
			n.Set(fakenode.Faults{LoseReplies: true})
		}
		begun := time.Now()
		time.AfterFunc(f.config.nodeTimeout+time.Millisecond, func() {
			for _, n := range f.nodes {
				n.Set(fakenode.Faults{})
			}
		})
		k := f.lock("job", WithFencing())
		f.wantCarriers("job", 3)
		if k.Token() < uint64(begun.UnixMicro()) {
			f.t.Errorf("token %d", k.Token())
		}
		f.unlock(k)
	})
}

// One that goes wrong would be refused for good by every node, or order nothing.
func TestTokensDoNotFollowClocksThatWereSetBackForLong(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		set := func(ahead time.Duration) {
			for _, n := range f.nodes {
				n.Set(fakenode.Faults{Ahead: ahead})
			}
		}
		const decade = 10 * 365 * 24 * time.Hour
		set(decade)
		first := f.lock("job", WithFencing())
		f.unlock(first)
		set(0)
		// Where the nodes remember, tokens go on growing.
		second := f.lock("job", WithFencing())
		if second.Token() != first.Token()+1 {
			f.t.Errorf("token %d after %d", second.Token(), first.Token())
		}
		f.unlock(second)
		// For other names the time counts as it is now.
		other := f.lock("other", WithFencing())
		if now := uint64(time.Now().UnixMicro()); other.Token() != now {
			f.t.Errorf("token %d at %d", other.Token(), now)
		}
		f.unlock(other)
	})
}

// Nodes whose clocks were set back refuse what was proposed before, and say so: the next
// proposal is right.
func TestALockerLearnsThatClocksWereSetBackFromTheRefusal(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		for _, n := range f.nodes {
			n.Set(fakenode.Faults{Ahead: 48 * time.Hour})
		}
		f.unlock(f.lock("job", WithFencing()))
		for _, n := range f.nodes {
			n.Set(fakenode.Faults{})
		}
		_, err := f.TryLock(context.Background(), "new", WithFencing())
		wantIs(f.t, err, ErrNoQuorum)
		k, err := f.TryLock(context.Background(), "new", WithFencing())
		if err != nil {
			f.t.Fatal(err)
		}
		f.unlock(k)
	})
}

// rising is a node that has always just seen a newer token.
type rising struct {
	*fakenode.Node
	newest *atomic.Int64
}

func (r rising) Do(ctx context.Context, args ...any) (any, error) {
	remember(time.Now().UnixMicro()+r.newest.Add(1000), r.Node)
	return r.Node.Do(ctx, args...)
}

func TestATokenThatIsAlwaysTooSmallEndsInAnErrorThatSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes, pools := fakenode.Pools(3)
		newest := new(atomic.Int64)
		for i, n := range nodes {
			pools[i] = rising{n, newest}
		}
		l, err := New(pools)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		_, err = l.TryLock(context.Background(), "job", WithFencing())
		wantIs(t, err, ErrTaken)
		if !strings.Contains(fmt.Sprint(err), "they know of a larger one") {
			t.Error(err)
		}
		synctest.Wait() // two of three decide
		if n := nodes[0].Count("acquire"); n < 3 || n > 50 {
			t.Errorf("asked %d times", n)
		}
		if took := time.Since(start); took > 4*l.config.nodeTimeout {
			t.Errorf("it took %v", took)
		}
		if err := l.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// After a suspend a machine believes that no time has passed. Other clients got tokens
// meanwhile, and the nodes have forgotten them. The next token must be larger.
func TestATokenOfATimeThatIsForgottenIsRefused(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		f.unlock(f.lock("job", WithFencing(), WithTokenLife(time.Hour)))
		for _, n := range f.nodes { // three hours, of which this client has missed
			n.Set(fakenode.Faults{Ahead: 3 * time.Hour})
			n.Delete(fenceOfJob)
		}
		k := f.lock("job", WithFencing(), WithTokenLife(time.Hour))
		if now := uint64(time.Now().Add(3 * time.Hour).UnixMicro()); k.Token() != now {
			f.t.Errorf("token %d at %d", k.Token(), now)
		}
		f.unlock(k)
	})
}

// One node was alone with a wrong clock for a while. A waiter learns its counter, and must not
// propose what the others would refuse for ever.
func TestACounterFarAheadOnOneNodeDelaysNoWaiter(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		f.unlock(f.lock("other", WithFencing()))
		remember(time.Now().Add(72*time.Hour).UnixMicro(), f.nodes[0])
		first := f.lock("job", WithFencing())
		f.nodes[0].Hold("job", "rl1:0:another", time.Hour)
		waiting := f.LockAsync(context.Background(), "job", WithFencing())
		time.Sleep(time.Second)
		f.unlock(first)
		begun := time.Now()
		second, err := waiting.Wait(context.Background())
		if err != nil {
			f.t.Fatal(err)
		}
		if waited := time.Since(begun); waited > f.config.retryMax || second.Token() <= first.Token() {
			f.t.Errorf("token %d after %d, and it took %v", second.Token(), first.Token(), waited)
		}
		f.unlock(second)
		f.nodes[0].Delete("job")
	})
}

// Where one node is down, a majority needs the one that is ahead.
func TestACounterAheadOnANodeThatIsNeededIsPassed(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		f.unlock(f.lock("other", WithFencing()))
		newest := time.Now().Add(time.Hour).UnixMicro()
		remember(newest, f.nodes[0])
		f.nodes[2].Set(fakenode.Faults{Refuse: true})
		k, err := f.TryLock(context.Background(), "job", WithFencing())
		if err != nil {
			f.t.Fatal(err)
		}
		if k.Token() != uint64(newest+1) {
			f.t.Errorf("token %d, want %d", k.Token(), newest+1)
		}
		f.unlock(k)
	})
}

func TestAClockThatIsFastIsNotFollowedWhicheverNodesAnswerFirst(t *testing.T) {
	for slow := range 3 {
		inBubble(t, 3, func(f *fixture) {
			for i, n := range f.nodes {
				fault := fakenode.Faults{}
				if i == slow {
					fault.ReplyDelay = time.Millisecond
				}
				if i == 1 {
					fault.Ahead = time.Hour
				}
				n.Set(fault)
			}
			for range 3 {
				k := f.lock("job", WithFencing())
				if ahead := int64(k.Token()) - time.Now().UnixMicro(); ahead > 10 {
					f.t.Errorf("%d us ahead", ahead)
				}
				f.unlock(k)
			}
		})
	}
}

// wantNear wants the token to be less than a second ahead of nodes that are ahead by so
// much.
func (f *fixture) wantNear(k *Lock, ahead time.Duration) {
	f.t.Helper()
	if more := time.Duration(int64(k.Token())-time.Now().UnixMicro())*time.Microsecond - ahead; more > time.Second {
		f.t.Errorf("the token is %v ahead of the nodes", more)
	}
}

// While a Locker is idle, and its clock faster than the nodes', its estimate of their time gets
// worse. Here the nodes are slow, and the others, too.
func TestAnIdleLockerAsksForTheTimeAgain(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		lag := func(pause time.Duration) {
			time.Sleep(pause)
			for _, n := range f.nodes {
				n.Set(fakenode.Faults{Ahead: -pause / 100})
			}
		}
		f.unlock(f.lock("job", WithFencing()))
		lag(20 * time.Minute)
		k := f.lock("job", WithFencing())
		f.wantNear(k, -20*time.Minute/100)
		f.unlock(k)
	})
}

// Nodes that say nothing about their time in an answer say that it is about that of the
// token.
func TestABusyLockerNeverAsksForTheTimeAgain(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		const each = 10 * time.Second
		for i := range 200 {
			k := f.lock("job", WithFencing())
			for _, n := range f.nodes {
				if got := n.Count("acquire"); got > i+2 {
					f.t.Fatalf("%v has been asked %d times after %d locks", n, got, i+1)
				}
				n.Set(fakenode.Faults{Ahead: -time.Duration(i+1) * each / 10_000})
			}
			f.wantNear(k, -time.Duration(i)*each/10_000)
			f.unlock(k)
			time.Sleep(each)
		}
	})
}
