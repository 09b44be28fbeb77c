package servers_test

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/internal/redisproc"
	"github.com/quorumlock/quorumlock/redlock"
)

// modes are the ways to lock, each with scripts of its own.
var modes = map[string][]redlock.Option{
	"plain":   nil,
	"fencing": {redlock.WithFencing()},
	"fair":    {redlock.WithFair()},
	"guard":   {redlock.WithRestartGuard(3 * time.Second), redlock.WithTTL(3 * time.Second)},
}

// inEveryMode runs a test with two Lockers on three servers, in every mode and through every library.
func inEveryMode(t *testing.T, test func(t *testing.T, all servers, lockers []*redlock.Locker)) {
	all := startServers(t, 3, redisproc.Options{})
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			withEach(t, func(t *testing.T, lib library) {
				opts := append([]redlock.Option{patient}, mode...)
				lockers := []*redlock.Locker{lib.Locker(t, all.addrs(), opts...), lib.Locker(t, all.addrs(), opts...)}
				eventually(t, "no quarantine keeps all out", func() bool {
					lock, err := lockers[0].TryLock(context.Background(), "first")
					if err == nil {
						mustUnlock(t, lock)
					}
					return err == nil
				})
				test(t, all, lockers)
			})
		})
	}
}

// patient is for machines that are busy with other tests.
var patient = redlock.WithNodeTimeout(2 * time.Second)

// everyScript has two Lockers do all that there is: take, wait, extend, look and release.
func everyScript(t *testing.T, lib library, all servers, addrs []string, opts ...redlock.Option) {
	t.Helper()
	opts = append(opts[:len(opts):len(opts)], patient)
	one, other := lib.Locker(t, addrs, opts...), lib.Locker(t, addrs, opts...)
	ctx := within20(t)
	lock := mustLock(t, one, "job")
	next := other.LockAsync(ctx, "job")
	eventually(t, "the next one listens", func() bool { return all.subscribed(t, "job") == len(all) })
	if err := lock.Extend(ctx); err != nil {
		t.Error(err)
	}
	if _, err := one.Inspect(ctx, "job"); err != nil {
		t.Error(err)
	}
	mustUnlock(t, lock)
	lock, err := next.Wait(ctx)
	if err != nil {
		t.Fatal(err)
	}
	mustUnlock(t, lock)
	eventually(t, "the lock is gone everywhere", func() bool { return all.carry("job") == 0 })
}

// checkKeys makes every access of a script to a key that is not in its KEYS an error, as
// some servers do.
const checkKeys = `local real = redis
local function check(cmd, key)
  local c = string.upper(cmd)
  if c == 'TIME' or c == 'INFO' or c == 'PUBLISH' then return end
  for _, k in ipairs(KEYS) do if k == key then return end end
  return 'ERR script tried accessing undeclared key'
end
local redis = setmetatable({
  call = function(cmd, key, ...) local e = check(cmd, key); if e then error({err = e}) end; if key == nil then return real.call(cmd) end; return real.call(cmd, key, ...) end,
  pcall = function(cmd, key, ...) local e = check(cmd, key); if e then return {err = e} end; if key == nil then return real.pcall(cmd) end; return real.pcall(cmd, key, ...) end,
}, {__index = real})
`

func refuseUndeclared(t *testing.T) func() func(args []string) (string, []string) {
	return func() func(args []string) (string, []string) {
		var mu sync.Mutex
		texts := make(map[string]string)
		return func(args []string) (string, []string) {
			mu.Lock()
			defer mu.Unlock()
			var text string
			switch strings.ToUpper(args[0]) {
			default:
				return "", nil
			case "EVAL":
				sum := sha1.Sum([]byte(args[1]))
				text = args[1]
				texts[hex.EncodeToString(sum[:])] = text
			case "EVALSHA":
				if text = texts[args[1]]; text == "" {
					return "-NOSCRIPT No matching script. Please use EVAL.\r\n", nil
				}
			}
			if text == compareAndDelete {
				t.Error("a release fell back on the short script")
			}
			return "", append([]string{"EVAL", checkKeys + text}, args[2:]...)
		}
	}
}

