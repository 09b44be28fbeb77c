package node

import (
	"math"
	"slices"
)

// A Grant is what an attempt asks every node for. A kind of grant has a script for each verb (see
// scripts.go, and lua/specs.go), and a way to read its replies (see answer.go). Above this package
// claims and rounds count grants, whatever the kind. What assumes that one value holds a key, and
// that the key is a string:
//
//   - here: the native SET NX GET, held.lua, read and readChange in answer.go, and a release,
//     which names one waiter to be next
//   - in fanout: Split, NoHolder and FreeIn of Result, Claim.Leftovers, and Claim.detectDuplicate
//   - in redlock: Inspect, Watch, List, ForceRelease, and the holders in a QuorumError
type Grant uint8

const (
	OneKey  Grant = iota // the key holds the value
	AllKeys              // every one of several keys holds it, or none
)

// An Entry is the value of one attempt to take a lock, and where the nodes keep it. The value is
// unique to the attempt.
type Entry struct {
	key, value any // boxed once: every request carries them
	scripts    *Scripts
	fence      *Fence // nil without
	rare       *rare  // nil without: most entries have none of it
}

type rare struct {
	more   []any  // the other keys of AllKeys
	former string // the value that Swap replaces
}

// NewEntry returns the entry with this key and value.
func NewEntry(key, value string) Entry { return unguarded.NewEntry(key, value) }

// NewEntry returns an entry whose requests use these scripts.
func (s *Scripts) NewEntry(key, value string) Entry {
	return Entry{key: key, value: value, scripts: s}
}

// And returns the entry with other keys besides its own, none of them twice, at most 255. Such
// an entry has no wait queue: AcquireInTurn is for one key.
func (e Entry) And(keys ...string) Entry {
	if len(keys) == 0 {
		return e
	}
	r := e.copyRare()
	r.more = slices.Clip(r.more)
	for _, key := range keys {
		if key == e.key || slices.Contains(r.more, any(key)) || len(r.more) == math.MaxUint8 {
			panic("node: a key given twice, or too many keys") // no caller of ours does that
		}
		r.more = append(r.more, key)
	}
	e.rare = r
	return e
}

// Replacing returns the entry for a Swap. former is the value that the key holds now.
func (e Entry) Replacing(former string) Entry {
	e.rare = e.copyRare()
	e.rare.former = former
	return e
}

func (e *Entry) copyRare() *rare {
	if e.rare == nil {
		return new(rare)
	}
	r := *e.rare
	return &r
}

// more are the keys besides the first one.
func (e *Entry) more() []any {
	if e.rare == nil {
		return nil
	}
	return e.rare.more
}

// Grant is what the entry asks for.
func (e *Entry) Grant() Grant {
	if len(e.more()) > 0 {
		return AllKeys
	}
	return OneKey
}

// Key returns the key on the nodes, the first one of several.
func (e Entry) Key() string { return e.key.(string) }

// Keys returns all of them.
func (e Entry) Keys() []string {
	keys := []string{e.Key()}
	for _, key := range e.more() {
		keys = append(keys, key.(string))
	}
	return keys
}

// Value returns what the keys hold.
func (e Entry) Value() string { return e.value.(string) }
