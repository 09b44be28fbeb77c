package main

import (
	"bytes"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"strings"
	"testing"

	"github.com/quorumlock/quorumlock/redlocktest"
)

func TestVerbosePrintsOneLineForRecordsThatSayTheSame(t *testing.T) {
	t.Parallel()
	var said bytes.Buffer
	j := newJournal(log.New(&said, "redlock run: ", 0))
	logger := slog.New(j)
	failed := func(try int, err string) {
		logger.Debug("redlock: attempt failed", "name", "x", "try", try, "err", errors.New(err))
	}
	for i := range 50 {
		a, b := []string{"r1", "r2", "r3"}[i%3], []string{"r1", "r2", "r3"}[(i+1)%3]
		failed(i, fmt.Sprintf("redlock: lock %q: no quorum: 0 of 3 nodes agreed, 2 needed; node %s: another %d ms; node %s: another %d ms", "x", a, 8000-i*160, b, 7999-i*160))
		if i == 7 {
			logger.Warn("redlock: node fails", "node", "10.0.0.1:6379", "err", errors.New("another 700 ms"))
			logger.Warn("redlock: node fails", "node", "10.0.0.2:6379", "err", errors.New("another 700 ms"))
		}
	}
	failed(51, `redlock: lock "x": lock is taken by host-7 on 2 of 3 nodes`)
	failed(52, `redlock: lock "x": lock is taken by host-7 on 3 of 3 nodes`)
	failed(53, `redlock: lock "x": lock is taken by web on 3 of 3 nodes`)
	j.end()
	want := `redlock run: attempt failed (name=x, try=0): lock "x": no quorum: 0 of 3 nodes agreed, 2 needed; node r1: another 8000 ms; node r2: another 7999 ms
redlock run: node fails (node=10.0.0.1:6379): another 700 ms
redlock run: node fails (node=10.0.0.2:6379): another 700 ms
redlock run: attempt failed: 49 more like the last one
redlock run: attempt failed (name=x, try=51): lock "x": lock is taken by host-7 on 2 of 3 nodes
redlock run: attempt failed: 1 more like the last one
redlock run: attempt failed (name=x, try=53): lock "x": lock is taken by web on 3 of 3 nodes
`
	if said.String() != want {
		t.Errorf("it says\n%s", said.String())
	}
}

func TestVerboseOfAWaitHasAFewLines(t *testing.T) {
	t.Parallel()
	cluster := redlocktest.New(t, 3)
	for _, n := range cluster.Nodes() {
		n.Hold(lockName, "another holder", 0)
	}
	p := start(t, with(lockArgs(cluster, "true"), "-v", "--wait", "2s")...)
	p.expectCode(exitNotAcquired)
	said := p.stderr.String()
	if lines := strings.Count(said, "\n"); lines > 5 || !strings.Contains(said, "more like the last one") {
		t.Errorf("it says\n%s", said)
	}
	if strings.Count(said, "redlock run: ") != strings.Count(said, "\n") {
		t.Errorf("not every line names its program:\n%s", said)
	}
}
