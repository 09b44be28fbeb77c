package servers_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/internal/redisproc"
	"github.com/quorumlock/quorumlock/redlock"
)

// wrongClock makes what gives a server the clock of testdata/clock.c.
func wrongClock(t *testing.T) (preload string) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("LD_PRELOAD is for Linux")
	}
	preload = filepath.Join(t.TempDir(), "clock.so")
	said, err := exec.Command("cc", "-shared", "-fPIC", "-O1", "-o", preload, filepath.Join("testdata", "clock.c")).CombinedOutput()
	switch {
	case err != nil && os.Getenv("CI") == "" && len(said) == 0:
		t.Skipf("no C compiler: %v", err)
	case err != nil:
		t.Fatalf("%v\n%s", err, said)
	}
	return preload
}

func TestCheckSeesAClockThatIsWrong(t *testing.T) {
	t.Parallel()
	clock := "LD_PRELOAD=" + wrongClock(t)
	withTwo(t, func(t *testing.T, lib library) {
		t.Parallel()
		jump := filepath.Join(t.TempDir(), "jump")
		start := func(env ...string) *redisproc.Server {
			return redisproc.Start(t, redisproc.Options{Args: durable.Args, Env: append(env, clock)})
		}
		all := servers{start(), start("CLOCK_RATE=1.05"), start("CLOCK_AHEAD=7200"), start("CLOCK_RATE=0.9"), start("CLOCK_JUMP=" + jump)}
		locker := lib.Locker(t, all.addrs(), redlock.WithTTL(time.Second), redlock.WithNodeTimeout(500*time.Millisecond))
		clocks := func() map[string]redlock.Finding {
			t.Helper()
			found, err := locker.Check(within20(t))
			if err != nil {
				t.Fatal(err)
			}
			of := make(map[string]redlock.Finding)
			for _, f := range found {
				// The worst comes first. That one runs slow and is behind by now is no news.
				if _, known := of[f.Node]; f.Check == "clock" && !known {
					of[f.Node] = f
				}
			}
			return of
		}
		want := func(f redlock.Finding, severity redlock.Severity, texts ...string) {
			t.Helper()
			wantFound(t, []redlock.Finding{f}, severity, "clock", f.Node, texts...)
		}
		found := clocks()
		want(found[all[1].Addr()], redlock.SeverityError, "runs fast: 1.0", "endangers exclusion", "WithDriftFactor")
		want(found[all[2].Addr()], redlock.SeverityNote, "2h0m0s ahead", "endangers nothing directly")
		want(found[all[3].Addr()], redlock.SeverityWarning, "runs slow: 0.", "endangers speed")
		if len(found) != 3 {
			t.Errorf("found %v", found)
		}

		// It is what servers count the life of keys by.
		all[4:].must(t, "SET", "key", "value", "PX", "3000000")
		// It jumps while the next check reads it.
		before := all[4:].commands(t, "time")[0]
		jumped := make(chan struct{})
		go func() {
			defer close(jumped)
			for all[4:].commands(t, "time")[0] == before {
				time.Sleep(time.Millisecond)
			}
			_ = os.WriteFile(jump, nil, 0o600)
		}()
		defer func() { <-jumped }()
		want(clocks()[all[4].Addr()], redlock.SeverityError, "jumped ahead by 1h0m0s", "endangers exclusion", "NTP")
		if all[4:].carry("key") != 0 {
			t.Error("the key outlived the jump")
		}
	})
}
