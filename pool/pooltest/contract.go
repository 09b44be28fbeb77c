package pooltest

import "testing"

// A duty is one rule of package pool, as a sentence, the reason why the lock relies on it,
// and the test.
type duty struct {
	name string
	why  string
	run  func(tb testing.TB, open Opener)
}

// The duties of every pool.
var poolDuties = []duty{
	// Replies.
	{"every kind of reply arrives as the Go value that the contract names",
		`a lock is granted by nil, held by a string and renewed by an integer; "" for nil would mean "taken"`, everyKind},
	{"an error of the server is a pool.Error with the server's text",
		"the lock distinguishes NOSCRIPT, NOPERM, READONLY and others by their text", serverErrors},
	{"an error inside an array is an element of it",
		"the other elements are answers too, and the index says which command failed", errorInArray},
	{"a large reply arrives whole",
		"an inspection of many keys is answered with megabytes, in many reads", largeReply},

	// Arguments.
	{"arguments arrive unchanged",
		"a key is any string, a script has many lines, and a TTL is an integer", arguments},
	{"a large argument arrives whole",
		"clients write a value that is larger than their buffers in another way", largeArgument},
	{"the slice of arguments is not changed",
		"one slice goes to all nodes of a round at the same time", argumentsUnchanged},
	{"the slice of arguments is not used after Do returned",
		"the lock uses it again for the next round", argumentsNotKept},
	{"an empty command is refused and not sent",
		"servers do not answer it, so the client would take the next reply for its reply", emptyCommand},

	// Deadlines.
	{"a call to a frozen server returns at its deadline",
		"clients wait three seconds, five or for ever by default; one frozen node of three must cost nothing", frozen},
	{"a first call to a frozen server returns at its deadline",
		"a frozen server accepts connections, and the greeting waits like a command", frozenFromTheStart},
	{"a reply that stops halfway ends at the deadline",
		"a timeout that starts again with each byte does not bound the call", halfReply},
	{"a large command to a server that does not read returns at its deadline",
		"a read timeout does not bound a write, which blocks when the socket's buffer is full", neverReads},
	{"more calls than connections, all to a frozen server, return at their deadlines",
		"a call that waits for a connection waits for a reply that does not come", exhausted},
	{"a late reply never reaches another call",
		`the late "granted" of one key, taken for the answer for another, gives a lock to two holders`, lateReply},

	// Contexts.
	{"a context that ended before the call sends nothing",
		"the lock would have to delete the key again, on a node that may not answer", endedBefore},
	{"a call whose context is cancelled returns at its deadline at the latest",
		"some clients cannot be interrupted, but every call can be bounded, and the error must match the cause", cancelledDuring},
	{"a context that ends after the reply changes nothing",
		"every context of a lock is cancelled in the end, and connections are shared", cancelledAfter},
	{"a prompt reply arrives whatever the deadline",
		"locks are held for ten milliseconds or a day, and an adapter may keep state for each duration", anyDeadline},
	{"a reply shortly before a deadline is a reply",
		"a deadline is an upper bound, not a polling interval or a minimum", slowButInTime},
	{"a context without a deadline works",
		"some questions of tools have no deadline", withoutDeadline},

	// Sending.
	{"a command whose connection breaks is not sent again",
		`the first one may have taken the lock; the reply to the second is then "taken"`, sentOnce},
	{"a truncated reply is an error, and the command is not sent again",
		"half a reply has another meaning than the reply", cutReply},
	{"a reply that is not RESP is an error and ends its connection",
		"the beginning of the next reply is unknown", nonsense},
	{"a refused connection is a command that was not sent",
		"a node that is down must not cost a pending release for every lock", refused},
	{"ErrNotSent is true if the connection closes during the greeting",
		"with a false promise the lock would leave a key behind", closedAtOnce},
	{"a server that was away is used again when it is back",
		"nodes restart while the service runs", comesBack},

	// Sharing.
	{"64 goroutines at a time each get their own replies",
		"one pool serves every lock of a service", concurrently},
	{"the name stays the same, is short, and shows no credentials",
		"it is in every error and log line about the node, and distinguishes nodes", named},
	{"no goroutine is left when the pool is closed",
		"goroutines and connections of hanging calls must be bounded in number and in time", leavesNothing},

	// Connections.
	{"a connection that is open after its call's deadline serves a later call",
		"a client that fetches a token for each connection would otherwise never have one in time", opensSlowly},
	{"a greeting that is refused is a command that was not sent, and the server's text",
		"a person has to correct a wrong password, and the lock has nothing to release", greetingRefused},
	{"a connection on which the server said that it is no longer a master is closed",
		"another connection may reach the present master; on this one every lock would be refused for ever", demoted},
	{"a call that hangs does not delay later calls",
		"after its deadline another connection may work: the server has restarted, or a firewall forgot this one", hangs},
	{"after the client was closed, errors match ErrClosed and ErrNotSent",
		"the lock repeats a pending release while the key may live, unless no command can be sent any more", afterClose},
}

