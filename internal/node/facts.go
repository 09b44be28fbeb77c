package node

import "time"

// Facts are what an examination found out about one node. They are no judgement.
// Whatever could not be found out has an error that says why.
type Facts struct {
	Node string // its name
	Err  error  // why nothing could be asked at all; the rest is empty then
	Cut  error  // why it was asked nothing more at some point

	Server        Server
	ServerErr     error
	Config        Config
	ConfigErr     error
	Sentinels     int64 // that listen there for each other
	SentinelsErr  error
	Samples       []Sample
	ClockErr      error // Samples have round trips, and no clock
	Connections   Connections
	SelfTest      SelfTest
	WakeUp        WakeUp
	Marker        Marker
	MarkerErr     error
	Rights        Rights
	RightsErr     error // nothing is known about them
	NativeRefused bool  // it does not take SET with both NX and GET
}

// A Server is what INFO says. Texts are empty and numbers -1 where it does not.
type Server struct {
	Version   string        // "7.0.15", "valkey 8.0.1"
	Major     int64         // of the Redis version that it is compatible with
	Minor     int64         // the same
	RunID     string        // the same for all addresses of one process, and new when it starts
	Mode      string        // standalone, cluster, sentinel
	Role      string        // master, slave
	Uptime    time.Duration // whole seconds, by its wall clock; negative if unknown
	Replicas  int64
	Loading   int64 // 1: it is reading its data
	Used, Max int64 // bytes; Max is 0 for no bound
	Policy    string
	Evicted   int64 // keys, since it started
	AOF       int64 // 1: there is an append-only file
	AOFWrites string
	Clients   int64
	MaxClient int64
	Masters   []string // that a Sentinel watches: name and address
}

// Connections are what several connections of the client say. They reach one server, and
// one database of it, or the client is no node.
type Connections struct {
	RunIDs    []string // the different ones; that of Server is the first
	Databases []int64  // the same; nil if the server does not say
	Named     int64    // the database in the name of the node, -1 if there is none
	Err       error    // why databases are not known
}

// Config is what CONFIG GET says; fields are empty where it does not.
type Config struct {
	Fsync          string // of the append-only file: always, everysec, no
	FsyncInRewrite bool   // it goes on while the file is rewritten
	Save           string // when there are snapshots
	MinReplicas    string
}

// A Sample is one look at the server's clock. Our times count from a common origin
// on the monotonic clock, so those of several nodes can be compared.
type Sample struct {
	Sent, Received time.Duration
	Clock          time.Duration // since 1970, read at some moment between them
}

// A Trial is a lock that was taken, extended and released under keys of its own. What
// the server said was compared with what was there afterwards.
type SelfTest struct {
	Skipped string // why there was none
	Value   string // what this node was asked to store, under a key that all nodes have
	Found   string // what it had there instead: the value of another node
	Verb    Verb   // what was tried last
	Option  string // that the verb was tried for, such as "WithFair"; "" for any lock
	Err     error  // the verb failed with it
	Wrong   string // what the server did otherwise than it was asked; "" if nothing
	Guarded bool   // the guard's scripts were tried, too: that needs a server that says who it is
	Simple  string // how locks are released where the script is refused that tells waiters; ""
}

// A WakeUp is what became of a message that a release published for a waiter.
type WakeUp struct {
	Tried  bool // there was one, and the client can subscribe
	Heard  bool
	Waited time.Duration
	Err    error // why the subscription ended
}

// Rights are what the user may do, of all that the lock may send.
type Rights struct {
	User    string         // "" if unknown
	Missing []MissingRight // by the order of needs
	Untried []string       // commands that could not be tried without leaving something behind
}

// A Need is what rights are for.
type Purpose uint8

const (
	ToLock  Purpose = iota // nothing works without
	ToWake                 // those who wait are told of a release
	ToQueue                // WithFair
	ToFence                // WithFencing
	ToGuard                // WithRestartGuard
	ToBound                // a large text under a lock's name is not moved
	ToPing                 // a node that did not answer, and a subscription, are looked after
)

// A Denial is a right that is missing.
type MissingRight struct {
	Purpose Purpose
	Command string // and where: "ZADD on {key}:queue"
	Name    string // of the command
	Said    string // by the server
	Unknown bool   // the server does not have the command, or under another name: no right mends that
}
