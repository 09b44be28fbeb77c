package main

import "fmt"

// A contender is one library on one client, set up as a service would set it
// up that read its documentation to the end.
type contender struct {
	lib    string
	client string
	// open connects to the servers, on a pool of so many connections to each.
	open func(addrs []string, connections int) (session, error)
}

func (c contender) String() string { return c.lib + " on " + c.client }

// A session is a contender that is connected.
type session struct {
	worker func(key string) worker
	close  func() error
}

// A worker locks and unlocks one key, over and over. One goroutine uses it.
type worker interface {
	Lock() error
	Unlock() error
}

// The libraries under comparison. A peer appears once per setting that has a
// claim to be its best.
const (
	ours            = "quorumlock"
	oursPlain       = "quorumlock, not pipelined"
	redsyncDefault  = "redsync"
	redsyncFailFast = "redsync, fail-fast"
	floor           = "no lock: the bare commands"
	floorTogether   = "no lock: the same, pipelined by go-redis"
)

// contenders returns all of them on one client, ours first.
func contenders(client string) ([]contender, error) {
	switch client {
	case goRedis:
		return []contender{
			{ours, client, oursOn(client, true)},
			{oursPlain, client, oursOn(client, false)},
			{redsyncDefault, client, redsyncOnGoRedis(false)},
			{redsyncFailFast, client, redsyncOnGoRedis(true)},
			{redislocks, client, redislockOnGoRedis},
			{floor, client, floorOnGoRedis},
			{floorTogether, client, floorPipelined},
		}, nil
	case redigoClient:
		return []contender{
			{ours, client, oursOn(client, true)},
			{oursPlain, client, oursOn(client, false)},
			{redsyncDefault, client, redsyncOnRedigo(false)},
			{redsyncFailFast, client, redsyncOnRedigo(true)},
			{floor, client, floorOnRedigo},
		}, nil
	case noClient:
		return []contender{
			{ours, client, oursOn(client, true)},
			{floorTogether, client, floorPipelined},
		}, nil
	}
	return nil, fmt.Errorf("unknown client %q: choose from %s, %s, %s", client, goRedis, redigoClient, noClient)
}

// settings says how the contenders differ from their defaults.
func settings() string {
	return fmt.Sprintf(`- %[1]s: default options (TTL 8 s, node timeout 500 ms), at most 32 tries, as redsync; on one connection per server (NewPipelined), or "not pipelined" on the client's pool (New)
- redsync: default options (expiry 8 s, 32 tries, timeout factor 0.05 = 400 ms), a new mutex for every acquisition; "fail-fast" is WithFailFast(true), which answers when a majority agreed
- %[7]s: with one server only (it knows no quorum), TTL 8 s, one try
- %[5]s: sent from a goroutine for each server on the client's pool, SET PX and a compare-and-delete, until a majority answered; what the answers say is ignored. "Pipelined by go-redis" is its AsyncAutoPipeline, without goroutines, waiting for the first servers of the list
- go-redis: default options, but PoolSize %[2]d for 1 worker, %[4]d for 512, and %[6]d for 512 if servers are away
- direct: no client library (package direct), beside the bare commands on go-redis once more
- redigo: MaxIdle and MaxActive the same, Wait, and timeouts of %[3]v to connect, read and write (by default it has none: redsync on it would wait as long as a server is frozen); one connection alone has only the first
`, ours, poolSize(1), redigoTimeout, poolSize(512), floor, awayPoolSize(512), redislocks)
}
