package node

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/quorumlock/quorumlock/pool"
)

// A wording is what a server, a service or a proxy really says.
type wording struct {
	from, text string
	end        end
	remedy     string // a part of it, "" if there is none
}

var wordings = []wording{
	{"Redis", "READONLY You can't write against a read only replica.", passes, "a lock needs masters"},
	{"Redis 6.2", "ERR Error running script (call to f_0123): @user_script:7: @user_script: 7: -READONLY You can't write against a read only replica.", passes, "a lock needs masters"},
	{"a service", "ERR READONLY this endpoint is read only", passes, "a lock needs masters"},
	{"Redis", "OOM command not allowed when used memory > 'maxmemory'.", passes, "maxmemory"},
	{"Redis", "LOADING Redis is loading the dataset in memory", passes, "loading"},
	{"Redis", "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. Commands that may modify the data set are disabled", passes, "log"},
	{"Redis", "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", passes, "a lock needs masters"},
	{"Redis", "NOREPLICAS Not enough good replicas to write.", passes, "min-replicas-to-write"},
	{"Redis", "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.", passes, "SCRIPT KILL"},
	{"Valkey", "BUSY Valkey is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.", passes, "SCRIPT KILL"},
	{"Redict", "BUSY Redict is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.", passes, "SCRIPT KILL"},
	{"KeyDB", "BUSY KeyDB is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.", passes, "SCRIPT KILL"},
	{"Redis", "ERR max number of clients reached", passes, "maxclients"},
	{"ours", "GUARDQUARANTINE this server may have forgotten locks, and grants none for another 812 ms", passes, "by itself"},
	{"ours", "GUARDMISMATCH others lock here with (nodes, longest TTL, quarantine in ms) = (3 8000 8083), this client has (3 9000 9093)", untilFixed, "DEL redlock:node"},
	{"ours", string(errBehind), passes, "clock"},

	{"Redis", "MOVED 7186 127.0.0.1:7001", permanent, "this is a node of a cluster; a lock needs independent masters"},
	{"Redis", "ASK 7186 127.0.0.1:7001", permanent, "a node of a cluster"},
	{"Redis", "CROSSSLOT Keys in request don't hash to the same slot", permanent, "a node of a cluster"},
	{"Redis 6.2", "ERR Error running script (call to f_1): @user_script:3: Script attempted to access a non local key in a cluster node", permanent, "a node of a cluster"},
	{"Redis", "CLUSTERDOWN Hash slot not served", passes, "a node of a cluster"},
	{"Redis", "TRYAGAIN Multiple keys request during rehashing of slot", passes, "a node of a cluster"},
	{"Redis", "ERR SELECT is not allowed in cluster mode", untilFixed, "a node of a cluster"},

	{"Redis", "WRONGPASS invalid username-password pair or user is disabled.", untilFixed, "user name and password"},
	{"Redis", "NOAUTH Authentication required.", untilFixed, "a password"},
	{"Redis 5", "ERR invalid password", untilFixed, "check the password"},
	{"Redis", "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?", untilFixed, "has no password"},
	{"Redis 5", "ERR Client sent AUTH, but no password is set", untilFixed, "has no password"},
	{"Redis", "DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the default user.", untilFixed, "protected mode"},
	{"Redis", "ERR DB index is out of range", untilFixed, "database"},
	{"Redis 5", "ERR invalid DB index", untilFixed, "database"},
	{"Redis", "NOPERM this user has no permissions to run the 'evalsha' command", untilFixed, "EVAL and EVALSHA"},
	{"Redis 6.2, 7.0", "NOPERM this user has no permissions to access one of the keys used as arguments", untilFixed, "on the lock's keys"},
	{"Redis 7.2", "NOPERM No permissions to access a key", untilFixed, "on the lock's keys"},
	{"Redis 7", "ERR The user executing the script can't run this command or subcommand script: 93d6, on @user_script:3.", untilFixed, "SECURITY.md"},
	{"Valkey", "ERR ACL failure in script: No permissions to access a key script: on @user_script:1.", untilFixed, "SECURITY.md"},
	{"Redis", "WRONGTYPE Operation against a key holding the wrong kind of value", permanent, "another name"},

	{"Redis 7", "ERR unknown command 'EVALSHA', with args beginning with: '4e23' '1' 'job' ", untilFixed, "renamed"},
	{"Redis 7", "ERR Unknown Redis command called from script script: 5b6f, on @user_script:1.", untilFixed, "renamed"},
	{"Redis 6.2, KeyDB", "ERR Error running script (call to f_5b6f): @user_script:1: @user_script: 1: Unknown Redis command called from Lua script", untilFixed, "renamed"},
	{"Redict", "ERR Unknown Redict command called from script script: 5b6f, on @user_script:1.", untilFixed, "renamed"},
	{"Valkey", "ERR Unknown command called from script script: on @user_script:1.", untilFixed, "renamed"},
	{"Valkey 9.1", "ERR Could not find scripting engine 'lua'", untilFixed, "Lua"},
	{"Dragonfly", "ERR Error running script (call to f_1): @user_script:2: script tried accessing undeclared key", lasts, "keys"},
	{"Alibaba Cloud", "ERR bad lua script for redis cluster, all the keys that the script uses should be passed using the KEYS array, and KEYS should not be in expression", lasts, "keys"},
	{"Alibaba Cloud", "ERR command 'EVAL' not support for your account", lasts, "EVAL"},
	{"Upstash", "ERR Command is not available: 'EVAL'. See https://docs.example", lasts, "EVAL"},
	{"a service", "ERR unsupported command `EVALSHA`", untilFixed, "EVAL"},
	{"a service", "ERR command not allowed", lasts, "EVAL"},
	{"a service", "ERR words that no server has used before", lasts, ""},

	{"twemproxy", "ERR Connection timed out", passes, "proxy"},
	{"twemproxy", "ERR Connection refused", passes, "proxy"},
	{"Envoy", "ERR no upstream host", passes, "proxy"},
	{"Envoy", "ERR upstream failure", passes, "proxy"},
	{"Upstash", "ERR max requests limit exceeded. Limit: 10000, Usage: 10000", passes, "plan"},
}

