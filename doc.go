// Package quorumlock is the root of the module, and has examples and tests only. The lock
// is in [github.com/quorumlock/quorumlock/redlock], what it needs of a Redis client in
// [github.com/quorumlock/quorumlock/pool], adapters are in
// [github.com/quorumlock/quorumlock/pool/goredis] and
// [github.com/quorumlock/quorumlock/pool/redigo]; the resource's side of fencing tokens is
// [github.com/quorumlock/quorumlock/fence], masters in memory for the tests of services
// are in [github.com/quorumlock/quorumlock/redlocktest].
//
// (The examples stand here, since who uses one adapter would have to download the clients
// of all if they stood with a package.)
package quorumlock
