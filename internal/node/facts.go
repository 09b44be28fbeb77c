package node

import "time"

// Facts are what an examination found out about one node. They are no judgement. What could not
// be found out has an error that says why.
type Facts struct {
	Node string // its name
	Err  error  // why nothing could be asked; the rest is empty then
	Cut  error  // why the examination ended early

	Server        Server
	ServerErr     error
	Config        Config
	ConfigErr     error
	Sentinels     int64 // that are subscribed there
	SentinelsErr  error
	Samples       []Sample
	ClockErr      error // Samples have round trips, and no clock
	Connections   Connections
	SelfTest      SelfTest
	WakeUp        WakeUp
	Marker        Marker
	MarkerErr     error
	Rights        Rights
	RightsErr     error // why nothing is known about them
	NativeRefused bool  // it does not take SET with both NX and GET
}

// A Server is what INFO says. Texts are empty and numbers -1 if it does not say.
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

// Connections are what several connections of the client are connected to. They reach one
// server, and one database of it, or the client is no node.
type Connections struct {
	RunIDs    []string // the different ones; that of Server is the first
	Databases []int64  // the same; nil if the server does not say
	Named     int64    // the database in the name of the node, -1 if there is none
	Err       error    // why databases are not known
}

// Config is what CONFIG GET says; fields are empty if it does not say.
type Config struct {
	Fsync          string // of the append-only file: always, everysec, no
	FsyncInRewrite bool   // it goes on while the file is rewritten
	Save           string // when there are snapshots
	MinReplicas    string
}

// A Sample is one reading of the server's clock. Our times count from a common origin on the
// monotonic clock, so the times of several nodes can be compared.
type Sample struct {
	Sent, Received time.Duration
	Clock          time.Duration // since 1970, read at some moment between them
}

// A SelfTest is a lock that was taken, extended and released under keys of its own. The replies
// of the server were compared with what was there afterwards.
type SelfTest struct {
	Skipped string // why there was none
	Value   string // what this node was asked to store, under a key that is the same on all nodes
	Found   string // what it had there instead: the value of another node
	Verb    Verb   // what was tried last
	Option  string // the option that the verb was tried for, such as "WithFair"; "" for any lock
	Err     error  // the verb failed with it
	Wrong   string // what the server did otherwise than it was asked; "" if nothing
	Guarded bool   // the guard's scripts were tried, too: that needs a server that states its run id
	Simple  string // how locks are released if the script is refused that notifies waiters; ""
}

// A WakeUp is what became of the message that a release published for a waiter.
type WakeUp struct {
	Tried    bool // there was one, and the client can subscribe
	Received bool
	Waited   time.Duration
	Err      error // why the subscription ended
}

// Rights are what the user may do, of all commands that the lock may send.
type Rights struct {
	User    string         // "" if unknown
	Missing []MissingRight // by purpose
	Untried []string       // commands that could not be tried without leaving something behind
}

// A Purpose is what rights are for.
type Purpose uint8

const (
	ToLock  Purpose = iota // nothing works without
	ToWake                 // waiters are notified of a release
	ToQueue                // WithFair
	ToFence                // WithFencing
	ToGuard                // WithRestartGuard
	ToBound                // a large text under a lock's name is not moved
	ToShare                // RLock
	ToPing                 // a silent node, and a subscription, are watched
)

// A MissingRight is a command that the user may not send.
type MissingRight struct {
	Purpose Purpose
	Command string // with its key: "ZADD on {key}:queue"
	Name    string // of the command
	Said    string // the error of the server
	Unknown bool   // the server does not have the command, or under another name: no right helps
}
