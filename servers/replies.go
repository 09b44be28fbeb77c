package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/quorumlock/quorumlock/internal/redisproc"
)

// A question is what the library depends on, asked of a server as it stands in the
// table. It begins on an empty server of its own, with these arguments.
type question struct {
	about string
	args  []string
	real  bool // a server in memory has none of this
	ask   func(s *subject) string
}

// subject is a server that is asked.
type subject struct {
	addr  string
	start func(args ...string) (*redisproc.Server, error)
}

const notTried = "not tried" // on a server in memory

// fresh sends commands on one new connection and returns the last reply.
func (s *subject) fresh(commands ...[]string) string {
	c, err := dial(s.addr)
	if err != nil {
		return "closed: " + end(err)
	}
	defer c.Close()
	reply := ""
	for _, command := range commands {
		reply = c.do(command...)
	}
	return reply
}

func words(line string) []string { return strings.Split(line, " ") }

// says asks a line of commands, each of words.
func says(lines ...string) func(*subject) string {
	return func(s *subject) string {
		var commands [][]string
		for _, line := range lines {
			commands = append(commands, words(line))
		}
		return s.fresh(commands...)
	}
}

// runs evaluates a script with one key, after other commands.
func runs(script, key string, before ...string) func(*subject) string {
	return func(s *subject) string {
		var commands [][]string
		for _, line := range before {
			commands = append(commands, words(line))
		}
		return s.fresh(append(commands, []string{"EVAL", script, "1", key})...)
	}
}

const worker = "AUTH worker pw"

