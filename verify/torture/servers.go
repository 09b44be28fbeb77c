package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	goredisv9 "github.com/redis/go-redis/v9"
)

// happenToServer does a fault to one server for a time and reverts it. felt is 1 if the
// server, asked past the links, behaved as it should under the fault.
func (s *stage) happenToServer(ctx context.Context, f *Fault, n *node, length time.Duration) (felt int, err error) {
	over := func() { s.await(ctx, f.Begin+length) }
	switch f.Kind {
	case freeze:
		err := n.server.Freeze()
		if err != nil {
			return 0, err
		}
		answered := s.ask(n)
		over()
		if err := n.server.Thaw(); err != nil {
			return 0, err
		}
		return lateBy(<-answered, length/2), nil

	case kill, lateEmpty, forget, tail:
		n.server.Kill()
		if conn, err := net.Dial("tcp", n.server.Addr()); err != nil {
			felt = 1
		} else {
			conn.Close()
		}
		if f.Kind == lateEmpty {
			time.Sleep(length) // after the kill, and whatever ends meanwhile: sooner would be forgetting
		} else {
			over()
		}
		if f.Kind == tail {
			return felt, n.restartShort()
		}
		return felt, n.restart(f.Kind == kill)

	case pause:
		if _, err := n.server.Do("CLIENT", "PAUSE", strconv.FormatInt(length.Milliseconds(), 10), f.How); err != nil {
			return 0, err
		}
		answered := s.ask(n)
		over()
		_, err := n.server.Do("CLIENT", "UNPAUSE")
		return lateBy(<-answered, length/2), err

	case sleep:
		done := make(chan error, 1)
		go func() { // ends with the nap
			_, err := n.server.Do("DEBUG", "SLEEP", fmt.Sprintf("%.3f", length.Seconds()))
			done <- err
		}()
		begun := s.clock.now()
		err := <-done
		return lateBy(s.clock.now()-begun, length), err

	case memory:
		if _, err := n.server.Do("CONFIG", "SET", "maxmemory", "1"); err != nil {
			return 0, err
		}
		felt = n.refuses("OOM ")
		over()
		_, err := n.server.Do("CONFIG", "SET", "maxmemory", "0")
		return felt, err

	case replica:
		// A master on port 1 is not there: the server keeps what it has, and may not write.
		if _, err := n.server.Do("REPLICAOF", "127.0.0.1", "1"); err != nil {
			return 0, err
		}
		felt = n.refuses("READONLY ")
		over()
		_, err := n.server.Do("REPLICAOF", "NO", "ONE")
		return felt, errors.Join(err, n.testify())

	case denied:
		if _, err := n.server.Do("ACL", "SETUSER", "default", "resetkeys"); err != nil {
			return 0, err
		}
		felt = n.refuses("NOPERM ")
		over()
		_, err := n.server.Do("ACL", "SETUSER", "default", "allkeys")
		return felt, errors.Join(err, n.testify())

	case full:
		return n.fill(over)

	case wipe:
		if _, err := n.server.Do("FLUSHALL"); err != nil {
			return 0, err
		}
		return 1, n.testify()

	case flush:
		if scripts, err := n.info("memory", "number_of_cached_scripts"); err != nil {
			return 0, err
		} else if scripts != "0" {
			felt = 1
		}
		_, err := n.server.Do("SCRIPT", "FLUSH")
		return felt, err
	}
	return 0, fmt.Errorf("torture: %s cannot happen to a server", f.Kind)
}

// refuses returns 1 if the server refuses a write with such an error.
func (n *node) refuses(prefix string) int {
	if _, err := n.server.Do("SET", witness, "here"); err != nil && strings.HasPrefix(err.Error(), prefix) {
		return 1
	}
	return 0
}

// fill has the server refuse new connections for a time. What there is goes on, and one of
// them has to revert it.
func (n *node) fill(over func()) (felt int, err error) {
	client := goredisv9.NewClient(&goredisv9.Options{Addr: n.server.Addr(), ReadTimeout: 10 * time.Second, MaxRetries: -1})
	defer client.Close()
	conn := client.Conn()
	defer conn.Close()
	before, err := conn.ConfigGet(context.Background(), "maxclients").Result()
	if err != nil {
		return 0, err
	}
	if err := conn.ConfigSet(context.Background(), "maxclients", "1").Err(); err != nil {
		return 0, err
	}
	felt = n.refuses("ERR max number of clients reached")
	over()
	err = conn.ConfigSet(context.Background(), "maxclients", before["maxclients"]).Err()
	return felt, errors.Join(err, n.testify())
}

// ask has the server do a write that changes nothing, and returns how long that took.
func (s *stage) ask(n *node) <-chan time.Duration {
	took := make(chan time.Duration, 1)
	begun := s.clock.now()
	go func() { // ends with the answer, or the timeout of the server's Do
		_, _ = n.server.Do("DEL", "torture:nothing")
		took <- s.clock.now() - begun
	}()
	return took
}

func lateBy(took, least time.Duration) int {
	if took >= least {
		return 1
	}
	return 0
}
