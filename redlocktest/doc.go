// Package redlocktest is a kit for testing what a service does when its Redis
// masters fail: in-memory servers that a test stops, freezes, slows down, demotes,
// cuts off from their answers or from idle connections, or sets the clock of.
//
//	func TestTwoOfFiveMayHang(t *testing.T) {
//		cluster := redlocktest.New(t, 5)
//		cluster.Node(0).Freeze()
//		cluster.Node(1).Freeze()
//		// connect to cluster.Addrs() with any client, and take a lock
//	}
//
// The servers speak RESP2 and RESP3 and run Lua (they are miniredis), so the
// client, its options and the lock are the real ones.
//
// # Two modes
//
// [New] serves on TCP sockets of the loopback interface: for any client and any
// test. [Start] does the same for a program that is no test.
//
// [NewInMemory] uses no sockets: connections are made with [Node.Dial] or
// [Cluster.Dial], which fit the dial options of go-redis and redigo. Inside a
// [testing/synctest] bubble the servers' clocks are the bubble's, so a test of
// what happens in an hour takes no time. Create the cluster and the clients
// inside the bubble. Before it ends, unlock what is locked, close the lockers,
// then the clients: a bubble waits for no command that is still under way.
//
//	synctest.Test(t, func(t *testing.T) {
//		cluster := redlocktest.NewInMemory(t, 5)
//		...
//	})
//
// A go-redis client needs DialerRetries: 1 there: a dial that was refused is
// repeated in the background even after the client's Close, and a bubble does
// not end before its last goroutine. After many refused dials it looks for the
// server once a second and notices Close only then: if a node was stopped, end
// the bubble with time.Sleep(time.Second) after the client's Close. It also holds
// a mutex while it waits for the answer to a part of its greeting: with Delay or
// Freeze at that moment the time of the bubble stands still. Switch that part off
// with MaintNotificationsConfig, Mode: maintnotifications.ModeDisabled.
//
// In both modes keys expire as time passes, as on a real server (miniredis by
// itself lets them stand still). [Node.Advance] makes time pass at once.
//
// # Faults
//
// A fault holds from the moment at which its method returns: no command is
// executed by a node after Freeze returned (but one that waits for another
// client, such as BLPOP, waits on). [Stats] counts how often each one
// fired, and [Node.Await] waits for that, so that a test neither sleeps nor
// passes because nothing happened.
//
// Faults of the way to a node (Delay, DelayDials, DropRequests, DropReplies), what
// FailWith, FailCommand and Demote set and the node's clock outlive Stop and Start. A freeze ends with the
// process: a node that was stopped while frozen starts thawed.
//
// A command met by several faults is first delayed, then held while the node is
// frozen, then dropped, then answered with the error of FailCommand, FailWith or
// Demote, in this order. Each connection is served on its own, so a delay is like
// a slow network, not like a busy server: ten connections wait side by side, ten
// commands on one connection one after the other.
//
// # What it is not
//
// miniredis lacks INFO server (but for the run id), CONFIG, ROLE, WAITAOF and
// CLIENT PAUSE, and it prints large Lua numbers differently. A claim about what
// a server does needs a server.
package redlocktest
