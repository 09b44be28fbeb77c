// Package lua has the scripts that nodes run, and the one place that names their arguments.
//
// A script says KEYS.wait, ARGV.ttl and CODE.free, and returns {holder = x, left = y}. The
// text that is sent has KEYS[2], ARGV[2], -2 and {x, y} in their places: servers and proxies
// that look for keys which were not declared know KEYS and a literal number, and no variable.
// EVERY.wait is a list of that key of each of several locks.
// A name that is not in the spec of the script is a panic at the start of every program
// and test that has the scripts.
//
// [Find] reads a command by the same specs, for the models of nodes that tests have. What a
// model does with the arguments is its own business.
package lua

import (
	"embed"
	"slices"
	"strings"
)

// A Script is one of the scripts.
type Script uint8

const (
	Acquire Script = iota
	AcquireOrFlag
	AcquireInTurn
	Extend
	Release
	Inspect
	Swap
	FencedAcquireOrFlag // AcquireOrFlag with a fencing token
	FencedAcquireInTurn // AcquireInTurn with a fencing token
	Short               // Release without notifying waiters
	AcquireAll          // AcquireOrFlag, for several locks
	FencedAcquireAll    // FencedAcquireOrFlag, for several locks
	AcquireAllInTurn
	FencedAcquireAllInTurn
	ExtendAll  // Extend, for several locks
	ExpireAll  // Extend, for each of several locks that is held
	ReleaseAll // Release, for each of several locks that is held
	SwapAll    // Swap, for several locks
	AcquireShared
	AcquireSharedInTurn
	ExtendShared // also makes a reader of the only holder
	ReleaseShared
	AcquireAny // one of several locks
	FencedAcquireAny
	AcquireAnyInTurn
	FencedAcquireAnyInTurn
	ReleaseAny  // whichever it is
	Read        // a published value
	ReadLed     // a published value, and the lock of its writer
	Publish     // a value
	PublishHeld // a value, if a lock is held
	List
	Count // of them
)

// Status codes that scripts and clients share: CODE.free and so on.
const (
	// Free is the remaining time to live of a key that does not exist, as PTTL says it.
	Free = -2
	// TooSmall and TooLarge are the remaining time to live of a key that is free, if the
	// fencing token is not taken.
	TooSmall = -3
	TooLarge = -4
	// Joined is the remaining time to live of a key that has one more reader now, or of the slot that was
	// taken.
	Joined = -5
	// NotHeld is the answer to a write whose lock is not held.
	NotHeld = -1
	// NoNews replaces the node's time.
	NoNews = 1
)

var codes = map[string]int64{"free": Free, "tooSmall": TooSmall, "tooLarge": TooLarge, "joined": Joined, "noNews": NoNews, "notHeld": NotHeld}

//go:embed *.lua
var files embed.FS

// A spec names what a script is made of and called with.
type spec struct {
	files []string // in order, without those of the guard
	keys  []string // the last ones may be left out where the script allows it
	args  []string // the same
	reply []string // of a reply that is a list
	taker bool     // it takes the lock: it has a variant that is guarded against restarts
	many  bool     // it is about several locks: it has the keys of each, and ARGV.locks says how many
	once  []string // many: the keys that come once, before those of the locks
	each  []string // files of the function that many calls with the KEYS of one lock
}

// guardKeys follow the first key of a script that is guarded. They come before the locks if it is
// about several.
var guardKeys = []string{"node", "quarantine"}

// Findings end the replies of a script that fence.lua may come before. Without a token they
// are nil, and the reply ends before them.
var Findings = []string{"largest", "micros"}

