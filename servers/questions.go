package main

// A question asks a server for a behaviour that the library depends on, in the words of the
// table. It begins on an empty server of its own, with these arguments.
type question struct {
	about string
	args  []string
	real  bool // a server in memory has none of this
	ask   func(s *subject) string
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
