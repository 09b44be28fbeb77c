// Package board publishes values under paths, on the masters of a [redlock.Locker], and tells
// watchers of the newest one.
//
// It is a notice board and no database. A path has one value, the newest. There is no history, no
// watch of all paths with a prefix, and no "write if it is still so": for that take a lock and
// use [Board.PublishAs]. A value is kept for a day, or as long as [WithRetention] says. It is certain to
// be found while a majority of all masters has it: a value that only just reached a majority may be lost
// with one of them, see docs/guarantees.md. Where that is not enough run etcd or Consul: docs/etcd.md compares them.
//
// What it promises: each path is an atomic register on a majority of the masters. Once [Board.Publish]
// has returned nil, every [Board.Latest] that begins later finds that value or a later one, until its
// retention ends. No reader goes back to an earlier one, unless [Entry.Confirmed] says so. A Publish that
// returned an error may have published the value all the same, at once or when its last command takes
// effect on a master that was slow.
//
// The lock has nothing to do with it, and no [redlock.Lock] is needed, except for PublishAs.
package board

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/quorumlock/quorumlock/internal/node"
	"github.com/quorumlock/quorumlock/internal/register"
	"github.com/quorumlock/quorumlock/redlock"
)

// MaxValue is how long a value may be, in bytes: 64 KiB.
const MaxValue = register.MaxText

// Forever is the retention of a value that does not expire.
const Forever time.Duration = -1

var (
	// ErrNotPublished: nothing is known of a value. Nobody has published one; or it expired so
	// long ago that the masters have forgotten it: a day, or its retention if that is longer.
	ErrNotPublished = errors.New("nothing was published")
	// ErrExpired: the last value was published longer ago than its retention.
	ErrExpired = errors.New("the last value has expired")
	// ErrSuperseded: [Board.PublishAs] met a later value of another writer. Its own may have been
	// read, and will not be read any more. Call it again if it is still wanted.
	ErrSuperseded = register.ErrSuperseded
)

// A Board publishes and reads values. It is safe for concurrent use, and needs no Close: it ends
// with its Locker.
type Board struct {
	registers *register.Registers
	settings
}

// New returns the board on the masters of locker. The paths have the prefix of the Locker
// ([redlock.WithPrefix]). New sends nothing. The error says that locker is nil, or which option
// is not allowed.
func New(locker *redlock.Locker, opts ...Option) (*Board, error) {
	if locker == nil {
		return nil, errors.New("board: New needs a Locker, and got nil")
	}
	b := &Board{registers: register.Of(locker), settings: settings{retention: 24 * time.Hour}}
	var err error
	b.settings, err = b.with(opts)
	return b, err
}

// A Version says which of two values of a path is the later one. It is comparable with ==. The
// zero Version is that of no value.
type Version struct{ v node.Version }

// Compare is negative if v is earlier than w, positive if it is later, and 0 if they are the same.
func (v Version) Compare(w Version) int { return v.v.Compare(w.v) }

// String shows the two numbers that say most: a time of the masters, or a fencing token, and how
// many values came since.
func (v Version) String() string { return fmt.Sprintf("%d.%d", v.v.Term, v.v.Seq) }

// An Entry is the value of a path.
type Entry struct {
	Path    string
	Value   string // any bytes
	Version Version
	// Remains is how long the value is kept from when it was read, in whole milliseconds;
	// negative if for ever, 0 if it has expired.
	Remains time.Duration
	// Confirmed is set if a majority has the value. It is not if the masters gave different
	// answers, and refuse this user the right to write: then a later reader may find an earlier
	// value. A watcher is not told again when the same version is confirmed later.
	Confirmed bool
	// Without are the masters that answered and did not have the value. It is stored there, unless
	// Confirmed says no. They were out of reach when it was published, have forgotten it, or are still
	// to get it. It is nil if there was none among those whose answers were waited for: a majority.
	Without []string
}

