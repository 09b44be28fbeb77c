package diagnosis

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/internal/node"
	"github.com/quorumlock/quorumlock/pool"
)

// A value at a bound, or one that is missing, counts neither as worse nor as better.
func TestFactsAtABoundAndFactsThatAreMissing(t *testing.T) {
	refused := pool.Error("ERR unknown command")
	for name, c := range map[string]struct {
		wrong    func(f *node.Facts)
		set      func(*Settings)
		want     string // severity and check, "" for nothing
		says     string
		saysNot  string
		saysNot2 string
	}{
		"a Sentinel without masters":           {wrong: func(f *node.Facts) { f.Server.Mode = "sentinel" }, want: "2 role", says: "give the address of a master", saysNot: "watches"},
		"a value that went to the node before": {wrong: func(f *node.Facts) { f.SelfTest.Value = "v7" }, want: "2 distinct", says: "same server as n0"},
		"nothing was evicted": {wrong: func(f *node.Facts) { f.Server.Policy, f.Server.Max = "allkeys-lru", 1<<30 },
			want: "2 eviction", saysNot: "were evicted", saysNot2: "BLESS"},
		"just started, and durable": {wrong: func(f *node.Facts) { f.Server.Uptime = 0 }},
		"just started, and guarded": {wrong: func(f *node.Facts) { f.Server.Uptime, f.Server.AOF, f.Config.Save = 0, 0, "" }, set: guards, want: "0 persistence", says: "nothing is persisted"},
		"started a TTL ago":         {wrong: func(f *node.Facts) { f.Server.Uptime, f.Config.Fsync = 9*time.Second, "" }},
		"started within a TTL":      {wrong: func(f *node.Facts) { f.Server.Uptime, f.Config.Fsync = 9*time.Second-1, "" }, want: "1 uptime"},
		"started this second":       {wrong: func(f *node.Facts) { f.Server.Uptime, f.Config.Fsync = 0, "" }, want: "1 uptime", says: "started 0s ago"},
		"no append-only file, and nothing else known": {wrong: func(f *node.Facts) { f.Server.AOF, f.Config, f.ConfigErr = 0, node.Config{}, refused },
			want: "1 persistence, 0 unknown", says: "no append-only file", saysNot: "nothing is persisted"},
		"replicas without sentinels":                         {wrong: func(f *node.Facts) { f.Server.Replicas = 1 }, want: "1 replication", saysNot: "sentinels watch", saysNot2: "min-replicas"},
		"replicas, and it is not known how many must follow": {wrong: func(f *node.Facts) { f.Server.Replicas, f.Config.MinReplicas = 1, "" }, want: "1 replication", saysNot: "min-replicas"},
		"nine tenths of the memory":                          {wrong: func(f *node.Facts) { f.Server.Used, f.Server.Max = 900, 1000 }, want: "1 memory", says: "900 bytes of maxmemory 1000 bytes"},
		"less than that":                                     {wrong: func(f *node.Facts) { f.Server.Used, f.Server.Max = 899, 1000 }},
		"the size of a large memory":                         {wrong: func(f *node.Facts) { f.Server.Used, f.Server.Max = 1<<10, 1<<10 }, want: "1 memory", says: "1.0 KiB"},
		"nine tenths of the clients":                         {wrong: func(f *node.Facts) { f.Server.Clients, f.Server.MaxClient = 9, 10 }, want: "1 clients", says: "9 of 10"},
		"an old replica":                                     {wrong: func(f *node.Facts) { old(f, 6); f.Server.Role = "slave" }, want: "2 role, 0 version", says: "older than Redis 7"},
		"a new replica":                                      {wrong: func(f *node.Facts) { old(f, 7); f.Server.Role = "slave" }, want: "2 role"},
		"a replica of unknown version":                       {wrong: func(f *node.Facts) { old(f, -1); f.Server.Role = "slave" }, want: "2 role"},
		"an old master that takes it":                        {wrong: func(f *node.Facts) { f.Server.Major = 6 }},
		"no sentinels known":                                 {wrong: func(f *node.Facts) { f.SentinelsErr = refused }, want: "0 unknown", says: "PUBSUB NUMSUB: ERR unknown command"},
		"no time known":                                      {wrong: func(f *node.Facts) { f.ClockErr, f.Samples = refused, noClock(time.Millisecond) }, want: "0 unknown", says: "TIME: ERR unknown command"},
		"a marker that may not be read":                      {wrong: func(f *node.Facts) { f.MarkerErr = refused }, want: "0 unknown", says: "app %R~redlock:* +get +pttl"},
		"the same before Redis 7":                            {wrong: func(f *node.Facts) { f.MarkerErr, f.Server.Major = refused, 6 }, want: "0 unknown", says: "app ~redlock:* +get +pttl"},
		"the same of an unknown version":                     {wrong: func(f *node.Facts) { f.MarkerErr, f.Server.Major = refused, -1 }, want: "0 unknown", says: "app %R~redlock:* +get +pttl"},
		"rights that could not be tried":                     {wrong: func(f *node.Facts) { f.Rights.Untried = []string{"ZADD", "HSET"} }, want: "0 unknown", says: "whether WithFair may use ZADD, HSET", saysNot: "+info"},
		"a subscription that ended":                          {wrong: func(f *node.Facts) { f.WakeUp.Tried, f.WakeUp.Err = true, errors.New("gone") }, want: "1 pubsub", says: "let this client subscribe"},
	} {
		t.Run(name, func(t *testing.T) {
			all, s := healthy(3), settings
			all[0].SelfTest.Found = "v7" // as it was when it came to this node
			if c.set != nil {
				c.set(&s)
				all = guardedNodes(3)
			}
			c.wrong(&all[1])
			var got, text []string
			for _, f := range others(Judge(all, s)) {
				got, text = append(got, fmt.Sprint(int(f.Severity), " ", f.Check)), append(text, f.String())
			}
			said := strings.Join(text, "\n")
			if strings.Join(got, ", ") != c.want || !strings.Contains(said, c.says) {
				t.Fatalf("want %s with %q, got %v\n%s", c.want, c.says, got, said)
			}
			for _, not := range []string{c.saysNot, c.saysNot2} {
				if not != "" && strings.Contains(said, not) {
					t.Errorf("%q is in %s", not, said)
				}
			}
		})
	}
}