// The duties of a [pool.Subscriber]. They are skipped if Subscribe returns an error that
// matches [errors.ErrUnsupported].
var subscriberDuties = []duty{
	// Messages.
	{"messages follow their Joined event, unchanged and in order",
		"a waiter tries once more when the channel is joined, and relies on every later message", messages},
	{"one subscription serves many channels",
		"a process waits for many locks, with one connection per node", manyChannels},
	{"a channel that was left is silent, and the others are not",
		"a node would otherwise send messages for every lock that was ever waited for", leaving},
	{"silence does not end a subscription, and a ping brings an event",
		"locks are held for minutes, while the read timeout of clients is seconds", silent},
	{"channels are joined and left while another goroutine receives",
		"that goroutine always receives; interrupting it would lose messages", joinWhileReceiving},
	{"commands work while a subscription is open",
		"a waiter that was notified takes the lock through the same pool", commandsMeanwhile},

	// Its end.
	{"a subscription ends with its context, also on a frozen server",
		"Close of a Locker waits for the receiving goroutine", endsWithContext},
	{"subscribing to a frozen server ends with its context",
		"one frozen node of three must cost nothing, and endless attempts to connect are a leak", subscribeFrozen},
	{"subscribing to a server that refuses connections is an error",
		"the lock pauses before it tries again; with a subscription it would expect messages", subscribeRefused},
	{"a connection that breaks ends its subscription, and is not replaced",
		"messages published meanwhile are lost, so the lock must learn of it and try again", breaksVisibly},
	{"a Join that is refused ends its subscription with the server's text",
		"an ACL without the channel must not look like a channel without messages", joinRefused},
	{"no goroutine and no connection is left when a subscription is closed",
		"a process opens and closes one each time it starts and stops waiting", subscribingLeavesNothing},
}

// The duties of a [pool.Submitter].
var submitterDuties = []duty{
	// Outcomes.
	{"a submitted command has one outcome, the same as with Do",
		"the lock counts outcomes; a second one would count as the vote of another node", endsAsWithDo},
	{"Submit does not call the receiver before it returns, so that its caller may hold a mutex",
		"a caller may submit while it holds a mutex that its receivers need", holdingALock},
	{"submitted commands reach the server in the order of the calls",
		"a release that overtakes its acquire proves nothing, and has to be repeated", inOrder},
	{"64 goroutines that submit and call at a time each get their own replies",
		"only their order assigns replies to commands", submittedConcurrently},

	// Servers that freeze or break.
	{"Submit returns at once on a frozen server, and each command has one outcome",
		"one goroutine submits to all nodes, and one frozen node of three must cost nothing", submitsToFrozen},
	{"the receiver of a command that was sent gets the late reply",
		`one release rolls a late "granted" back; without the reply it takes many releases`, receivesLate},
	{"a command that was not sent by its deadline is not sent later",
		"it would set a key after its caller has given up", notSentLate},
	{"a connection that breaks ends each outstanding command once, and sends none again",
		`the first one may have taken the lock; the reply to the second is then "taken"`, breaksOutstanding},
	{"a frozen server does not keep commands, goroutines and connections for ever",
		"the lock keeps state until it has the outcome, and a node may never come back", letsGo},

	// Borrowed memory.
	{"the context of a submitted command is not used after its receiver was called",
		"the lock uses its memory for the next command, with another deadline and another caller", notUsedLater},
}