// specs are the order of everything that goes over the wire. The keys have the names that
// side keys end with. Times are in milliseconds.
var specs = [Count]spec{
	Acquire: {taker: true, files: words("readers held acquire"), keys: words("lock"), args: words("value ttl")},
	AcquireOrFlag: {taker: true, files: words("readers held findings flag acquire_or_flag"), keys: words("lock wait intent"),
		args: words("value ttl waiter flagTTL"), reply: words("holder left")},
	FencedAcquireOrFlag: {taker: true, files: words("readers held findings fence flag acquire_or_flag"), keys: words("lock fence wait intent"),
		args: words("value ttl token tokenTTL waiter flagTTL retake"), reply: words("holder left largest micros")},
	AcquireInTurn: {taker: true, files: words("readers held findings queue acquire_in_turn"), keys: words("lock wait queue lease"),
		args: words("value ttl waiter flagTTL ticket next last positionTTL count"), reply: words("holder left last first")},
	FencedAcquireInTurn: {taker: true, files: words("readers held findings fence queue acquire_in_turn"), keys: words("lock fence wait queue lease"),
		args:  words("value ttl token tokenTTL waiter flagTTL ticket next last positionTTL count retake"),
		reply: words("holder left last first largest micros")},
	Extend:  {files: words("readers held extend"), keys: words("lock"), args: words("value ttl")},
	Swap:    {files: words("readers held swap"), keys: words("lock"), args: words("value ttl former")},
	Release: {files: words("readers held drop release"), keys: words("lock wait queue lease intent"), args: words("value releaser ticket requeue")},
	Short:   {files: words("short"), keys: words("lock"), args: words("value")},
	Inspect: {files: words("readers held inspect"), keys: words("lock wait queue lease"), args: words("flagTTL"), reply: words("holder left waiting")},
	AcquireAll: {many: true, taker: true, each: words("readers held findings look"), files: words("set_all all_free flag acquire_all"), keys: words("lock wait intent"),
		args: words("locks value ttl waiter flagTTL"), reply: words("holder left index others")},
	FencedAcquireAll: {many: true, taker: true, each: words("readers held findings fence look"), files: words("all_free flag acquire_all"), keys: words("lock fence wait intent"),
		args: words("locks value ttl token tokenTTL waiter flagTTL retake"), reply: words("holder left index others largest micros")},
	AcquireAllInTurn: {many: true, taker: true, each: words("readers held findings queue look_in_queue"), files: words("all_free acquire_all_in_turn"), keys: words("lock wait queue lease"),
		args: words("locks value ttl waiter flagTTL ticket next last positionTTL count"), reply: words("holder left index others last first")},
	FencedAcquireAllInTurn: {many: true, taker: true, each: words("readers held findings fence queue look_in_queue"), files: words("all_free acquire_all_in_turn"), keys: words("lock fence wait queue lease"),
		args:  words("locks value ttl token tokenTTL waiter flagTTL ticket next last positionTTL count retake"),
		reply: words("holder left index others last first largest micros")},
	ExtendAll:  {many: true, each: words("readers held findings look"), files: words("all_held extend_all"), keys: words("lock"), args: words("locks value ttl")},
	ExpireAll:  {many: true, each: words("readers held extend"), files: words("try expire_all"), keys: words("lock"), args: words("locks value ttl")},
	ReleaseAll: {many: true, each: words("readers held drop release"), files: words("try release_all"), keys: words("lock wait queue lease intent"), args: words("locks value releaser ticket requeue")},
	SwapAll:    {many: true, each: words("readers held findings look"), files: words("all_held swap_all"), keys: words("lock"), args: words("locks value ttl former")},
	AcquireShared: {taker: true, files: words("shared join flag acquire_shared"), keys: words("lock intent fence wait"),
		args: words("value ttl fencing waiter flagTTL"), reply: words("holder left largest")},
	AcquireSharedInTurn: {taker: true, files: words("shared join queue acquire_shared_in_turn"), keys: words("lock intent fence wait queue lease"),
		args: words("value ttl fencing waiter flagTTL ticket next last positionTTL count"), reply: words("holder left last first largest")},
	ExtendShared:  {files: words("shared join extend_shared"), keys: words("lock wait intent"), args: words("value ttl")},
	ReleaseShared: {files: words("leave_last shared leave release"), keys: words("lock wait queue lease"), args: words("value releaser ticket requeue")},
	AcquireAny: {many: true, taker: true, once: words("wait"), each: words("no_token"), files: words("any any_free take_slot flag acquire_any"), keys: words("lock"),
		args: words("locks value ttl first waiter flagTTL"), reply: words("holder left index")},
	FencedAcquireAny: {many: true, taker: true, once: words("wait"), each: words("findings fence token"), files: words("any any_free take_slot flag acquire_any"), keys: words("lock fence"),
		args: words("locks value ttl first token tokenTTL waiter flagTTL retake"), reply: words("holder left index largest micros")},
	AcquireAnyInTurn: {many: true, taker: true, once: words("wait queue lease"), each: words("no_token"), files: words("any any_free take_slot queue acquire_any_in_turn"), keys: words("lock"),
		args: words("locks value ttl first waiter flagTTL ticket next last positionTTL count"), reply: words("holder left index last first")},
	FencedAcquireAnyInTurn: {many: true, taker: true, once: words("wait queue lease"), each: words("findings fence token"), files: words("any any_free take_slot queue acquire_any_in_turn"), keys: words("lock fence"),
		args:  words("locks value ttl first token tokenTTL waiter flagTTL ticket next last positionTTL count retake"),
		reply: words("holder left index last first largest micros")},
	ReleaseAny: {many: true, once: words("wait queue lease"), files: words("any drop_any release"), keys: words("lock"), args: words("locks value releaser ticket requeue")},
	Read:       {files: words("record read"), keys: words("value"), reply: words("record left text micros")},
	ReadLed:    {files: words("readers held record read_led"), keys: words("lock value wait"), args: words("flagTTL"), reply: words("holder left record lives text micros")},
	Publish:    {files: words("record publish"), keys: words("value"), args: words("record kept former"), reply: words("record left text")},
	PublishHeld: {files: words("readers held if_held record publish"), keys: words("lock value"), args: words("value record kept former"),
		reply: words("record left text")},
	List: {many: true, files: words("readers list"), keys: words("lock queue lease"),
		args: words("locks longestOurs longestToken most"), reply: words("holder left waiting")},
}

