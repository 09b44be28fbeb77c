package diagnosis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/internal/node"
	"github.com/quorumlock/quorumlock/pool"
)

var settings = Settings{TTL: 8 * time.Second, NodeTimeout: 400 * time.Millisecond, Drift: 0.01, Prefix: "app:"}

// healthy are facts about n nodes that leave nothing to fix.
func healthy(n int) (all []node.Facts) {
	for i := range n {
		all = append(all, node.Facts{
			Node: fmt.Sprintf("n%d", i),
			Server: node.Server{
				Version: "7.0.15", Major: 7, RunID: fmt.Sprintf("run%d", i), Mode: "standalone", Role: "master", Uptime: time.Hour,
				Loading: 0, Used: 1 << 20, Policy: "noeviction", AOF: 1, AOFWrites: "ok", Clients: 5, MaxClient: 10000,
			},
			Config:  node.Config{Fsync: "always", FsyncInRewrite: true, MinReplicas: "0"},
			Samples: watched(time.Millisecond, 1), Connections: node.Connections{RunIDs: []string{fmt.Sprintf("run%d", i)}, Databases: []int64{0}, Named: -1},
			SelfTest: node.SelfTest{Value: fmt.Sprintf("v%d", i), Verb: node.Release},
			Rights:   node.Rights{User: "app"},
		})
	}
	return all
}

// noScripts are the missing rights of a user that may run no scripts.
var noScripts = []node.MissingRight{
	{Purpose: node.ToLock, Name: "EVAL", Command: "EVAL on the lock's key", Said: "User app has no permissions to run the 'eval' command"},
	{Purpose: node.ToLock, Name: "EVALSHA", Command: "EVALSHA on the lock's key", Said: "User app has no permissions to run the 'evalsha' command"},
}

// watched are samples over a second of a clock of that rate.
func watched(trip time.Duration, rate float64) (samples []node.Sample) {
	for i := range 20 {
		sent := time.Duration(i) * 50 * time.Millisecond
		at := sent + trip/2
		samples = append(samples, node.Sample{Sent: sent, Received: sent + trip, Clock: 1e9*time.Second + time.Duration(rate*float64(at))})
	}
	return samples
}

// noClock are samples of round trips, for a user without the right to TIME.
func noClock(trip time.Duration) (samples []node.Sample) {
	samples = watched(trip, 1)
	for i := range samples {
		samples[i].Clock = 0
	}
	return samples
}

// set moves the clock from one sample on.
func set(f *node.Facts, from int, by time.Duration) {
	for i := range f.Samples[from:] {
		f.Samples[from+i].Clock += by
	}
}

func (f Finding) String() string {
	return fmt.Sprintf("%v %s %s: %s; endangers %s; remedy: %s", f.Severity, f.Check, f.Node, f.Seen, f.Endangers, f.Remedy)
}

// others are the findings but for summaries.
func others(found []Finding) []Finding {
	return slices.DeleteFunc(found, func(f Finding) bool { return f.Check == "summary" })
}

func TestHealthyNodesHaveASummaryEachAndNothingElse(t *testing.T) {
	found := Judge(healthy(3), settings)
	if len(found) != 3 {
		t.Fatalf("%v", found)
	}
	for i, f := range found {
		if f.Severity != Note || f.Check != "summary" || f.Node != fmt.Sprintf("n%d", i) || f.Remedy != "" {
			t.Errorf("%v", f)
		}
		for _, text := range []string{"7.0.15", "master", "up 1h", "SET NX GET", "round trip 1ms", "clock rate 0.9"} {
			if !strings.Contains(f.Seen, text) {
				t.Errorf("%q is missing in %v", text, f)
			}
		}
	}
}

