package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/quorumlock/quorumlock/redlocktest"
)

const (
	embeddedNodes = 5
	embeddedPort  = 7371 // of the first one; the others have the next ones

	// portVariable replaces embeddedPort, for "redlock masters" and for --embedded.
	portVariable = "REDLOCK_EMBEDDED_PORT"
)

type mastersCommand struct{}

// Help is the part of "redlock masters --help" after the flags.
func (*mastersCommand) Help() string {
	return `Example:

  $ redlock masters &
  five masters in memory run on 127.0.0.1:7371 to 7375 until they are interrupted
  $ redlock run --embedded --name backup -- sleep 60 &
  $ redlock status --embedded backup

They are there to try things out: their data ends with them, and they accept connections from this machine only. With --embedded all other commands use them. A program, or redis-cli, connects to the ports.

Set REDLOCK_EMBEDDED_PORT, in all shells, if these ports are taken. It is the first of five.

It ends with SIGINT or SIGTERM, with exit code 0. Other exit codes: 64 for a wrong REDLOCK_EMBEDDED_PORT, 71 if a port is taken.`
}

// Run runs the masters until a signal comes.
func (*mastersCommand) Run(s *streams) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	port, err := firstPort()
	if err != nil {
		return err
	}
	cluster, err := redlocktest.StartAt(port, embeddedNodes)
	if err != nil {
		return endWith(exitSystem, fmt.Errorf("%s: does another one run? If not, set %s to the first of %d free ports, in all shells",
			strings.TrimPrefix(err.Error(), "redlocktest: "), portVariable, embeddedNodes))
	}
	defer cluster.Close()
	if _, err := fmt.Fprintf(s.stdout, "five masters in memory run on %s to %d until they are interrupted\n", cluster.Addrs()[0], port+embeddedNodes-1); err != nil {
		return endWith(exitSystem, written(err))
	}
	<-ctx.Done()
	return nil
}

func firstPort() (int, error) {
	given := os.Getenv(portVariable)
	if given == "" {
		return embeddedPort, nil
	}
	port, err := strconv.Atoi(given)
	if err != nil || port < 1 || port+embeddedNodes-1 > 65535 {
		return 0, endWith(exitUsage, fmt.Errorf("%s=%q: want a port, the first of %d", portVariable, given, embeddedNodes))
	}
	return port, nil
}

// errNotEmbedded: there is no "redlock masters" on this machine.
var errNotEmbedded = errors.New(`--embedded: no masters in memory run on this machine: start "redlock masters" in another shell`)

// awaitEmbedded is embeddedElsewhere for a command that needs them: they may just be starting, in
// "redlock masters & redlock leader --embedded web" for instance.
func awaitEmbedded() (*nodes, error) {
	const patience = 3 * time.Second
	for begun := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		n, err := embeddedElsewhere()
		if !errors.Is(err, errNotEmbedded) || time.Since(begun) > patience {
			return n, err
		}
	}
}

// embeddedElsewhere returns the masters of "redlock masters". They start in the order of their
// ports, so all of them run once the last one does.
func embeddedElsewhere() (*nodes, error) {
	port, err := firstPort()
	if err != nil {
		return nil, err
	}
	var addrs []string
	for i := range embeddedNodes {
		addrs = append(addrs, net.JoinHostPort("127.0.0.1", strconv.Itoa(port+i)))
	}
	conn, err := net.DialTimeout("tcp", addrs[len(addrs)-1], time.Second)
	if err != nil {
		return nil, endWith(exitNoQuorum, errNotEmbedded)
	}
	_ = conn.Close()
	return connect(addrs), nil
}
