package node

import (
	"errors"

	"github.com/quorumlock/quorumlock/internal/node/lua"
	"github.com/quorumlock/quorumlock/pool"
)

// A right is a command that a lock may send, or that its scripts run.
type right struct {
	purpose Purpose
	on      string // a side key, "key", a key of the node, or a channel, "wake"; "" for none
	args    []any  // the command, and what follows the name of the key
}

// testTTL stands for the TTL of the self-test.
type testTTL struct{}

// rights has every command of the scripts once for each kind of key that it touches.
var rights = []right{
	{ToLock, "key", []any{"SET", "value", "NX", "GET", "PX", testTTL{}}},
	{ToLock, "key", []any{"GET"}},
	{ToLock, "key", []any{"DEL"}},
	{ToLock, "key", []any{"PEXPIRE", testTTL{}}},
	{ToLock, "key", []any{"PTTL"}},
	{ToLock, "key", []any{"EVAL"}},
	{ToLock, "key", []any{"EVALSHA"}},

	{ToWake, "wait", []any{"SET", "value", "PX", testTTL{}}},
	{ToWake, "wait", []any{"GET"}},
	{ToWake, "wake", []any{"PUBLISH", ""}},
	{ToWake, "wake", []any{"SUBSCRIBE"}},
	{ToWake, "wake", []any{"UNSUBSCRIBE"}},

	{ToQueue, "wake:name", []any{"PUBLISH", ""}},
	{ToQueue, "wake:name", []any{"SUBSCRIBE"}},
	{ToQueue, "", []any{"TIME"}},
	{ToQueue, "queue", []any{"ZRANGE", int64(0), int64(0)}}, // the first waiter
	{ToQueue, "queue", []any{"ZADD", int64(1), "member"}},
	{ToQueue, "queue", []any{"ZREM", "member"}},
	{ToQueue, "queue", []any{"ZSCORE", "member"}},
	{ToQueue, "queue", []any{"EXISTS"}},
	{ToQueue, "queue", []any{"PEXPIRE", testTTL{}}},
	{ToQueue, "queue", []any{"PTTL"}},
	{ToQueue, "lease", []any{"HGET", "field"}},
	{ToQueue, "lease", []any{"HSET", "field", "value"}},
	{ToQueue, "lease", []any{"HDEL", "field"}},
	{ToQueue, "lease", []any{"HEXISTS", "field"}},
	{ToQueue, "lease", []any{"PTTL"}},
	{ToQueue, "lease", []any{"DEL"}},

	{ToFence, "", []any{"TIME"}},
	{ToFence, "fence", []any{"GET"}},
	{ToFence, "fence", []any{"SET", "value", "PX", testTTL{}}},

	// SET would change something here: it is asked for, and not tried.
	{ToGuard, markerKey, []any{"SET", "value"}},
	{ToGuard, quarantineKey, []any{"SET", "value", "PX", testTTL{}}},
	{ToGuard, "", []any{"INFO", "server"}},
	{ToGuard, markerKey, []any{"GET"}},
	{ToGuard, quarantineKey, []any{"PTTL"}},

	{ToBound, "key", []any{"GETRANGE", int64(0), int64(longestValue)}},
	// And most of ToQueue, on the lock's key.
	{ToShare, "key", []any{"ZREVRANGE", int64(0), int64(0)}},
	{ToShare, "key", []any{"ZCOUNT", int64(0), int64(0)}},
	{ToShare, "key", []any{"ZREMRANGEBYSCORE", int64(0), int64(0)}},
	{ToShare, "intent", []any{"PEXPIREAT", int64(1)}}, // there is no such key here
	{ToPing, "", []any{"PING"}},
}

// String describes the right, with "key" for any key.
func (r right) String() string {
	name := r.args[0].(string)
	switch r.on {
	case "":
		return name
	case "key":
		return name + " on the lock's key"
	case "wake", "wake:name":
		return name + " on channel {key}:" + r.on
	}
	if IsSideKey(r.on) {
		return name + " on " + r.on
	}
	return name + " on {key}:" + r.on
}