func TestWhatIsWrongIsFoundWithItsSeverityAndItsRemedy(t *testing.T) {
	noperm := pool.Error("NOPERM this user has no permissions")
	for name, c := range map[string]struct {
		wrong func(all []node.Facts)
		set   func(*Settings)
		want  Severity
		check string
		says  []string // in seen, endangers or remedy
	}{
		"down": {wrong: func(all []node.Facts) { all[1] = node.Facts{Node: "n1", Err: errors.New("connection refused")} },
			want: Error, check: "reachable", says: []string{"connection refused", "2 of 3 answer", "2 have to", "start the server"}},
		"never reached": {wrong: func(all []node.Facts) {
			all[1] = node.Facts{Node: "n1", Err: fmt.Errorf("%w: %w", pool.ErrNotSent, context.DeadlineExceeded)}
		}, want: Error, check: "reachable", says: []string{"2 of 3 answer", "whether the server runs, whether it hangs", "DialerRetries: 1"}},
		"silent": {wrong: func(all []node.Facts) { all[1] = node.Facts{Node: "n1", Err: context.DeadlineExceeded} },
			want: Error, check: "reachable", says: []string{"hangs"}},
		"wrong password": {wrong: func(all []node.Facts) { all[1] = node.Facts{Node: "n1", Err: pool.Error("WRONGPASS invalid")} },
			want: Error, check: "reachable", says: []string{"check the user name and password"}},
		"cut": {wrong: func(all []node.Facts) {
			all[1].Cut, all[1].SelfTest.Err, all[1].ConfigErr = context.DeadlineExceeded, context.DeadlineExceeded, context.DeadlineExceeded
		}, want: Error, check: "reachable", says: []string{"not all is known"}},
		"replica":  {wrong: func(all []node.Facts) { all[1].Server.Role = "slave" }, want: Error, check: "role", says: []string{"REPLICAOF NO ONE"}},
		"cluster":  {wrong: func(all []node.Facts) { all[1].Server.Mode = "cluster" }, want: Error, check: "role", says: []string{"cluster-enabled no"}},
		"sentinel": {wrong: func(all []node.Facts) { all[1].Server.Mode = "sentinel" }, want: Error, check: "role", says: []string{"Sentinel"}},
		"the same run id": {wrong: func(all []node.Facts) { all[1].Server.RunID = "run0" },
			want: Error, check: "distinct", says: []string{"same server as n0", "votes twice"}},
		"the value of another": {wrong: func(all []node.Facts) { all[1].Server.RunID, all[1].SelfTest.Found = "", "v0" },
			want: Error, check: "distinct", says: []string{"same server as n0"}},
		"a Sentinel with masters": {wrong: func(all []node.Facts) {
			all[1].Server.Mode, all[1].Server.Masters = "sentinel", []string{"10.0.0.1:6379 (mymaster)"}
		}, want: Error, check: "role", says: []string{"it watches 10.0.0.1:6379 (mymaster)"}},
		"an active replica": {wrong: func(all []node.Facts) { all[1].Server.Role = "active-replica" }, want: Error, check: "role", says: []string{"REPLICAOF NO ONE", "active-replica no"}},
		"two servers under one name": {wrong: func(all []node.Facts) { all[1].Connections.RunIDs = []string{"run1", "run7"} },
			want: Error, check: "run id", says: []string{"2 different servers", "exclusion", "not of a balancer"}},
		"a connection in another database": {wrong: func(all []node.Facts) { all[1].Connections = node.Connections{Databases: []int64{5, 0}, Named: -1} },
			want: Error, check: "database", says: []string{"different databases: 0, 5", "exclusion", "SELECT"}},
		"all in another database": {wrong: func(all []node.Facts) { all[1].Connections = node.Connections{Databases: []int64{5}, Named: 2} },
			want: Error, check: "database", says: []string{"in database 5, and its name says 2"}},
		"a database without a name": {wrong: func(all []node.Facts) { all[1].Connections = node.Connections{Databases: []int64{5}, Named: -1} },
			want: Note, check: "database", says: []string{"in database 5", "not known"}},
		"no database known": {wrong: func(all []node.Facts) { all[1].Connections.Err = noperm },
			want: Note, check: "unknown", says: []string{"CLIENT INFO: NOPERM", "+client|info"}},
		"does otherwise": {wrong: func(all []node.Facts) { all[1].SelfTest.Verb, all[1].SelfTest.Wrong = node.Acquire, "it ignores NX" },
			want: Error, check: "self-test", says: []string{"it ignores NX", "exclusion"}},
		"no message": {wrong: func(all []node.Facts) { all[1].WakeUp = node.WakeUp{Tried: true, Waited: time.Second} },
			want: Warning, check: "pubsub", says: []string{"did not arrive within 1s", "speed"}},
		"cannot subscribe": {wrong: func(all []node.Facts) { all[1].WakeUp.Err = fmt.Errorf("%w: %w", pool.ErrNotSent, pool.ErrNoConn) },
			want: Warning, check: "pubsub", says: []string{"PoolSize"}},
		"releases simply": {wrong: func(all []node.Facts) { all[1].SelfTest.Simple = "DELEX" }, want: Warning, check: "scripts", says: []string{"released by DELEX", "waiters are not notified"}},
		"renamed, in use": {wrong: func(all []node.Facts) {
			all[1].Rights.Missing = []node.MissingRight{{Purpose: node.ToLock, Name: "SET", Command: "SET on the lock's key", Said: "ERR Command 'SET' not found", Unknown: true}}
			all[1].SelfTest.Err = pool.Error("ERR unknown command 'SET'")
		}, want: Error, check: "commands", says: []string{"does not have SET", "take rename-command SET out of its configuration file"}},
		"renamed, not in use": {wrong: func(all []node.Facts) {
			all[1].Rights.Missing = []node.MissingRight{{Purpose: node.ToQueue, Name: "ZADD", Said: "ERR Command 'ZADD' not found", Unknown: true}, {Purpose: node.ToQueue, Name: "ZREM", Said: "ERR Command 'ZREM' not found", Unknown: true}}
		}, want: Note, check: "commands", says: []string{"does not have ZADD, ZREM", "take rename-command ZADD, rename-command ZREM out"}},
		"evicts, and could bless": {wrong: func(all []node.Facts) {
			all[1].Server.Policy, all[1].Server.Version, all[1].Server.Major, all[1].Server.Minor = "volatile-ttl", "8.12.0", 8, 12
		}, want: Warning, check: "eviction", says: []string{"noeviction", "BLESS SET <key> NO-EVICT", "no locks"}},
		"may not ping": {wrong: func(all []node.Facts) {
			all[1].Rights.Missing = []node.MissingRight{{Purpose: node.ToPing, Name: "PING", Command: "PING", Said: "User app has no permissions to run the 'ping' command"}}
		}, want: Warning, check: "rights", says: []string{"may not use PING", "speed", "remedy: ACL SETUSER app +ping"}},
		"loading": {wrong: func(all []node.Facts) { all[1].Server.Loading = 1 }, want: Error, check: "loading", says: []string{"until it has"}},
		"self-test refused": {wrong: func(all []node.Facts) {
			all[1].SelfTest.Verb, all[1].SelfTest.Err = node.Acquire, pool.Error("OOM command")
		},
			want: Error, check: "self-test", says: []string{"failed to lock", "raise maxmemory"}},
		"evicts": {wrong: func(all []node.Facts) {
			all[1].Server.Policy, all[1].Server.Max, all[1].Server.Evicted = "allkeys-lru", 1<<30, 7
		}, want: Error, check: "eviction", says: []string{"allkeys-lru", "1.0 GiB", "7 keys", "CONFIG SET maxmemory-policy noeviction"}},
		"would evict": {wrong: func(all []node.Facts) { all[1].Server.Policy = "volatile-ttl" },
			want: Warning, check: "eviction", says: []string{"nothing is evicted yet", "noeviction"}},
		"no persistence": {wrong: func(all []node.Facts) { all[1].Server.AOF = 0 },
			want: Warning, check: "persistence", says: []string{"nothing is persisted", "forgets all locks", "appendfsync always"}},
		"snapshots": {wrong: func(all []node.Facts) { all[1].Server.AOF, all[1].Config.Save = 0, "3600 1" },
			want: Warning, check: "persistence", says: []string{"snapshots only", "released"}},
		"everysec": {wrong: func(all []node.Facts) { all[1].Config.Fsync = "everysec" }, want: Warning, check: "persistence", says: []string{"the last second"}},
		"no fsync": {wrong: func(all []node.Facts) { all[1].Config.Fsync = "no" }, want: Warning, check: "persistence", says: []string{"kernel"}},
		"no fsync in rewrites": {wrong: func(all []node.Facts) { all[1].Config.FsyncInRewrite = false },
			want: Warning, check: "persistence", says: []string{"CONFIG SET no-appendfsync-on-rewrite no"}},
		"disk full": {wrong: func(all []node.Facts) { all[1].Server.AOFWrites = "err" }, want: Error, check: "persistence", says: []string{"disk"}},
		"replicas": {wrong: func(all []node.Facts) { all[1].Server.Replicas, all[1].Config.MinReplicas = 2, "1" },
			want: Warning, check: "replication", says: []string{"2 replicas", "does not wait"}},
		"sentinels": {wrong: func(all []node.Facts) { all[1].Sentinels = 3 }, want: Warning, check: "replication", says: []string{"3 sentinels"}},
		"started just now": {wrong: func(all []node.Facts) {
			all[1].Server.Uptime, all[1].Config.Fsync = 3*time.Second, ""
		}, want: Warning, check: "uptime", says: []string{"started 3s ago", "8s", "another 6s", "wall clock"}},
		"memory":  {wrong: func(all []node.Facts) { all[1].Server.Max = 1 << 20 }, want: Warning, check: "memory", says: []string{"1.0 MiB", "raise maxmemory"}},
		"clients": {wrong: func(all []node.Facts) { all[1].Server.MaxClient = 5 }, want: Warning, check: "clients", says: []string{"5 of 5", "maxclients"}},
		"old": {wrong: func(all []node.Facts) { all[1].Server.Major, all[1].NativeRefused = 6, true },
			want: Note, check: "version", says: []string{"script", "Redis 7"}},
		"far": {wrong: func(all []node.Facts) { all[1].Samples = noClock(450 * time.Millisecond) },
			want: Error, check: "latency", says: []string{"450ms", "400ms", "WithNodeTimeout"}},
		"farther than is good": {wrong: func(all []node.Facts) { all[1].Samples = noClock(210 * time.Millisecond) }, want: Warning, check: "latency"},
		"may not unlock": {wrong: func(all []node.Facts) {
			all[1].Rights.Missing = []node.MissingRight{{Purpose: node.ToLock, Command: "DEL on the lock's key", Said: "no permissions"}}
			all[1].SelfTest.Verb, all[1].SelfTest.Err = node.Release, noperm
		}, want: Error, check: "rights", says: []string{"the user app", "DEL on", "ACL SETUSER app ~app:* +set +get +del"}},
		"may not lock, and may not ask": {wrong: func(all []node.Facts) {
			all[1].Rights.User, all[1].SelfTest.Verb, all[1].SelfTest.Err = "", node.Extend, noperm
		}, want: Error, check: "rights", says: []string{"its user", "extend", "ACL SETUSER <user>"}},
		"may run no script, and locks natively": {wrong: func(all []node.Facts) {
			all[1].Rights.Missing, all[1].SelfTest.Simple = noScripts, "DELIFEQ"
		}, want: Warning, check: "rights", says: []string{"the user app", "EVAL on", "speed", "locks with WithFair", "remedy: ACL SETUSER app +eval +evalsha"}},
		"may run no script, and the self-test did not end": {wrong: func(all []node.Facts) {
			all[1].Rights.Missing, all[1].SelfTest.Verb = noScripts, node.Acquire
		}, want: Error, check: "rights", says: []string{"+eval +evalsha"}},
		"may run no script by its hash": {wrong: func(all []node.Facts) { all[1].Rights.Missing = noScripts[1:] },
			want: Warning, check: "rights", says: []string{"EVALSHA on", "in another way", "remedy: ACL SETUSER app +evalsha"}},
		"may run no script, and waits with WithFair": {wrong: func(all []node.Facts) {
			all[1].Rights.User, all[1].SelfTest = "", node.SelfTest{Verb: node.AcquireInTurn, Option: "WithFair", Err: pool.Error("NOPERM User app has no permissions to run the 'eval' command")}
		}, set: func(s *Settings) { s.Fair = true }, want: Error, check: "rights", says: []string{"grants nothing", "+eval +evalsha"}},
		"may not listen": {wrong: func(all []node.Facts) {
			all[1].Rights.Missing = []node.MissingRight{{Purpose: node.ToWake, Command: "SUBSCRIBE", Said: "no"}}
		}, want: Warning, check: "rights", says: []string{"&{app:*}:wake*", "not notified"}},
		"may not queue": {wrong: func(all []node.Facts) {
			all[1].Rights.Missing = []node.MissingRight{{Purpose: node.ToQueue, Command: "ZADD", Said: "no"}}
		}, want: Note, check: "rights", says: []string{"+zadd", "WithFair"}},
		"may not queue, and must": {wrong: func(all []node.Facts) {
			all[1].Rights.Missing = []node.MissingRight{{Purpose: node.ToQueue, Command: "ZADD", Said: "no"}}
		}, set: func(s *Settings) { s.Fair = true }, want: Error, check: "rights"},
		"may not see": {wrong: func(all []node.Facts) {
			all[1].Server, all[1].ServerErr = node.Server{Uptime: -1, AOF: -1, Loading: -1, Max: -1, MaxClient: -1, Major: -1}, noperm
		}, want: Warning, check: "unknown", says: []string{"INFO: NOPERM", "is a master", "ACL SETUSER app +info"}},
		"may not see the configuration": {wrong: func(all []node.Facts) { all[1].ConfigErr, all[1].Config = noperm, node.Config{} },
			want: Note, check: "unknown", says: []string{"CONFIG GET: NOPERM", "+config|get"}},
	} {
		t.Run(name, func(t *testing.T) {
			all, s := healthy(3), settings
			c.wrong(all)
			if c.set != nil {
				c.set(&s)
			}
			found := others(Judge(all, s))
			if len(found) != 1 || found[0].Severity != c.want || found[0].Check != c.check || found[0].Node != "n1" {
				t.Fatalf("want one %v about %s of n1, got %v", c.want, c.check, found)
			}
			for _, text := range c.says {
				if !strings.Contains(found[0].String(), text) {
					t.Errorf("%q is missing in %v", text, found[0])
				}
			}
		})
	}
}

