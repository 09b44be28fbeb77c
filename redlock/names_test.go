package redlock

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorumlock/quorumlock/internal/fakenode"
)

func TestValueOnTheWireHasNonceAndLabel(t *testing.T) {
	form := regexp.MustCompile(`^rl1:[0-9a-f]{32}:a: label$`)
	if v := newValue("a: label"); !form.MatchString(v) {
		t.Errorf("value %q", v)
	}
	if first, second := newValue("x"), newValue("x"); first == second {
		t.Errorf("two values are both %q", first)
	}
}

func TestHolderIsNamedByItsLabelAndAForeignValueByItsHash(t *testing.T) {
	value := newValue("web-1:42")
	if got := holderOf(value); got != "web-1:42" {
		t.Errorf("holder %q", got)
	}
	foreign := regexp.MustCompile(`^foreign holder #[0-9a-f]{8}$`)
	for _, value := range []string{"", "x", "rl1:", "rl1::", "rl1:" + strings.Repeat("z", 32) + ":label",
		"rl1:" + strings.Repeat("0", 32) + ":", "rl1:" + strings.Repeat("0", 31) + "::label", "rl2" + value[3:]} {
		got := holderOf(value)
		if !foreign.MatchString(got) || value != "" && strings.Contains(got, value) {
			t.Errorf("holder of %q is %q", value, got)
		}
	}
}

// The nonce releases the lock: it must never get into an error or a log.
func TestErrorsNeverShowTheNonce(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		k := f.lock("job")
		synctest.Wait()
		_, err := f.TryLock(context.Background(), "job")
		nonce := strings.Split(f.nodes[0].Get("job"), ":")[1]
		if strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), nonce) {
			t.Errorf("error %#v", err)
		}
		f.unlock(k)
	})
}

func TestNamesThatCannotBeKeysAreRefused(t *testing.T) {
	inBubble(t, 1, func(f *fixture) {
		for _, name := range []string{"", "{a}:fence", "{a}:queue", "{a}:lease", "{a{b}}:wait", "{}:wake", "redlock:node", "redlock:quarantine"} {
			if _, err := f.TryLock(context.Background(), name); err == nil || !strings.HasPrefix(err.Error(), "redlock: ") {
				t.Errorf("%q: %v", name, err)
			}
		}
		for _, name := range []string{"a:fence", "{a}:lock", "{a}", "{a}:fence:x", "x{a}:fence", " ", "ключ"} {
			k, err := f.TryLock(context.Background(), name)
			if err != nil {
				t.Errorf("%q: %v", name, err)
				continue
			}
			f.unlock(k)
		}
	})
}

func TestKeyIsPrefixAndName(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		k := f.lock("job")
		f.wantCarriers("app:job", 3)
		if k.Name() != "job" {
			t.Errorf("name %q", k.Name())
		}
		f.unlock(k)
	}, WithPrefix("app:"))
}

// redislock: a custom token "node-1" got the lock of "node-10" by prefix match.
func TestOwnersThatArePrefixesOfEachOtherExcludeEachOther(t *testing.T) {
	inBubble(t, 3, func(f *fixture) {
		k := f.lock("job")
		synctest.Wait()
		other, err := New(newPools(f), WithOwner("m"))
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close(context.Background())
		_, err = other.TryLock(context.Background(), "job")
		wantIs(t, err, ErrTaken)
		f.wantCarriers("job", 3)
		f.unlock(k)
	})
}

func TestQuorumErrorHasTheDetails(t *testing.T) {
	inBubble(t, 5, func(f *fixture) {
		f.nodes[0].Hold("job", newValue("web-1"), time.Minute)
		f.nodes[1].Hold("job", newValue("web-1"), time.Minute)
		f.nodes[2].Hold("job", newValue("web-2"), time.Minute)
		f.nodes[3].Set(fakenode.Faults{ReplyDelay: time.Second})
		f.nodes[4].Set(fakenode.Faults{ReplyDelay: time.Second})
		_, err := f.TryLock(context.Background(), "job")
		want := `redlock: lock "job": lock is taken by web-1 on 2 of 5 nodes, by web-2 on 1 of 5 nodes`
		var q *QuorumError
		if !errors.As(err, &q) || q.Op != "lock" || q.Name != "job" || q.Needed != 3 || q.Total != 5 || q.Granted != 0 {
			t.Fatalf("%#v", q)
		}
		if !strings.HasPrefix(err.Error(), want) {
			t.Errorf("error %q, want %q", err, want)
		}
		wantIs(t, err, ErrTaken)
		if errors.Is(err, ErrNoQuorum) {
			t.Error("both taken and without quorum")
		}
	})
}

func TestQuorumErrorSeesThroughToWhatTheNodesMet(t *testing.T) {
	q := &QuorumError{Op: "lock", Name: "job", Needed: 2, Total: 3, kind: ErrNoQuorum}
	wantIs(t, q, ErrNoQuorum)
	dial := &net.OpError{Op: "dial", Err: errors.New("refused")}
	q.addNode("a:6379", dial)
	q.addNode("b:6379", context.DeadlineExceeded)
	wantIs(t, q, ErrNoQuorum, context.DeadlineExceeded)
	var op *net.OpError
	if !errors.As(q, &op) || op != dial {
		t.Error("errors.As does not find the dial error")
	}
	var n *NodeError
	if !errors.As(q, &n) || n.Node != "a:6379" {
		t.Errorf("node error %v", n)
	}
	want := `redlock: lock "job": no quorum: 0 of 3 nodes agreed, 2 needed; node a:6379: dial: refused; node b:6379: context deadline exceeded`
	if q.Error() != want {
		t.Errorf("error %q\nwant  %q", q.Error(), want)
	}
}