func TestRefusalsInTheWordsOfEveryServerAreUnderstood(t *testing.T) {
	for _, w := range wordings {
		for _, front := range []string{"", "ERR backend said: ", "-"} {
			c := causeOf(fmt.Errorf("%w: %w", pool.ErrNotSent, redact(pool.Error(front+w.text))))
			if c.end != w.end {
				t.Errorf("%s: %q counts as %d, want %d", w.from, front+w.text, c.end, w.end)
			}
			if !strings.Contains(c.remedy, w.remedy) || (w.remedy == "") != (c.remedy == "") || c.silent {
				t.Errorf("%s: the remedy for %q is %q", w.from, front+w.text, c.remedy)
			}
		}
	}
}

func TestEveryKnownRefusalIsTriedWithWhatAServerSays(t *testing.T) {
	for _, r := range refusals {
		tried := false
		for _, w := range wordings {
			tried = tried || r.matches(w.text, strings.ToLower(w.text))
		}
		if !tried && r.end != passes {
			t.Errorf("no wording has %q", r.text)
		}
	}
}

// A name in a text is no code.
func TestACodeIsAWord(t *testing.T) {
	for _, text := range []string{"ERR no ROOM left", "ERR TASK 7 is gone", "ERR room for rent"} {
		if c := refusalOf(text); c.remedy != "" {
			t.Errorf("%q: %s", text, c.remedy)
		}
	}
}

func TestOnlyRepliesAreRefusals(t *testing.T) {
	if Remedy(errors.New("NOPERM")) != "" {
		t.Error("an error that is not the server's has a remedy")
	}
	if c := causeOf(errors.New("something else")); c.end != passes {
		t.Error("an unknown error ends a wait")
	}
}
