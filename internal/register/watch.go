package register

import (
	"context"

	"github.com/quorumlock/quorumlock/internal/node"
)

// Kind says what a watcher is told.
type Kind uint8

const (
	Unknown Kind = iota // too few nodes answer; Err says why
	None                // nothing is known of a value; or, with a lock, nobody leads
	Some                // Value
	Expired             // the text of Value has expired
)

// A Reading is what a watcher is told.
type Reading struct {
	Kind   Kind
	Value  Value
	Holder string // value that holds the lock, if it is watched, too
	Err    error  // if Kind is Unknown
}

// A watcher is told of the newest reading. It is told of no version that is smaller than one
// before.
type watcher struct {
	pass    func(Reading) // does not block
	end     func()
	forget  func() bool  // that its context is to end it
	after   int          // reads that had begun when it came: it may not be told of what they find
	told    bool         // of a reading
	kind    Kind         // of the last one
	version node.Version // the same
	newest  node.Version // of all
}

// Watch has the channel get the newest state of a path, as show makes it of a reading: first the
// one at present, then each that differs. A slow reader misses some. The channel is closed when
// ctx ends or the Locker closes. If led is set a value counts as long as its writer holds the lock
// of the same name.
func Watch[T any](ctx context.Context, r *Registers, path string, led bool, show func(Reading) T) (<-chan T, error) {
	key, err := r.Key(path)
	if err != nil {
		return nil, err
	}
	if err := r.Enter(); err != nil {
		return nil, err
	}
	r.Leave()
	changes := make(chan T, 1)
	w := &watcher{
		pass: func(found Reading) {
			select {
			case <-changes: // nobody took the one before
			default:
			}
			changes <- show(found) // there is room: nobody else sends
		},
		end: func() { close(changes) },
	}
	r.topics.join(ctx, r, topicKey{key, led}, path, w)
	return changes, nil
}

// tell passes a reading on if it is news.
func (w *watcher) tell(found Reading) {
	version := found.Value.Version
	switch {
	case w.told && found.Kind == w.kind && version == w.version:
		return
	case version != node.Version{} && version.Compare(w.newest) < 0:
		return
	}
	w.pass(found)
	w.told, w.kind, w.version = true, found.Kind, version
	if version != (node.Version{}) {
		w.newest = version
	}
}
