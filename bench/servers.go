package main

import (
	"fmt"

	"github.com/quorumlock/quorumlock/internal/redisproc"
)

// servers are real redis-server processes on this machine, without
// persistence.
type servers []*redisproc.Server

func startServers(n int) (servers, error) {
	var s servers
	for range n {
		server, err := redisproc.Launch(redisproc.Options{})
		if err != nil {
			s.stop()
			return nil, err
		}
		s = append(s, server)
	}
	return s, nil
}

func (s servers) stop() {
	for _, server := range s {
		server.Stop()
	}
}

func (s servers) addrs() []string {
	addrs := make([]string, len(s))
	for i, server := range s {
		addrs[i] = server.Addr()
	}
	return addrs
}

// flush empties the servers: what a contender left behind must not weigh on the
// next.
func (s servers) flush() error {
	for _, server := range s {
		if _, err := server.Do("FLUSHALL"); err != nil {
			return fmt.Errorf("flush %s: %w", server.Addr(), err)
		}
	}
	return nil
}
