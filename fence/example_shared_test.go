package fence_test

import (
	"errors"
	"fmt"

	"github.com/quorumlock/quorumlock/fence"
)

// The token of a reader (Locker.RLock) is the largest that a writer had before. So it says how old a copy
// is: a cache keeps the newest, and a reader that was delayed does not put an older one back. Writers
// present their tokens, too, and drop what was read before.
func Example_reader() {
	var cache fence.Checker
	copied := "prices of Sunday"

	keep := func(token uint64, prices string) error { // what a reader does with what it has read
		return cache.Do("prices", token, func() error {
			copied = prices
			return nil
		})
	}
	fmt.Println(keep(33, "prices of Monday")) // read after the writer with token 33
	fmt.Println(cache.Do("prices", 34, func() error { copied = ""; return nil }))
	err := keep(33, "prices of Monday") // another reader of that time comes late
	fmt.Println(errors.Is(err, fence.ErrStale), copied == "")
	fmt.Println(keep(34, "prices of Tuesday"), copied)
	// Output:
	// <nil>
	// <nil>
	// true true
	// <nil> prices of Tuesday
}

// Each slot of a semaphore has tokens of its own. What a slot stands for, here a shard, remembers the
// largest, and refuses a holder of the same slot that is late.
func Example_slot() {
	var shards fence.Checker
	write := func(slot int, token uint64) error {
		return shards.Do(fmt.Sprint("shard ", slot), token, func() error { return nil })
	}
	fmt.Println(write(0, 33))
	fmt.Println(write(1, 12)) // another slot: its tokens are no smaller ones of slot 0
	fmt.Println(write(0, 34))
	fmt.Println(errors.Is(write(0, 33), fence.ErrStale))
	// Output:
	// <nil>
	// <nil>
	// <nil>
	// true
}