// command is a command that needs the right.
func (r right) command(x *examination) []any {
	args := []any{r.args[0]}
	switch r.args[0] {
	case "EVAL":
		args = append(args, unguarded.all[lua.Release].Text, int64(1))
	case "EVALSHA":
		args = append(args, unguarded.all[lua.Release].SHA, int64(1))
	}
	switch r.on {
	case "":
	case "key":
		args = append(args, x.Key)
	default:
		if !IsSideKey(r.on) { // those of the node are
			args = append(args, SideKey(x.Key, r.on))
		} else {
			args = append(args, r.on)
		}
	}
	for _, arg := range r.args[1:] {
		if arg == (testTTL{}) {
			arg = millis(x.TTL)
		}
		args = append(args, arg)
	}
	return args
}

// rights finds out what the user may do. Redis 7 and later say so, if the user may ask. Else
// the commands are tried.
func (x *examination) rights() {
	f := &x.facts
	reply, err := x.ask("ACL", "WHOAMI")
	if user, ok := reply.(string); ok && err == nil {
		f.Rights.User = word(user)
		if x.dryRun(user) {
			return
		}
	}
	x.tryRights()
	f.RightsErr = x.broken
}

// dryRun asks the server about every right. It reports false if the server cannot or may not
// say.
func (x *examination) dryRun(user string) bool {
	var missing []MissingRight
	for _, r := range rights {
		if r.purpose == ToGuard && !x.guarded() {
			continue
		}
		reply, err := x.ask(append([]any{"ACL", "DRYRUN", user}, r.command(x)...)...)
		switch unknown := refusalHas(err, "not found"); {
		case unknown: // the command was disabled or renamed: no right is missing
			missing = append(missing, r.missing(err, true))
		case err != nil:
			x.facts.RightsErr = x.broken
			return x.broken != nil
		default:
			if said, ok := reply.(string); ok && said != "OK" {
				missing = append(missing, r.missing(pool.Error(said), false))
			}
		}
	}
	x.facts.Rights.Missing = missing
	return true
}

// missing says that the right is missing.
func (r right) missing(err error, unknown bool) MissingRight {
	return MissingRight{Purpose: r.purpose, Command: r.String(), Name: r.args[0].(string), Said: word(errorReply(err)), Unknown: unknown}
}

// tryRights sends the commands that the self-test's lock does not send anyway. Commands that
// would make a set or a hash without a TTL find a text under the name instead: the server
// checks the rights first, and then refuses the type. Where there is no text they are not
// tried. Refused commands stand in the server's ACL LOG afterwards.
func (x *examination) tryRights() {
	there := x.sides
	for _, side := range []string{"queue", "lease"} {
		_, err := x.ask("SET", SideKey(x.Key, side), "value", "PX", millis(x.TTL))
		there[side] = err == nil
	}
	f := &x.facts.Rights
	for _, r := range rights {
		var err error
		name := r.args[0]
		switch {
		case r.purpose == ToLock && r.on != "", name == "UNSUBSCRIBE", r.purpose == ToGuard && (!x.guarded() || name == "SET"):
			continue // the self-test's lock needs it, or it goes with SUBSCRIBE, or no lock needs it
		case (name == "ZADD" || name == "HSET") && !there[r.on]:
			f.Untried = append(f.Untried, r.String())
			continue
		case name == "SUBSCRIBE":
			var w *wakeUp
			if w, err = x.subscribe(SideKey(x.Key, r.on)); w != nil {
				w.close()
			}
		default:
			_, err = x.ask(r.command(x)...)
		}
		if name == "SET" {
			there[r.on] = err == nil
		}
		if refusalHas(err, "NOPERM") || refusalHas(err, "unknown command") {
			f.Missing = append(f.Missing, r.missing(err, !refusalHas(err, "NOPERM")))
		}
	}
}

// errorReply returns the text of an error reply, without what other errors put in front.
func errorReply(err error) string {
	var e pool.Error
	errors.As(err, &e)
	return string(e)
}
