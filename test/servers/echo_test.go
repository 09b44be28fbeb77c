package servers_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorumlock/quorumlock/internal/redisproc"
	"github.com/quorumlock/quorumlock/pool"
	"github.com/quorumlock/quorumlock/redlock"
)

// A logbook is what was logged.
type logbook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *logbook) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// A server repeats the arguments of a command that it does not know. Those of AUTH are
// the password, and those of EVALSHA the value that releases a lock.
func TestWhatAServerRepeatsOfArgumentsIsNeitherReturnedNorLoggedNorReported(t *testing.T) {
	withEach(t, func(t *testing.T, lib library) {
		t.Parallel()
		const user, password = "app5ecret", "s3cR3t"
		all := startServers(t, 3, redisproc.Options{Args: []string{"--rename-command", "AUTH", "", "--rename-command", "HELLO", ""}})
		var said logbook
		locker := lockerAs(t, lib, all.addrs(), user, password, redlock.WithLogger(said.logger()))
		err := atOnce(t, locker, "job")
		wantError(t, err, redlock.ErrNoQuorum)
		wantText(t, err, "unknown command", "or renamed it")
		var reply pool.Error
		if !errors.As(err, &reply) {
			t.Error("there is no pool.Error in it")
		}
		found, err2 := locker.Check(context.Background())
		if err2 != nil {
			t.Error(err2)
		}
		wantText(t, errors.New(fmt.Sprint(found)), "or renamed it")
		for what, text := range map[string]string{"error": err.Error(), "reply": string(reply), "log": said.String(), "findings": fmt.Sprint(found)} {
			if strings.Contains(text, password) || strings.Contains(text, user) {
				t.Errorf("the %s shows user or password: %s", what, text)
			}
		}
	})
}

func TestARenamedEVALSHADoesNotShowTheValueOfALockThatIsHeld(t *testing.T) {
	withEach(t, func(t *testing.T, lib library) {
		t.Parallel()
		all := startServers(t, 3, redisproc.Options{Args: []string{"--rename-command", "EVALSHA", ""}})
		var said logbook
		locker := lib.Locker(t, all.addrs(), redlock.WithLogger(said.logger()), redlock.WithTTL(time.Second), redlock.WithNodeTimeout(400*time.Millisecond))
		for range 3 { // a script is loaded by its text first, and then called by its hash
			lock, err := locker.TryLock(context.Background(), "job")
			if err != nil {
				break
			}
			var value string
			for _, s := range all { // one of them may be late, and a busy machine later than the TTL
				reply, err := s.Do("GET", "job")
				if err != nil {
					t.Fatal(err)
				}
				if text, ok := reply.(string); ok {
					value = text
				}
			}
			_, nonce, _ := strings.Cut(value, ":")
			if nonce == "" {
				t.Log("the lock expired before the test looked")
				break
			}
			if err = lock.Unlock(context.Background()); err != nil {
				wantText(t, err, "unknown command", "EVALSHA", "or renamed it")
			}
			if said := fmt.Sprint(err, said.String()); strings.Contains(said, nonce[:8]) {
				t.Errorf("the value %v is shown: %s", value, said)
			}
		}
	})
}