// compareAndDelete is the script that most locks are released by.
const compareAndDelete = "if redis.call(\"get\",KEYS[1]) == ARGV[1] then\n    return redis.call(\"del\",KEYS[1])\nelse\n    return 0\nend\n"

func TestServersThatRefuseUndeclaredKeysTakeEveryScript(t *testing.T) {
	t.Parallel()
	for mode, opts := range modes {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			all := startServers(t, 3, redisproc.Options{})
			everyScript(t, viaGoRedis, all, all.filtered(t, refuseUndeclared(t)), opts...)
		})
	}
}

// Some proxies read the text: a key that is not KEYS and a number is none to them.
func TestProxiesThatReadScriptsTakeEveryScript(t *testing.T) {
	t.Parallel()
	call := regexp.MustCompile(`redis\.p?call\(\s*([^,)]+)\s*,\s*([^,)]+)`)
	key := regexp.MustCompile(`^KEYS\[\d+\]$`)
	const refusal = "-ERR bad lua script for redis cluster, all the keys that the script uses should be passed using the KEYS array, and KEYS should not be in expression\r\n"
	reads := func() func(args []string) (string, []string) {
		return func(args []string) (string, []string) {
			if !strings.EqualFold(args[0], "EVAL") {
				return "", nil
			}
			for _, m := range call.FindAllStringSubmatch(args[1], -1) {
				if m[1] != "'PUBLISH'" && m[1] != "'INFO'" && !key.MatchString(m[2]) {
					t.Errorf("refused: %s", m[0])
					return refusal, nil
				}
			}
			if strings.Contains(args[1], "unpack(") {
				t.Error("refused: unpack")
				return refusal, nil
			}
			return "", nil
		}
	}
	for mode, opts := range modes {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			all := startServers(t, 3, redisproc.Options{})
			everyScript(t, viaRedigo, all, all.filtered(t, reads), opts...)
		})
	}
}

// refuse answers commands with an error.
func refuse(text string, refused func(args []string) bool) func() func(args []string) (string, []string) {
	return func() func(args []string) (string, []string) {
		return func(args []string) (string, []string) {
			if refused(args) {
				return "-" + text + "\r\n", nil
			}
			return "", nil
		}
	}
}

func isEval(args []string) bool {
	name := strings.ToUpper(args[0])
	return name == "EVAL" || name == "EVALSHA"
}

var vendors = []string{
	"ERR command eval not support for your account",
	"ERR unsupported command 'evalsha'",
	"ERR Command is not available: 'EVAL'. See the documentation",
	"ERR command not allowed",
	"ERR This instance does not support Lua scripting",
	"NOPERM User default has no permissions to run the 'eval' command",
}

// A lock that cannot be released would stay for its TTL, each time.
func TestWhereScriptsAreRefusedNothingIsLockedAndTheErrorSaysWhatToDo(t *testing.T) {
	withTwo(t, func(t *testing.T, lib library) {
		t.Parallel()
		all := startServers(t, 3, redisproc.Options{})
		if isOld(t, all[0]) {
			t.Skip("to take a lock needs scripts, too")
		}
		for _, text := range vendors {
			locker := lib.Locker(t, all.filtered(t, refuse(text, isEval)), patient)
			err := atOnce(t, locker, "job")
			wantError(t, err, redlock.ErrNoQuorum)
			wantText(t, err, text, "EVAL and EVALSHA")
			if all.carry("job") > 0 {
				t.Errorf("%s: it is locked", text)
			}
		}
	})
}

func TestWhereOnlyLongScriptsAreRefusedLocksAreWaitedForAndReleasedBySimpleOnes(t *testing.T) {
	withTwo(t, func(t *testing.T, lib library) {
		t.Parallel()
		all := startServers(t, 3, redisproc.Options{})
		for _, text := range vendors {
			long := func(args []string) bool { return isEval(args) && args[2] != "1" }
			addrs := all.filtered(t, refuse(text, long))
			one, other := lib.Locker(t, addrs, patient), lib.Locker(t, addrs, patient)
			lock := mustLock(t, one, "job")
			next := other.LockAsync(within20(t), "job")
			time.Sleep(20 * time.Millisecond) // it need not have begun to wait
			mustUnlock(t, lock)
			lock, err := next.Wait(within20(t))
			if err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			mustUnlock(t, lock)
			eventually(t, "the lock is gone everywhere", func() bool { return all.carry("job") == 0 })

			for option, opts := range modes {
				if opts == nil {
					continue
				}
				err := atOnce(t, lib.Locker(t, addrs, append(opts[:len(opts):len(opts)], patient)...), option)
				wantError(t, err, redlock.ErrNoQuorum)
				if !strings.HasPrefix(text, "NOPERM") {
					wantText(t, err, map[string]string{"fair": "WithFair", "fencing": "WithFencing", "guard": "WithRestartGuard"}[option])
				}
			}
		}
	})
}

