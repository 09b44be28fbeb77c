package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/quorumlock/quorumlock/internal/redisproc"
)

// A node is one of the servers that hold locks.
type node struct {
	busy   sync.Mutex // held by the fault of the server that is at work
	server *redisproc.Server
	dir    string // of its data
}

// A cluster is the nodes, and a server with the resources, which nothing happens to.
type cluster struct {
	folder   string
	nodes    []*node
	resource *redisproc.Server
}

// witness is a key on every node that a start with data keeps and one without loses.
const witness = "torture:witness"

// startCluster starts the servers. They write every change to the disk before they
// acknowledge it, so one that is killed has forgotten nothing when it returns.
func startCluster(nodes int) (_ *cluster, err error) {
	folder, err := os.MkdirTemp("", "torture-")
	if err != nil {
		return nil, err
	}
	c := &cluster{folder: folder}
	defer func() {
		if err != nil {
			c.close()
		}
	}()
	if c.resource, err = redisproc.Launch(redisproc.Options{}); err != nil {
		return nil, err
	}
	for i := range nodes {
		n := &node{dir: filepath.Join(folder, strconv.Itoa(i+1))}
		if err := os.Mkdir(n.dir, 0o700); err != nil {
			return nil, err
		}
		n.server, err = redisproc.Launch(redisproc.Options{
			Args: []string{
				"--dir", n.dir, "--appendonly", "yes", "--appendfsync", "always",
				"--enable-debug-command", "yes", "--maxmemory-policy", "noeviction",
			},
			Timeout: 10 * time.Second, // longer than it can be paused or asleep
		})
		if err != nil {
			return nil, err
		}
		c.nodes = append(c.nodes, n)
		if err := n.testify(); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (c *cluster) close() {
	for _, n := range c.nodes {
		n.server.Stop()
	}
	if c.resource != nil {
		c.resource.Stop()
	}
	_ = os.RemoveAll(c.folder)
}

func (c *cluster) addrs() (addrs []string) {
	for _, n := range c.nodes {
		addrs = append(addrs, n.server.Addr())
	}
	return addrs
}

// testify writes the witness.
func (n *node) testify() error {
	_, err := n.server.Do("SET", witness, "here")
	return err
}

// restart starts a killed server, with or without its data, and looks whether it has them.
func (n *node) restart(data bool) error {
	if !data {
		if err := errors.Join(os.RemoveAll(n.dir), os.Mkdir(n.dir, 0o700)); err != nil {
			return err
		}
	}
	if err := n.server.Restart(); err != nil {
		return err
	}
	seen, err := n.server.Do("EXISTS", witness)
	switch {
	case err != nil:
		return err
	case seen == int64(1) != data:
		return fmt.Errorf("%s came back with %v witnesses; with its data: %v", n.server.Addr(), seen, data)
	case !data:
		return n.testify()
	}
	return nil
}

// restartShort starts a killed server with its data, but without the last writes, as if they
// had not reached the disk.
func (n *node) restartShort() error {
	logs, err := filepath.Glob(filepath.Join(n.dir, "appendonlydir", "*.incr.aof"))
	if err != nil || len(logs) != 1 {
		return fmt.Errorf("%s has the logs %v, %v", n.server.Addr(), logs, err)
	}
	info, err := os.Stat(logs[0])
	if err != nil {
		return err
	}
	if err := os.Truncate(logs[0], max(0, info.Size()-lostTail)); err != nil {
		return err
	}
	if err := n.server.Restart(); err != nil {
		return err
	}
	return n.testify() // it may have lost that, too
}

// lostTail is how much of its log a server loses: some ten writes of a lock.
const lostTail = 4 << 10

// info returns a field of what the server says about itself, "" if it has none.
func (n *node) info(section, field string) (string, error) {
	reply, err := n.server.Do("INFO", section)
	text, _ := reply.(string)
	for line := range strings.Lines(text) {
		if value, found := strings.CutPrefix(strings.TrimSpace(line), field+":"); found {
			return value, err
		}
	}
	return "", err
}

// leader is the process that has the lock of an election on a majority of the nodes. It does
// not wait for nodes that do not answer.
func (c *cluster) leader() (process int, ok bool) {
	replies := make(chan string, len(c.nodes))
	for _, n := range c.nodes {
		go func() { // ends with the answer, or the timeout of the server's Do
			reply, _ := n.server.Do("GET", "election A")
			value, _ := reply.(string)
			replies <- value
		}()
	}
	late := time.NewTimer(100 * time.Millisecond)
	defer late.Stop()
	held := make(map[string]int)
	for range c.nodes {
		select {
		case value := <-replies:
			i := strings.LastIndex(value, ":worker ")
			if held[value]++; i < 0 || held[value] <= len(c.nodes)/2 {
				continue
			}
			_, err := fmt.Sscanf(value[i:], ":worker %d life", &process)
			return process - 1, err == nil
		case <-late.C:
			return 0, false
		}
	}
	return 0, false
}

// sideKeys are endings of keys that may outlive the locks: a counter of tokens is kept for
// long, and so is a published value; a wait queue goes when the leases of its waiters end.
var sideKeys = []string{":fence", ":queue", ":lease", ":wait", ":value", ":leader"}

// A leftKey is a key of a lock that is on a node, for one of its readers if readers have it.
type leftKey struct {
	node       int
	key, value string
}

// mostIntent is for how long "{key}:intent", with which a waiting writer keeps new readers out, may
// outlive the writer.
const mostIntent = 10 * time.Second

// The holders of KEYS[1]: its value, the readers that have not ended, or nobody, which is no reason for
// a key to be there. Of an intent, nobody if it stays for longer than ARGV[1] milliseconds.
const holdersScript = `
if string.sub(KEYS[1], -7) == ':intent' then
	local left = redis.call('PTTL', KEYS[1])
	return (left == -1 or left > tonumber(ARGV[1])) and {''} or {}
end
local kind = redis.call('TYPE', KEYS[1]).ok
if kind == 'string' then
	return {redis.call('GET', KEYS[1])}
elseif kind == 'none' then -- it went between the two questions
	return {}
end
local time, all = redis.call('TIME'), {}
if kind == 'zset' then
	all = redis.call('ZRANGEBYSCORE', KEYS[1], time[1] * 1000 + math.floor(time[2] / 1000), '+inf')
end
return #all > 0 and all or {''}
`

// left lists the keys of locks that are on a node.
func (c *cluster) left() (keys []leftKey, err error) {
	for i, n := range c.nodes {
		reply, err := n.server.Do("KEYS", "*")
		if err != nil {
			return nil, fmt.Errorf("node %d: %w", i+1, err)
		}
		all, _ := reply.([]any)
		for _, k := range all {
			key := fmt.Sprint(k)
			if key == witness || isSideKey(key) {
				continue
			}
			reply, err := n.server.Do("EVAL", holdersScript, "1", key, strconv.FormatInt(mostIntent.Milliseconds(), 10))
			if err != nil {
				return nil, fmt.Errorf("node %d: %w", i+1, err)
			}
			holders, _ := reply.([]any)
			for _, value := range holders {
				keys = append(keys, leftKey{i, key, fmt.Sprint(value)})
			}
		}
	}
	return keys, nil
}

func isSideKey(key string) bool {
	for _, ending := range sideKeys {
		if strings.HasSuffix(key, ending) {
			return true
		}
	}
	return strings.HasPrefix(key, "redlock:")
}
