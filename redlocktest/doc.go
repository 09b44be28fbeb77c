// Package redlocktest is a kit for testing what a service does when its Redis masters fail. It
// has in-memory servers that a test can stop, freeze, slow down and demote. A test can also
// drop their requests and replies, close idle connections, and move their clocks.
//
//	func TestTwoOfFiveMayHang(t *testing.T) {
//		cluster := redlocktest.New(t, 5)
//		cluster.Node(0).Freeze()
//		cluster.Node(1).Freeze()
//		// connect to cluster.Addrs() with any client, and take a lock
//	}
//
// The servers speak RESP2 and RESP3 and run Lua (they are miniredis). So the test uses its
// real client, options and lock.
//
// # Two modes
//
// [New] serves on TCP sockets of the loopback interface, for any client and any test.
// [Start] does the same for a program that is not a test.
//
// [NewInMemory] uses no sockets. Connections are made with [Node.Dial] or [Cluster.Dial],
// which fit the dial options of go-redis and redigo. Inside a [testing/synctest] bubble the
// servers follow the clock of the bubble, so a test of an hour takes no time.
//
//	synctest.Test(t, func(t *testing.T) {
//		cluster := redlocktest.NewInMemory(t, 5)
//		...
//	})
//
// Create the cluster and the clients inside the bubble. A bubble does not wait for commands
// that are still in flight. So release all locks before it ends, then close the Lockers, then
// the clients.
//
// A go-redis client in a bubble needs two options. Set DialerRetries to 1: go-redis repeats a
// refused dial in the background, even after the client's Close, and a bubble does not end
// before its last goroutine. Set MaintNotificationsConfig to one with Mode:
// maintnotifications.ModeDisabled: otherwise go-redis holds a mutex during a part of its
// greeting, and if that part meets Delay or Freeze, the time of the bubble stands still.
//
// After many refused dials go-redis tries the server once a second, and notices only then that
// the client was closed. If a node was stopped, end the bubble with time.Sleep(time.Second)
// after the client's Close.
//
// In both modes keys expire as time passes, as on a real server. [Node.Advance] moves the
// clocks of nodes forward, so that a test need not wait for an expiry.
//
// # Faults
//
// A fault is in force when its method returns: after [Node.Freeze] has returned, the node
// executes no command. An exception is a command that waits for another client already, such as
// BLPOP: it goes on waiting. [Node.Stats] counts how often each fault fired. [Node.Await] waits
// for a count. So a test need not sleep, and cannot pass because nothing happened.
//
// Some faults outlive Stop and Start: Delay, DelayDials, DropRequests, DropReplies, FailWith,
// FailCommand, Demote, and the node's clock. A freeze does not: a node that was stopped while
// frozen starts thawed.
//
// Several faults apply to a command in this order. DelayDials delays what comes first on a
// connection. Then the command is delayed (Delay), held while the node is frozen, dropped
// (DropRequests), or answered with the error of FailCommand, FailWith or Demote. DropReplies
// drops the answer at last, also if it is an error.
//
// Each connection is served on its own. So a delay is like a slow network, not like a busy
// server: ten commands on ten connections are delayed at the same time, ten commands on one
// connection one after the other.
//
// # Limits
//
// miniredis lacks INFO server (except for the run id), CONFIG, ROLE, WAITAOF and CLIENT
// PAUSE, and prints large Lua numbers differently. A claim about what a server does needs a
// real server.
package redlocktest