func TestWhereOnlyTheHashIsRefusedWaitersGetTheLock(t *testing.T) {
	withTwo(t, func(t *testing.T, lib library) {
		t.Parallel()
		all := startServers(t, 3, redisproc.Options{})
		hash := func(args []string) bool { return strings.EqualFold(args[0], "EVALSHA") }
		everyScript(t, lib, all, all.filtered(t, refuse("ERR unsupported command 'evalsha'", hash)))
		all.must(t, "SET", "free", "other", "PX", "300")
		locker := lib.Locker(t, all.filtered(t, refuse("ERR unsupported command 'evalsha'", hash)), patient)
		mustUnlock(t, mustLock(t, locker, "free"))
	})
}

// A user with rights for the lock's keys only is not notified of releases, and gets the lock.
func TestAUserWithoutTheSideKeysWaitsAndReleasesByItself(t *testing.T) {
	withTwo(t, func(t *testing.T, lib library) {
		t.Parallel()
		all := startServers(t, 3, redisproc.Options{})
		all.must(t, "ACL", "SETUSER", "worker", "on", ">pw", "~lock:*", "+set", "+get", "+getrange", "+del", "+pexpire", "+pttl", "+eval", "+evalsha")
		one := lockerAs(t, lib, all.addrs(), "worker", "pw", redlock.WithPrefix("lock:"), patient)
		other := lockerAs(t, lib, all.addrs(), "worker", "pw", redlock.WithPrefix("lock:"), patient)
		lock := mustLock(t, one, "job")
		next := other.LockAsync(within20(t), "job")
		time.Sleep(20 * time.Millisecond) // it need not have begun to wait
		mustUnlock(t, lock)
		lock, err := next.Wait(within20(t))
		if err != nil {
			t.Fatal(err)
		}
		mustUnlock(t, lock)
	})
}

// A large text is data: it is not locked, and others are not held up by reading it.
func TestALargeTextUnderTheLocksNameIsReportedAndNotMoved(t *testing.T) {
	withTwo(t, func(t *testing.T, lib library) {
		t.Parallel()
		all := startServers(t, 3, redisproc.Options{})
		locker := lib.Locker(t, all.addrs(), patient)
		all.must(t, "SETRANGE", "catalog", "1048575", "x")
		sent := func() (n int64) {
			for _, s := range all {
				info, err := s.Do("INFO", "stats")
				if err != nil {
					t.Fatal(err)
				}
				_, after, _ := strings.Cut(fmt.Sprint(info), "total_net_output_bytes:")
				var bytes int64
				_, _ = fmt.Sscan(after, &bytes)
				n += bytes
			}
			return n
		}
		refused := func() {
			t.Helper()
			_, err := locker.Lock(within20(t), "catalog")
			wantError(t, err, redlock.ErrNoQuorum)
			wantText(t, err, "WRONGTYPE", "choose another name or a prefix")
			if _, err = locker.TryLock(context.Background(), "catalog"); err == nil {
				t.Error("granted")
			}
		}
		eventually(t, "all know of it", func() bool { // a slow client may not have read the first reply in time
			before := sent()
			refused()
			return sent()-before < 1<<19
		})
		before := sent()
		for range 20 {
			refused()
		}
		if moved := sent() - before; moved > 1<<19 {
			t.Errorf("%d bytes were moved", moved)
		}
		if _, err := locker.Inspect(within20(t), "catalog"); err == nil {
			t.Error("Inspect shows a holder")
		}
		mustUnlock(t, mustLock(t, locker, "job"))
	})
}