func TestTheWorstComesFirstAndNodesStayInOrder(t *testing.T) {
	all := healthy(3)
	for i := range all {
		all[i].Config.Fsync = "everysec"
	}
	all[2].Server.Role = "slave"
	var got []string
	for _, f := range Judge(all, settings) {
		got = append(got, fmt.Sprint(f.Node, f.Severity))
	}
	if want := []string{"n22", "n01", "n11", "n21", "n00", "n10", "n20"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestWithoutAMajorityLockingIsImpossible(t *testing.T) {
	all := healthy(3)
	all[0].Err, all[1].Err = errors.New("down"), errors.New("down")
	found := Judge(all, settings)
	if len(found) < 2 || !strings.Contains(found[0].Endangers, "impossible now: 1 of 3") {
		t.Errorf("%v", found)
	}
}

// A remedy gives no right twice, and no user gets all keys.
func TestARemedyGrantsTheMissingRights(t *testing.T) {
	key, command, channel := "User app has no permissions to access the 'k' key", "User app has no permissions to run the 'time' command", "User app has no permissions to access the 'c' channel"
	for name, c := range map[string]struct {
		missing []node.MissingRight
		prefix  string
		version int64
		want    string
	}{
		"a command":           {[]node.MissingRight{{Purpose: node.ToFence, Name: "TIME", Said: command}}, "app:", 0, "ACL SETUSER app +time"},
		"a command and keys":  {[]node.MissingRight{{Purpose: node.ToFence, Name: "TIME", Said: command}, {Purpose: node.ToFence, Name: "GET", Said: key}}, "app:", 0, "ACL SETUSER app ~{app:*}:* +time"},
		"keys":                {[]node.MissingRight{{Purpose: node.ToLock, Name: "SET", Said: key}}, "app:", 0, "ACL SETUSER app ~app:*"},
		"keys, and no prefix": {[]node.MissingRight{{Purpose: node.ToLock, Name: "SET", Said: key}}, "", 0, "ACL SETUSER app ~redlock-check:*; that is for this check: for locks with a prefix (WithPrefix, --prefix) give the prefix instead of redlock-check:"},
		"a channel":           {[]node.MissingRight{{Purpose: node.ToWake, Name: "SUBSCRIBE", Said: channel}}, "app:", 0, "ACL SETUSER app &{app:*}:wake*"},
		"nothing known":       {[]node.MissingRight{{Purpose: node.ToWake, Name: "SUBSCRIBE", Said: "no"}}, "app:", 0, "ACL SETUSER app ~{app:*}:* &{app:*}:wake* +get +set +publish +subscribe +unsubscribe"},
		"no channels in 6.0":  {[]node.MissingRight{{Purpose: node.ToWake, Name: "SUBSCRIBE", Said: "no"}}, "app:", 6, "ACL SETUSER app ~{app:*}:* +get +set +publish +subscribe +unsubscribe"},
	} {
		t.Run(name, func(t *testing.T) {
			all, s := healthy(1), settings
			s.Prefix = c.prefix
			all[0].Rights.Missing = c.missing
			if c.version > 0 {
				all[0].Server.Major, all[0].Server.Minor = c.version, 0
			}
			for _, f := range Judge(all, s) {
				if f.Check == "rights" && f.Remedy != c.want {
					t.Errorf("got  %s\nwant %s", f.Remedy, c.want)
				}
			}
		})
	}
}