var questions = []question{
	{about: "`SET k v NX GET PX` of a free key", ask: says("SET k v NX GET PX 60000")},
	{about: "the same of a taken key", ask: says("SET k v PX 60000", "SET k w NX GET PX 60000")},
	{about: "the same of a list", ask: says("RPUSH k v", "SET k w NX GET PX 60000")},
	{about: "the same without `GET`, of a list", ask: says("RPUSH k v", "SET k w NX PX 60000")},
	{about: "`PTTL` of no key, and of one that stays", ask: func(s *subject) string {
		return s.fresh(words("PTTL none")) + " and " + s.fresh(words("SET k v"), words("PTTL k"))
	}},
	{about: "a key whose `PTTL` is 0 is still there", ask: zero},
	{about: "`EVALSHA` of an unknown script", ask: says("EVALSHA ffffffffffffffffffffffffffffffffffffffff 0")},
	{about: "a script that does not compile", ask: runs("return (", "k")},
	{about: "an error of Lua in a script", ask: runs("return {}..'x'", "k")},
	{about: "an error of a command in a script", ask: runs("return redis.call('GET', KEYS[1])", "k", "RPUSH k v")},
	{about: "a command that nobody knows", ask: says("NOSUCH k")},
	{about: "the same in a script", ask: runs("return redis.call('NOSUCH', KEYS[1])", "k")},
	{about: "a renamed command in a script", args: []string{"--rename-command", "PEXPIRE", "other"}, ask: runs("return redis.call('PEXPIRE', KEYS[1], 1000)", "k")},
	{about: "`TIME` in a script that runs for 20 ms", ask: clock},
	{about: "no right for a command", real: true, ask: says("ACL SETUSER worker on >pw ~* &* +@all -@scripting", worker, "EVAL x 0")},
	{about: "no right for a command, in a script", real: true, ask: runs("return redis.call('PEXPIRE', KEYS[1], 1000)", "k", "ACL SETUSER worker on >pw ~* &* +@all -pexpire", worker)},
	{about: "no right for a key", real: true, ask: says("ACL SETUSER worker on >pw ~other:* &* +@all", worker, "SET k v NX GET PX 60000")},
	{about: "no right for a key, in a script", real: true, ask: runs("return redis.call('GET', 'k')", "other:k", "ACL SETUSER worker on >pw ~other:* &* +@all", worker)},
	{about: "no right to publish to a channel", real: true, ask: says("ACL SETUSER worker on >pw ~* resetchannels +@all", worker, "PUBLISH k v")},
	{about: "no right to listen to a channel", real: true, ask: says("ACL SETUSER worker on >pw ~* resetchannels +@all", worker, "SUBSCRIBE k")},
	{about: "no password given", args: []string{"--requirepass", "pw"}, ask: says("SET k v NX GET PX 60000")},
	{about: "a wrong password", args: []string{"--requirepass", "pw"}, ask: says("AUTH wrong")},
	{about: "a database that is not there", ask: says("SELECT 99")},
	{about: "one connection too many", args: []string{"--maxclients", "1"}, ask: crowd},
	{about: "`SET` on a replica", real: true, ask: says("REPLICAOF 127.0.0.1 1", "SET k v NX GET PX 60000")},
	{about: "a replica that serves no old data", real: true, ask: says("CONFIG SET replica-serve-stale-data no", "REPLICAOF 127.0.0.1 1", "GET k")},
	{about: "too few replicas", args: []string{"--min-replicas-to-write", "1"}, ask: says("SET k v NX GET PX 60000")},
	{about: "while data is loaded: `SET`", real: true, ask: loading("SET k v NX GET PX 60000")},
	{about: "while data is loaded: `PING`", real: true, ask: loading("PING")},
	{about: "while a script runs too long", args: []string{"--lua-time-limit", "10"}, ask: busy},
	{about: "out of memory: `SET`", real: true, ask: says("CONFIG SET maxmemory 1", "SET k v NX GET PX 60000")},
	{about: "out of memory: a script that writes", real: true, ask: runs("return redis.call('SET', KEYS[1], 'v')", "k", "CONFIG SET maxmemory 1")},
	{about: "out of memory: a script that deletes", real: true, ask: runs("return redis.call('DEL', KEYS[1])", "k", "CONFIG SET maxmemory 1")},
	{about: "out of memory: `SUBSCRIBE`", real: true, ask: says("CONFIG SET maxmemory 1", "SUBSCRIBE k")},
	{about: "a cluster without slots", args: []string{"--cluster-enabled", "yes"}, ask: says("SET k v NX GET PX 60000")},
	{about: "its mode in `INFO`", args: []string{"--cluster-enabled", "yes"}, ask: info("_mode:")},
	{about: "name and version in `INFO`", ask: info("_version:", "server_name:")},
	{about: "`HELLO 3`", ask: hello},
	{about: "`CLIENT INFO` names", ask: clientInfo},
	{about: "`SET k v IFEQ v GET PX`: equal, other, no key", ask: compared("SET k v IFEQ v GET PX 60000")},
	{about: "`DELEX k IFEQ v`: equal, other, no key", ask: compared("DELEX k IFEQ v")},
	{about: "`DELIFEQ k v`: equal, other, no key", ask: compared("DELIFEQ k v")},
}

// compared asks a command that compares of a key that is equal, of another, and of none.
func compared(command string) func(*subject) string {
	return func(s *subject) string {
		var replies []string
		for _, before := range []string{"SET k v", "SET k w", "DEL k"} {
			replies = append(replies, s.fresh(words(before), words(command)))
		}
		if replies[0] == replies[1] && replies[1] == replies[2] {
			return replies[0]
		}
		return strings.Join(replies, ", ")
	}
}

// zero looks for a moment in which a key has no time left and is there.
func zero(s *subject) string {
	c, err := dial(s.addr)
	if err != nil {
		return "closed: " + end(err)
	}
	defer c.Close()
	for range 200 {
		c.do("SET", "k", "v", "PX", "2")
		for range 200 {
			if err := c.send("PTTL", "k"); err != nil {
				return "closed: " + end(err)
			}
			if err := c.send("EXISTS", "k"); err != nil {
				return "closed: " + end(err)
			}
			left, there := c.next(), c.next()
			if left == ":0" && there == ":1" {
				return "yes"
			}
			if left == ":-2" {
				break
			}
		}
	}
	return "never seen"
}

