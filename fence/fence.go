// Package fence is for what a lock protects: it refuses holders that come too late.
//
// Whoever holds a lock may be delayed between two instructions (by the scheduler, the
// garbage collector, the network) until the lock has expired and somebody else has it,
// and then go on as if nothing had happened. Neither of them can know; but what they
// change can, if every lock comes with a number that grows:
//
//	            lock, token 33                               lock expires
//	holder A    |-----#########  (paused)  . . . . . . . . . . . . . .  write, 33  --> refused: 34 was here
//	holder B                                |-----#####  write, 34  --> done
//	                                        lock, token 34
//
// So take the lock [WithFencing], send [Lock.Token] along with everything that changes
// something, and let the thing that is changed remember the largest token that it has
// seen, and refuse smaller ones. ("How to do distributed locking", Kleppmann 2016.)
//
// A new holder must show its token before it reads what it is going to change. Else a
// write that was delayed lands between its reading and its writing, and is lost.
//
// A [Checker] does that for things in the memory of one process. For a database there is
// nothing to import, it is a column and a condition: the example has it for SQL, and a
// [test] for Redis. The token has to be compared where the change is made, and in
// the same step: a comparison that comes before it has the gap again that it is to close.
//
// [test]: https://github.com/quorumlock/quorumlock/blob/main/test/quorum/example_fencing_test.go
// [WithFencing]: https://pkg.go.dev/github.com/quorumlock/quorumlock/redlock#WithFencing
// [Lock.Token]: https://pkg.go.dev/github.com/quorumlock/quorumlock/redlock#Lock.Token
package fence

import (
	"errors"
	"fmt"
	"sync"
)

var (
	// ErrStale: somebody with a larger token was here before. The lock that the
	// token belongs to is not held any more, whatever its holder believes.
	ErrStale = errors.New("stale fencing token")

	// ErrNoToken: the token is 0, so the lock was taken without fencing.
	ErrNoToken = errors.New("no fencing token: take the lock with redlock.WithFencing")
)

// A Checker remembers the largest token that it has seen of every name. The zero value
// is ready for use. It is safe for concurrent use, and must not be copied.
//
// It protects what one process keeps, for as long as the process lives: after a restart
// it lets everybody in. What outlives the process needs tokens that do.
type Checker struct {
	mu    sync.Mutex // protects names
	names map[string]*seen
}

// seen is what is known of one name.
type seen struct {
	mu      sync.Mutex // held while a change is made
	largest uint64
}

// Do runs change if no larger token of the name was seen, and remembers the token.
// While change runs nobody else is let in under that name, so it must be quick and must
// not call the Checker with the same name. A holder may come as often as it likes, also
// with the same change again: a token tells who is late, not what is done already. The
// first time should be before it reads.
//
// An error that matches [ErrStale] or [ErrNoToken] means that change was not called.
// Otherwise the error is that of change; the token is remembered all the same, since
// change may have done something.
func (c *Checker) Do(name string, token uint64, change func() error) error {
	if token == 0 {
		return fmt.Errorf("fence: %q: %w", name, ErrNoToken)
	}
	s := c.seen(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if token < s.largest {
		return fmt.Errorf("fence: %q: %w: %d, after %d", name, ErrStale, token, s.largest)
	}
	s.largest = token
	return change()
}

func (c *Checker) seen(name string) *seen {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.names[name]
	if s == nil {
		if c.names == nil {
			c.names = make(map[string]*seen)
		}
		s = new(seen)
		c.names[name] = s
	}
	return s
}

// Forget makes room: it forgets the token of a name, and who is let in. That is safe when
// what the name stands for is gone, or when no holder can be late and none is at work.
func (c *Checker) Forget(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.names, name)
}
