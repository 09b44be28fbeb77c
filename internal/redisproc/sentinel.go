package redisproc

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// SentinelMaster is the name by which the Sentinel of [StartSentinel] knows its master.
const SentinelMaster = "mymaster"

// StartReplica starts a replica of s that ends with the test, and returns when it has
// all data of s.
func (s *Server) StartReplica(tb TB, opts Options) *Server {
	tb.Helper()
	// Or it waits five seconds for others.
	if _, err := s.Do("CONFIG", "SET", "repl-diskless-sync-delay", "0"); err != nil {
		tb.Fatalf("redisproc: %v", err)
	}
	// Each of them may become the master.
	args := []string{"--replicaof", "127.0.0.1 " + strconv.Itoa(s.Port), "--repl-diskless-sync-delay", "0"}
	opts.Args = append(args, opts.Args...)
	replica := Start(tb, opts)
	if err := await(tb, "the replica is in step", func() (bool, error) {
		info, err := replica.Do("INFO", "replication")
		text, _ := info.(string)
		return strings.Contains(text, "master_link_status:up"), err
	}); err != nil {
		tb.Fatalf("%v", err)
	}
	return replica
}

// StartSentinel starts a Sentinel that watches s, alone, and ends with the test. It
// returns when the Sentinel knows that number of replicas, which run already.
func (s *Server) StartSentinel(tb TB, replicas int, opts Options) *Server {
	tb.Helper()
	// A Sentinel writes to its configuration, so it needs a file, and insists on it
	// being the first argument.
	file := filepath.Join(tb.TempDir(), "sentinel.conf")
	lines := fmt.Sprintf("sentinel monitor %s 127.0.0.1 %d 1\nsentinel down-after-milliseconds %[1]s 2000\n", SentinelMaster, s.Port)
	if err := os.WriteFile(file, []byte(lines), 0o600); err != nil {
		tb.Fatalf("redisproc: %v", err)
	}
	opts.config = file
	sentinel := Start(tb, opts)
	if err := await(tb, "the Sentinel knows the replicas", func() (bool, error) {
		reply, err := sentinel.Do("SENTINEL", "REPLICAS", SentinelMaster)
		known, _ := reply.([]any)
		return len(known) == replicas, err
	}); err != nil {
		tb.Fatalf("%v", err)
	}
	return sentinel
}

// FailOver makes the Sentinel s promote a replica, as soon as there is one: after a failover the old
// master accepts writes for some ten seconds before it becomes a replica. It
// returns the address of the new master when the Sentinel gives it to clients.
func (s *Server) FailOver(tb TB) (addr string) {
	tb.Helper()
	master := func() (string, error) {
		reply, err := s.Do("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SentinelMaster)
		parts, ok := reply.([]any)
		if err != nil || !ok || len(parts) != 2 {
			return "", fmt.Errorf("%v, %w", reply, err)
		}
		return net.JoinHostPort(parts[0].(string), parts[1].(string)), nil
	}
	old, err := master()
	if err != nil {
		tb.Fatalf("redisproc: %v", err)
	}
	if err := await(tb, "the replicas follow the master", func() (bool, error) {
		reply, err := s.Do("SENTINEL", "REPLICAS", SentinelMaster)
		replicas, _ := reply.([]any)
		for _, r := range replicas {
			// Alternating names and values.
			text := fmt.Sprint(r)
			if !strings.Contains(text, " role-reported slave ") || !strings.Contains(text, " master-link-status ok ") {
				return false, err
			}
		}
		return len(replicas) > 0, err
	}); err != nil {
		tb.Fatalf("%v", err)
	}
	if err := await(tb, "the Sentinel begins a fail-over", func() (bool, error) {
		_, err := s.Do("SENTINEL", "FAILOVER", SentinelMaster)
		return err == nil, err
	}); err != nil {
		tb.Fatalf("%v", err)
	}
	if err := await(tb, "the Sentinel announces another master", func() (bool, error) {
		addr, err = master()
		return err == nil && addr != old, err
	}); err != nil {
		tb.Fatalf("%v", err)
	}
	return addr
}

// await asks until the answer is yes: servers do not notify.
func await(tb TB, what string, ask func() (bool, error)) error {
	tb.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		switch yes, err := ask(); {
		case yes:
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("redisproc: not in time: %s: %w", what, errors.Join(errNo, err))
		}
	}
}

var errNo = errors.New("still no")