func guards(s *Settings) { s.Guard = ourGuard }

// old is a node where no lock was taken.
func old(f *node.Facts, major int64) {
	f.Server.Major, f.SelfTest = major, node.SelfTest{Skipped: "it is a replica"}
}

func TestTheSummarySaysWhatIsKnownAndHowALockWasTaken(t *testing.T) {
	const asUsual = "a test lock was taken by SET NX GET, extended and released by scripts, and found to be there and gone"
	for name, c := range map[string]struct {
		change  func(f *node.Facts, s *Settings)
		says    string
		saysNot string
	}{
		"as usual":       {func(*node.Facts, *Settings) {}, "version 7.0.15; role master; up 1h0m0s; " + asUsual + "; database 0; round trip 1ms, at most 1ms; clock rate", "waiter was notified"},
		"a waiter":       {func(f *node.Facts, _ *Settings) { f.WakeUp.Received = true }, asUsual + "; a waiter was notified; database 0", ""},
		"natively":       {func(f *node.Facts, _ *Settings) { f.SelfTest.Simple = "DELIFEQ" }, "by SET NX GET, extended and released by DELIFEQ", "by scripts"},
		"before Redis 7": {func(f *node.Facts, _ *Settings) { f.NativeRefused = true }, "by a script, extended", "SET NX GET, "},
		"with tokens":    {func(_ *node.Facts, s *Settings) { s.Fencing = true }, "by a script, extended", "SET NX GET, "},
		"guarded":        {func(_ *node.Facts, s *Settings) { s.Guard = ourGuard }, "by a script, extended", "SET NX GET, "},
		"not tried":      {func(f *node.Facts, _ *Settings) { f.SelfTest.Skipped = "it is a Sentinel" }, "no test lock, since it is a Sentinel", "found to be there"},
		"refused":        {func(f *node.Facts, _ *Settings) { f.SelfTest.Err = pool.Error("OOM") }, "up 1h0m0s; database 0", "self-test"},
		"wrong":          {func(f *node.Facts, _ *Settings) { f.SelfTest.Wrong = "it ignores NX" }, "up 1h0m0s; database 0", "self-test"},
		"cut":            {func(f *node.Facts, _ *Settings) { f.Cut = errors.New("gone") }, "up 1h0m0s; database 0", "self-test"},
		"it is unknown what it is": {func(f *node.Facts, _ *Settings) {
			f.Server, f.Connections, f.Samples = node.Server{Uptime: -1}, node.Connections{}, nil
		},
			asUsual, ";"},
		"just started":  {func(f *node.Facts, _ *Settings) { f.Server.Uptime = 0 }, "; up 0s; ", ""},
		"two databases": {func(f *node.Facts, _ *Settings) { f.Connections.Databases = []int64{0, 5} }, asUsual + "; round trip", "database"},
		"no clock":      {func(f *node.Facts, _ *Settings) { f.Samples = noClock(time.Millisecond) }, "round trip 1ms", "clock rate"},
	} {
		t.Run(name, func(t *testing.T) {
			all, s := healthy(1), settings
			c.change(&all[0], &s)
			found := Judge(all, s)
			f := found[len(found)-1]
			if c.saysNot == "" {
				c.saysNot = "\n"
			}
			if f.Check != "summary" || !strings.Contains(f.Seen, c.says) || strings.Contains(f.Seen, c.saysNot) {
				t.Errorf("want %q and no %q, got %v", c.says, c.saysNot, f)
			}
		})
	}
}