func words(s string) []string { return strings.Fields(s) }

// keysOf are the names of the keys, with those of the guard.
func (s *spec) keysOf(guarded bool) []string {
	switch {
	case !guarded:
		return slices.Concat(s.once, s.keys)
	case s.many:
		return slices.Concat(s.once, guardKeys, s.keys)
	}
	return slices.Insert(slices.Clone(s.keys), 1, guardKeys...)
}

func (s Script) String() string {
	return [Count]string{"acquire", "acquire or flag", "acquire in turn", "extend", "release", "inspect", "swap", "fenced acquire or flag", "fenced acquire in turn", "short",
		"acquire all", "fenced acquire all", "acquire all in turn", "fenced acquire all in turn", "extend all", "expire all", "release all", "swap all", "acquire shared", "acquire shared in turn", "extend shared", "release shared",
		"acquire any", "fenced acquire any", "acquire any in turn", "fenced acquire any in turn", "release any", "read", "read led", "publish", "publish held", "list"}[s]
}

// Args are the names of the arguments, in order.
func (s Script) Args() []string { return slices.Clone(specs[s].args) }

// A Reply is the reply of a script that is a list, by the names of its spec.
type Reply struct {
	names []string
	list  []any
}

// Reply reads a list of the length that the script returns.
func (s Script) Reply(reply any) (r Reply, ok bool) {
	list, ok := reply.([]any)
	names := specs[s].reply
	return Reply{names, list}, ok && len(names) > 0 && len(list) == len(names)
}

// Get returns the element of that name.
func (r Reply) Get(name string) any { return r.list[slices.Index(r.names, name)] }
