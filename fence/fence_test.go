package fence_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/quorumlock/quorumlock/fence"
)

func nothing() error { return nil }

func TestALateWriterIsRefusedAndChangesNothing(t *testing.T) {
	var c fence.Checker
	for _, step := range []struct {
		name  string
		token uint64
		want  error
	}{
		{"a", 5, nil}, {"a", 5, nil}, {"a", 7, nil}, {"a", 6, fence.ErrStale}, {"a", 5, fence.ErrStale},
		{"b", 1, nil}, {"a", 7, nil}, {"a", 0, fence.ErrNoToken}, {"c", 0, fence.ErrNoToken}, {"a", 8, nil}, {"a", 7, fence.ErrStale},
	} {
		ran := false
		err := c.Do(step.name, step.token, func() error { ran = true; return nil })
		if !errors.Is(err, step.want) || ran != (step.want == nil) {
			t.Errorf("%+v: ran %v, %v", step, ran, err)
		}
	}
	err := c.Do("a", 3, nothing)
	if text := fmt.Sprint(err); !strings.Contains(text, `"a"`) || !strings.Contains(text, "3, after 8") {
		t.Errorf("the error does not say what happened: %v", err)
	}
	c.Forget("a")
	if err := c.Do("a", 3, nothing); err != nil {
		t.Errorf("forgotten, and still %v", err)
	}
}

func TestTheErrorOfAChangeIsReturnedAndItsTokenCounts(t *testing.T) {
	var c fence.Checker
	failed := errors.New("disk full")
	if err := c.Do("a", 2, func() error { return failed }); err != failed {
		t.Errorf("got %v", err)
	}
	if err := c.Do("a", 1, nothing); !errors.Is(err, fence.ErrStale) {
		t.Errorf("after a change with an error a smaller token was accepted: %v", err)
	}
}

// Read, change and write of many holders at once, in any order: none is lost, of those
// that were let in.
func TestChangesUnderOneNameDoNotOverlap(t *testing.T) {
	var c fence.Checker
	var group sync.WaitGroup
	balance, done := 0, make(chan bool, 1000)
	for token := range uint64(100) {
		group.Go(func() {
			for range 10 {
				err := c.Do("account", token+1, func() error {
					balance++ // the race detector watches
					return nil
				})
				done <- err == nil
			}
		})
	}
	group.Wait()
	close(done)
	let := 0
	for ok := range done {
		if ok {
			let++
		}
	}
	if balance != let || let < 10 {
		t.Errorf("%d were let in, and the balance is %d", let, balance)
	}
}

func ExampleChecker() {
	var checker fence.Checker
	balance := 100
	withdraw := func(token uint64, amount int) {
		err := checker.Do("account 7", token, func() error {
			balance -= amount
			return nil
		})
		fmt.Println(balance, err)
	}
	withdraw(33, 10)
	withdraw(34, 10) // the next holder of the lock
	withdraw(33, 10) // the first holder, delayed
	// Output:
	// 90 <nil>
	// 80 <nil>
	// 80 fence: "account 7": stale fencing token: 33, after 34
}