func TestDurationsAreShownInTwoDigitsAtLeast(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 99*time.Microsecond + 499: "99µs", 100*time.Microsecond + 400: "100µs", 1234567: "1.2ms", 12345678: "12ms", 123456789: "120ms",
		1234567890: "1.2s", 98765 * time.Millisecond: "1m39s", 12345678 * time.Millisecond: "3h25m46s",
	} {
		if got := short(d).String(); got != want {
			t.Errorf("%v: got %s, want %s", d, got, want)
		}
	}
}

// What an option needs is an error where locks use it, and a note where they do not.
func TestAMissingRightIsAnErrorOnlyWithTheOptionThatNeedsIt(t *testing.T) {
	for name, c := range map[string]struct {
		need  node.Purpose
		uses  func(*Settings) // nil for what all locks use
		says  string
		worst Severity // without the option
	}{
		"WithFair":         {node.ToQueue, func(s *Settings) { s.Fair = true }, "WithFair", Note},
		"WithFencing":      {node.ToFence, func(s *Settings) { s.Fencing = true }, "WithFencing", Note},
		"WithRestartGuard": {node.ToGuard, guards, "WithRestartGuard", Note},
		"RLock":            {node.ToShare, nil, "locks for reading", Note},
		"wake-ups":         {node.ToWake, nil, "not notified of releases", Warning},
		"large texts":      {node.ToBound, nil, "large text", Note},
		"pings":            {node.ToPing, nil, "made again", Warning},
	} {
		for _, lacks := range []struct {
			check   string
			missing node.MissingRight
			remedy  string
		}{
			{"rights", node.MissingRight{Purpose: c.need, Command: "HSET", Name: "HSET", Said: "no permissions"}, "ACL SETUSER app"},
			{"commands", node.MissingRight{Purpose: c.need, Command: "HSET", Name: "HSET", Said: "not found", Unknown: true}, "take rename-command HSET out"},
		} {
			for _, uses := range []bool{false, true} {
				all, s, want := guardedNodes(1), settings, c.worst
				if all[0].Rights.Missing = []node.MissingRight{lacks.missing}; uses && c.uses != nil {
					c.uses(&s)
					want = Error
				}
				var of []Finding
				for _, f := range others(Judge(all, s)) {
					if f.Check == lacks.check {
						of = append(of, f)
					}
				}
				if len(of) != 1 || of[0].Severity != want || !strings.Contains(of[0].Endangers, c.says) || !strings.Contains(of[0].Remedy, lacks.remedy) {
					t.Errorf("%s, used: %v: want one %v about %s, got %v", name, uses, want, lacks.check, of)
				}
			}
		}
	}
}

func TestASelfTestThatFailedNamesItsOption(t *testing.T) {
	for option, says := range map[string]string{"": "a test lock failed to lock: OOM", "WithFair": "a test lock with WithFair failed to lock: OOM"} {
		all := healthy(1)
		all[0].SelfTest = node.SelfTest{Verb: node.AcquireInTurn, Option: option, Err: pool.Error("OOM")}
		if found := others(Judge(all, settings)); len(found) != 1 || found[0].Check != "self-test" || found[0].Seen != says {
			t.Errorf("want %q, got %v", says, found)
		}
	}
}

func TestAnEvenNumberOfNodesToleratesWhatOneLessDoes(t *testing.T) {
	for n, says := range map[int]string{1: "", 2: "2 nodes tolerate no more failures than 1 would", 3: "", 4: "4 nodes tolerate no more failures than 3 would"} {
		found := others(Judge(healthy(n), settings))
		if said := fmt.Sprint(found); len(found) > 1 || says == "" && len(found) > 0 || !strings.Contains(said, says) {
			t.Errorf("%d nodes: %v", n, found)
		}
	}
}