// Publish stores a value of up to [MaxValue] bytes under a path, in place of the one before, and
// notifies the watchers. It takes two round trips: it asks a majority for the version, and stores
// the value with a larger one. Of two that publish at the same time one is the later.
//
// The error matches [redlock.ErrNoQuorum] if too few masters answered within the node timeout
// ([redlock.WithNodeTimeout]), ctx.Err() if ctx ended first, and [redlock.ErrClosed] after Close
// of the Locker. The value may then be published all the same, now or later. Any other error
// says what is wrong with the path, the value or an option: then nothing was sent.
func (b *Board) Publish(ctx context.Context, path, value string, opts ...Option) (Version, error) {
	s, err := b.check("publish", path, value, opts)
	if err != nil {
		return Version{}, err
	}
	v, err := b.registers.Publish(ctx, "publish", path, value, s.kept())
	return Version{v}, err
}

// PublishAs is Publish for the only writer of a path, and takes one round trip. That writer holds
// lock, which was taken with [redlock.WithFencing]: on any name, that of the path for instance,
// or that of an election. Let all writers of the path take the same lock. A master stores the
// value only while the lock is held there.
//
// The error matches [redlock.ErrNotHeld] if the lock has ended by the time that a majority has
// stored the value, [ErrSuperseded] if another writer has published with Publish or with another
// lock, and otherwise what the error of Publish matches: the value may be published all the same then,
// and after ErrNotHeld. After ErrSuperseded it may have been read, and is not read any more. An error that
// matches none of these says what is wrong with the call, and nothing was sent: the lock is shared with
// readers, is of several names, or has no token, for instance. Calls with the same lock wait for each
// other.
func (b *Board) PublishAs(ctx context.Context, lock *redlock.Lock, path, value string, opts ...Option) (Version, error) {
	s, err := b.check("publish", path, value, opts)
	if err != nil {
		return Version{}, err
	}
	if lock == nil {
		return Version{}, fmt.Errorf("board: publish %q: %w: the Lock is nil", path, redlock.ErrNotHeld)
	}
	if lock.Shared() {
		return Version{}, fmt.Errorf("board: publish %q: lock %q is shared with other readers: hold it alone, with Lock", path, lock.Name())
	}
	if len(lock.Names()) > 1 {
		return Version{}, fmt.Errorf("board: publish %q: lock %q is of several names, and a master looks at one: take a lock of one name", path, lock.Name())
	}
	w := register.WriterOf(lock)
	if w == nil {
		return Version{}, fmt.Errorf("board: publish %q: lock %q has no fencing token: take it with WithFencing", path, lock.Name())
	}
	v, err := b.registers.PublishAs(ctx, "publish", path, w, value, s.kept())
	if errors.Is(err, ErrSuperseded) {
		err = fmt.Errorf("board: publish %q: %w", path, err)
	}
	return Version{v}, err
}

// Latest returns the newest value of a path. It takes one round trip if the masters of a majority agree.
// If not it stores the newest on a majority first, so that no later reader finds an earlier one: that is
// a second one. It is repeated with a newer value if there is one by then.
//
// The error matches [ErrNotPublished] if nothing is known of a value, [ErrExpired] if the last
// one has expired (the Entry has its version), [redlock.ErrNoQuorum] if too few masters answered
// within the node timeout, ctx.Err() if ctx ended first, and [redlock.ErrClosed].
func (b *Board) Latest(ctx context.Context, path string) (Entry, error) {
	v, err := b.registers.Read(ctx, "read", path)
	if err != nil {
		return Entry{}, err
	}
	e := entry(path, v)
	switch {
	case v.Version == node.Version{}:
		return Entry{}, fmt.Errorf("board: read %q: %w", path, ErrNotPublished)
	case v.Remains == 0:
		return e, fmt.Errorf("board: read %q: %w: version %v", path, ErrExpired, e.Version)
	}
	return e, nil
}

func entry(path string, v register.Value) Entry {
	return Entry{Path: path, Value: v.Text, Version: Version{v.Version}, Remains: v.Remains, Confirmed: v.Confirmed, Without: v.Without}
}

// check completes the options of one call.
func (b *Board) check(op, path, value string, opts []Option) (settings, error) {
	if path == "" {
		return settings{}, fmt.Errorf("board: %s: the path must not be empty", op)
	}
	if len(value) > MaxValue {
		return settings{}, fmt.Errorf("board: %s %q: the value has %d bytes, at most %d are allowed: publish where it can be found", op, path, len(value), MaxValue)
	}
	return b.with(opts)
}
