package servers_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/internal/redisproc"
	"github.com/quorumlock/quorumlock/redlock"
	"github.com/quorumlock/quorumlock/test/internal/testbed"
)

func TestLockIsHandedOverExtendedAndReleasedByAnotherProcess(t *testing.T) {
	if addrs := os.Getenv(programAddrs); addrs != "" {
		takeOver(t, strings.Fields(addrs))
		return
	}
	all := startServers(t, 3, redisproc.Options{})
	withEach(t, func(t *testing.T, lib library) {
		here := lib.Locker(t, all.addrs())
		lock := mustLock(t, here, "job", redlock.WithKeepAlive(), redlock.WithFencing(), redlock.WithTTL(30*time.Second))
		handle, err := lock.Handle()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(os.Args[0], "-test.run=^"+strings.Split(t.Name(), "/")[0]+"$")
		cmd.Env = append(os.Environ(), programAddrs+"="+strings.Join(all.addrs(), " "), programLibrary+"="+lib.Name,
			programHandle+"="+base64.StdEncoding.EncodeToString(handle), "GORACE=atexit_sleep_ms=0")
		said, err := cmd.CombinedOutput()
		if want := fmt.Sprintf("token %d, extended, a second time: lock is not held, unlocked\n", lock.Token()); err != nil || !strings.HasPrefix(string(said), want) {
			t.Errorf("the other process: %v: %s\nwant %s", err, said, want)
		}
		wantError(t, lock.Unlock(context.Background()), redlock.ErrNotHeld, redlock.ErrHandedOver)
		for _, key := range all.keys(t) {
			if key == "job" {
				t.Error("it was not released")
			}
		}
	})
}

const programHandle = "QUORUMLOCK_TEST_PROGRAM_HANDLE"

// takeOver is what the other process does.
func takeOver(t *testing.T, addrs []string) {
	for _, lib := range testbed.Libraries {
		if lib.Name != os.Getenv(programLibrary) {
			continue
		}
		handle, err := base64.StdEncoding.DecodeString(os.Getenv(programHandle))
		if err != nil {
			t.Fatal(err)
		}
		locker := lib.NewLocker(t, addrs, nil, unhurried(nil)...)
		lock, err := locker.Attach(t.Context(), handle)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("token %d", lock.Token())
		if err := lock.Extend(t.Context()); err != nil {
			t.Fatal(err)
		}
		fmt.Print(", extended")
		_, err = locker.Attach(t.Context(), handle)
		wantError(t, err, redlock.ErrNotHeld)
		fmt.Printf(", a second time: %v", redlock.ErrNotHeld)
		mustUnlock(t, lock)
		settle(t, locker)
		fmt.Println(", unlocked")
		return
	}
	t.Fatalf("no library %q", os.Getenv(programLibrary))
}

// The second caller finds another value on the nodes, and the first answer says so. A caller that
// was first goes on.
func TestOneOfTwoAttachesOnRealServersSucceeds(t *testing.T) {
	t.Parallel()
	all := startServers(t, 3, redisproc.Options{})
	withEach(t, func(t *testing.T, lib library) {
		lockers := []*redlock.Locker{lib.Locker(t, all.addrs()), lib.Locker(t, all.addrs())}
		for round := range 5 {
			lock := mustLock(t, lockers[0], lib.Name)
			handle, err := lock.Handle()
			if err != nil {
				t.Fatal(err)
			}
			type result struct {
				lock *redlock.Lock
				err  error
			}
			results := make(chan result, 2)
			for _, l := range lockers {
				go func() { // ends when it has or has not
					lock, err := l.Attach(t.Context(), handle)
					results <- result{lock, err}
				}()
			}
			held := 0
			for range lockers {
				switch r := <-results; {
				case r.err == nil:
					held++
					if err := r.lock.Extend(t.Context()); err != nil {
						t.Error(err)
					}
					mustUnlock(t, r.lock)
				default:
					wantError(t, r.err, redlock.ErrNotHeld)
				}
			}
			if held > 1 {
				t.Errorf("round %d: %d go on", round, held)
			}
		}
	})
}