const twice = `local a = redis.call('TIME')
for i = 1, 4000000 do
	local b = redis.call('TIME')
	local us = (b[1] - a[1]) * 1000000 + b[2] - a[2]
	if us > 0 then return 'moves' end
	if i > 20000 then return 'stands still' end
end`

func clock(s *subject) string { return s.fresh([]string{"EVAL", twice, "0"}) }

func crowd(s *subject) string {
	for begun := time.Now(); ; time.Sleep(time.Millisecond) { // until who started it has hung up
		first, err := dial(s.addr)
		if err != nil {
			return "closed: " + end(err)
		}
		defer first.Close()
		if first.do("PING") == "PONG" {
			break
		}
		if time.Since(begun) > patience {
			return "never free"
		}
	}
	second, err := dial(s.addr)
	if err != nil {
		return "closed: " + end(err)
	}
	defer second.Close()
	return second.next()
}

// loading asks a server that reads a file slowly.
func loading(command string) func(*subject) string {
	return func(s *subject) string {
		slow, err := s.start("--key-load-delay", "500", "--rdbcompression", "no")
		if err != nil {
			return "not started: " + end(err)
		}
		defer slow.Stop()
		c, err := dial(slow.Addr())
		if err != nil {
			return "closed: " + end(err)
		}
		defer c.Close()
		filler := strings.Repeat("x", 2000) // while it loads, it looks for clients every 2 MB
		for i := range 4000 {
			c.do("SET", strconv.Itoa(i), filler)
		}
		c.do("SAVE")
		up := make(chan error, 1)
		go func() { up <- slow.Restart() }() // ends when the server answers
		defer func() { <-up }()
		for begun := time.Now(); time.Since(begun) < 2*patience; time.Sleep(time.Millisecond) {
			if c, err := dial(slow.Addr()); err == nil {
				state := c.do("INFO", "persistence")
				if strings.Contains(state, "loading:1") {
					reply := c.do(words(command)...)
					c.Close()
					return reply
				}
				c.Close()
			}
		}
		return "never seen"
	}
}

func busy(s *subject) string {
	c, err := dial(s.addr)
	if err != nil {
		return "closed: " + end(err)
	}
	defer c.Close()
	if err := c.send("EVAL", "while true do end", "0"); err != nil {
		return "closed: " + end(err)
	}
	time.Sleep(200 * time.Millisecond)
	reply := s.fresh(words("SET k v NX GET PX 60000"))
	s.fresh(words("SCRIPT KILL"))
	return reply
}

// info lists the fields of INFO that have these names.
func info(names ...string) func(*subject) string {
	return func(s *subject) string {
		text, err := strconv.Unquote(s.fresh(words("INFO server")))
		if err != nil {
			return s.fresh(words("INFO server"))
		}
		var found []string
		for line := range strings.Lines(text) {
			for _, name := range names {
				if strings.Contains(line, name) && !strings.Contains(line, "gcc") {
					found = append(found, strings.TrimSpace(line))
				}
			}
		}
		return strings.Join(found, ", ")
	}
}

func hello(s *subject) string {
	reply := s.fresh(words("HELLO 3"))
	if before, _, there := strings.Cut(reply, ` "id"`); there {
		return before + " ...]"
	}
	return reply
}

// clientInfo lists the names that tell how a connection stands.
func clientInfo(s *subject) string {
	reply := s.fresh(words("CLIENT INFO"))
	var found []string
	for _, name := range []string{"db", "user", "resp", "lib-name"} {
		if strings.Contains(reply, " "+name+"=") {
			found = append(found, name)
		}
	}
	if len(found) == 0 {
		return fmt.Sprintf("%.80s", reply)
	}
	return strings.Join(found, ", ")
}
