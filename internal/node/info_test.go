package node

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// The beginnings of what servers say, as recorded.
func TestServersThatDescendFromRedisAreKnownByTheirOwnNamesAndModes(t *testing.T) {
	for name, c := range map[string]struct {
		info, version, mode, role string
		major, minor              int64
		blesses                   bool
	}{
		"Redis 6.2":   {"redis_version:6.2.16\nredis_mode:standalone\nrole:master", "6.2.16", "standalone", "master", 6, 2, false},
		"Redis 7.0":   {"redis_version:7.0.15\nredis_mode:cluster\nexecutable:/usr/bin/redis-server\nrole:slave", "7.0.15", "cluster", "slave", 7, 0, false},
		"Redis 8.6":   {"redis_version:8.6.3\nredis_mode:standalone", "8.6.3", "standalone", "", 8, 6, false},
		"Redis 8.12":  {"redis_version:8.12.0\nredis_mode:standalone", "8.12.0", "standalone", "", 8, 12, true},
		"Valkey 8.0":  {"redis_version:7.2.4\nserver_name:valkey\nvalkey_version:8.0.1\nredis_mode:cluster\nserver_mode:cluster\nvalkey_release_stage:ga", "valkey 8.0.1", "cluster", "", 7, 2, false},
		"Valkey 9.1":  {"redis_version:7.2.4\nserver_name:valkey\nvalkey_version:9.1.2\nvalkey_release_stage:ga\nserver_mode:cluster", "valkey 9.1.2", "cluster", "", 7, 2, false},
		"Redict":      {"redis_version:7.2.4\nredict_version:7.3.2\nredict_mode:sentinel", "redict 7.3.2", "sentinel", "", 7, 2, false},
		"KeyDB":       {"redis_version:6.3.4\nredis_git_sha1:7e7e5e57\nredis_mode:standalone\nexecutable:/data/keydb-server\nrole:master", "keydb 6.3.4", "standalone", "master", 6, 3, false},
		"KeyDB, both": {"redis_version:6.3.4\nredis_mode:standalone\nexecutable:/data/keydb-server\nrole:active-replica", "keydb 6.3.4", "standalone", "active-replica", 6, 3, false},
		"another":     {"server_name:garnet\nredis_version:7.4.3\nredis_mode:standalone", "garnet 7.4.3", "standalone", "", 7, 4, false},
		"none":        {"", "", "", "", -1, -1, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := parseInfo("# Server\r\n" + strings.ReplaceAll(c.info, "\n", "\r\n") + "\r\n")
			if s.Version != c.version || s.Mode != c.mode || s.Role != c.role || s.Major != c.major || s.Minor != c.minor || s.Blesses() != c.blesses {
				t.Errorf("got %+v", s)
			}
		})
	}
}

func TestINFOIsReadFieldByFieldAndWhatItDoesNotSayIsUnknown(t *testing.T) {
	text := "# Server\r\nredis_version:7.0.15\r\nredis_mode:standalone\r\nrun_id:0123abc\r\nuptime_in_seconds:90\r\nno colon\r\n\r\n# Clients\r\nconnected_clients:3\r\nmaxclients:100\r\n" +
		"used_memory:1000\r\nmaxmemory:2000\r\nmaxmemory_policy:allkeys-lru\r\nevicted_keys:4\r\nloading:1\r\naof_enabled:1\r\naof_last_write_status:err\r\nrole:slave\r\nconnected_slaves:2\r\n"
	want := Server{Version: "7.0.15", Major: 7, Minor: 0, RunID: "0123abc", Mode: "standalone", Role: "slave", Uptime: 90 * time.Second, Replicas: 2, Loading: 1,
		Used: 1000, Max: 2000, Policy: "allkeys-lru", Evicted: 4, AOF: 1, AOFWrites: "err", Clients: 3, MaxClient: 100}
	if got := parseInfo(text); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	unknown := Server{Major: -1, Minor: -1, Uptime: -time.Second, Replicas: -1, Loading: -1, Used: -1, Max: -1, Evicted: -1, AOF: -1, Clients: -1, MaxClient: -1}
	for _, text := range []string{"", "maxmemory:much\r\nmaster0:name=a,address=b\r\n", "run_id:" + strings.Repeat("a", 201) + "\r\n", "run_id:\x1b[2J\r\n"} {
		if got := parseInfo(text); !reflect.DeepEqual(got, unknown) {
			t.Errorf("of %.20q got  %+v\nwant %+v", text, got, unknown)
		}
	}
	if got := parseInfo("redis_version:7"); got.Major != 7 || got.Minor != -1 {
		t.Errorf("of a version of one number: %+v", got)
	}
}

func TestASentinelNamesItsMasters(t *testing.T) {
	s := parseInfo("redis_mode:sentinel\r\nsentinel_masters:2\r\nmaster0:name=mymaster,status=ok,address=10.0.0.1:6379,slaves=1,sentinels=3\r\n" +
		"master1:name=other,status=sdown,address=[::1]:6380,slaves=0,sentinels=1\r\n")
	if want := []string{"10.0.0.1:6379 (mymaster)", "[::1]:6380 (other)"}; !slices.Equal(s.Masters, want) {
		t.Errorf("got %q, want %q", s.Masters, want)
	}
	if s.noMaster() == "" {
		t.Error("it is taken for a master")
	}
}

func TestTheDatabaseOfAConnectionAndOfANodeIsRead(t *testing.T) {
	for text, want := range map[string]string{"id=3 addr=127.0.0.1:1 laddr=127.0.0.1:2 name= db=5 sub=0": "5", "db=0": "0", "name=db=7 db=1": "1", "id=3": "", "": ""} {
		if db, ok := field(text, "db="); ok != (want != "") || db != want {
			t.Errorf("%q: got %q, %v", text, db, ok)
		}
	}
	for name, want := range map[string]int64{"redis-1:6379/2": 2, "redis-1:6379": -1, "[::1]:6379/15": 15, "/tmp/redis.sock": -1, "/tmp/7": -1, "shard/3": -1, "r:1/x": -1} {
		if db := databaseIn(name); db != want {
			t.Errorf("%q: got %d", name, db)
		}
	}
}
