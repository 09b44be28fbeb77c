package node

import "math"

// A Grant says what an attempt asks every node for: one key alone, or with other readers; all of several,
// or any of them. Leases count nodes that grant, whatever it is. What a new kind needs:
//
//   - here: a constant, and how an Entry of that kind is made
//   - package fanout: how a Claim becomes one of that kind (claim.go: Share; claim_slot.go: OfSlots), what
//     it asks for next (claim.go: asked), and how a round counts, if not every node that grants counts for
//     the same (round.go: countSlot; node_state.go)
//   - its scripts: lua/*.lua, lua/specs.go, and scripts.go, which names the script of each verb
//   - what is sent: request.go, which verbs it has; request_args.go, the keys and the arguments;
//     forms.go, the commands for servers that refuse scripts; steps.go, the test that a release
//     works; commands_test.go
//   - what comes back: answer.go and fence.go, and in proof.go whether a script that failed did
//     nothing
//   - its keys: sidekeys.go; rights.go and SECURITY.md, if it uses further commands
//   - package waiting: a release names one waiter, if several are to be woken at once; and a caller
//     that was granted the lock stays the head of the queue (wait_queue.go, await.go), if others of its
//     process may hold it at the same time
//   - what assumes that one value holds a key, and that the key is a string. Here: the native SET
//     NX GET, held.lua, read and readChange. In fanout: Split, NoHolder and FreeIn of Result, Leftovers
//     and detectDuplicate of Claim. In redlock: Inspect, Watch, List, ForceRelease, and the
//     holders in a QuorumError
//   - package redlock: its function, options, errors and examples; attempt.go, which makes the claim;
//     handle.go, since a handle has no field for the kind; docs
//   - internal/fakenode, the node of the tests
//   - the evidence: verify/model, verify/sim (scripts.go and a kind of client), verify/torture
type Grant uint8

const (
	OneKey  Grant = iota // the key holds the value
	AllKeys              // every one of several keys holds it, or none
	Shared               // the key has it, among those of other readers
	AnyKey               // one of several keys holds it
	grants               // how many kinds there are
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
	more      []any      // the other keys of AllKeys
	shared    bool       // the Grant is Shared
	fencing   int64      // of Shared: 1 if the largest token is asked for
	slots     *Slots     // of AnyKey, and of the key that was chosen; else nil
	first     int64      // of AnyKey: the key to try first
	former    string     // the value that Swap replaces
	published *published // what Read and Publish are about
}

// NewEntry returns the entry with this key and value.
func NewEntry(key, value string) Entry { return unguarded.NewEntry(key, value) }

// NewEntry returns an entry whose requests use these scripts.
func (s *Scripts) NewEntry(key, value string) Entry {
	return Entry{key: key, value: value, scripts: s}
}

// And returns the entry with other keys besides its own, none of them twice, at most 255.
func (e Entry) And(keys ...string) Entry {
	if len(keys) == 0 {
		return e
	}
	if len(keys) > math.MaxUint8 {
		panic("node: too many keys") // no caller of ours does that
	}
	e.rare = e.copyRare()
	e.rare.more = make([]any, len(keys))
	for i, key := range keys {
		e.rare.more[i] = key
	}
	return e
}

// Shared returns the entry of a reader. If the value holds the key alone, an extension makes it a
// reader. fencing is set if its acquisition is to return the largest token.
func (e Entry) Shared(fencing bool) Entry {
	e.rare = &reader
	if fencing {
		e.rare = &fencedReader
	}
	return e
}

var reader, fencedReader = rare{shared: true}, rare{shared: true, fencing: int64(1)} // never change: see copyRare

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
	switch {
	case e.rare == nil:
	case e.rare.shared:
		return Shared
	case e.rare.slots != nil && e.rare != &e.rare.slots.chosen:
		return AnyKey
	case len(e.rare.more) > 0:
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

// Queues returns the keys whose side keys are the wait queues: those of the locks, or the one of a
// semaphore.
func (e Entry) Queues() []string {
	if e.rare != nil && e.rare.slots != nil {
		return []string{e.rare.slots.queue}
	}
	return e.Keys()
}

// Value returns what the keys hold.
func (e Entry) Value() string { return e.value.(string) }
