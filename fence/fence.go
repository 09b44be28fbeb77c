// Package fence keeps a holder that is late from changing what a lock protects.
//
// The holder of a lock may be delayed between two instructions, by the scheduler, the garbage
// collector or the network. The delay may last until the lock has expired and another client
// holds it. Then the old holder goes on as if nothing had happened. No client can notice that
// in time. But a database can, if each holder has a larger number than the holders before, its
// fencing token. Here "-" is a lock that is held, "#" is work, and "." is a pause:
//
//	            lock, token 33                               lock expires
//	holder A    |-----#########  (paused)  . . . . . . . . . . . . . .  write, 33  --> refused: 34 was here
//	holder B                                |-----#####  write, 34  --> done
//	                                        lock, token 34
//
// Take the lock with the option [WithFencing]. Send [Lock.Token] with every change. Let the
// database reject a token smaller than the largest it has seen. ("How to do distributed
// locking", Kleppmann 2016.)
//
// A new holder must present its token before it reads the data that it is going to change.
// Otherwise an older holder's late write may come between this read and the new holder's write,
// and is lost.
//
// A [Checker] compares tokens for data in the memory of one process. A database needs a column
// and a condition, and nothing of this package: the [example] shows it for SQL, and a [test]
// for Redis. Compare the token in the same step that makes the change. If the comparison is a
// step before the change, a holder that is delayed between them changes the data late.
//
// [example]: https://pkg.go.dev/github.com/quorumlock/quorumlock/fence#example-package-FencingSQL
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
	// ErrStale: a larger token was seen before. So another holder came later, and the lock of
	// this token has ended, even if its holder has not noticed.
	ErrStale = errors.New("stale fencing token")

	// ErrNoToken: the token is 0, so the lock was taken without fencing.
	ErrNoToken = errors.New("no fencing token: take the lock with redlock.WithFencing")
)

// A Checker remembers the largest token that it has seen for every name. The zero value is
// ready for use. It is safe for concurrent use, and must not be copied.
//
// It protects data in the memory of one process. After a restart it has forgotten all tokens
// and accepts any. Data that outlives the process needs its tokens stored with it.
type Checker struct {
	mu    sync.Mutex // protects names
	names map[string]*seen
}

// seen is the state of one name.
type seen struct {
	mu      sync.Mutex // held while a change is made
	largest uint64
}

// Do runs change if no larger token was seen for the name, and remembers the token.
//
// While change runs, other calls with the same name wait, for as long as it takes. So change
// must be quick, and must not call the Checker with the same name. A holder may call Do several
// times with the same token. The first call should come before it reads the data, with a change
// that returns nil and does nothing. change must not be nil. Do makes a change again if it is
// called again: a token shows which holder is late, not which changes are done.
//
// The error matches [ErrStale] if a larger token was seen, and [ErrNoToken] if token is 0. Then
// change was not called. Any other error is the error of change. The token is remembered even
// then, and also if change panics, since change may have had an effect. Afterwards other calls
// go on.
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

// Forget frees the memory of a name. Afterwards the name accepts any token. That is safe when
// the data of the name no longer exists, or when no holder of the lock, also of an earlier
// time, can still call Do.
func (c *Checker) Forget(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.names, name)
}
