#!/usr/bin/env bash
# Version: go-redis 9.23.0.
# Guess: no server is on the port, so the connection is refused within a millisecond, and
#   that is what a call with a deadline of 300 ms returns.
# Seen: go-redis repeats the dial five times with pauses of 100 ms, and the deadline ends a
#   pause. The error is that of the context alone: it names no address and no refusal, as
#   if the server were slow. With a deadline of 600 ms the refusal is there.
# Output seen:
#   deadline 300ms: context deadline exceeded
#   deadline 600ms: dial tcp 127.0.0.1:17149: connect: connection refused
# It fails if the refusal is in the error with the shorter deadline.
set -euo pipefail
dir=$(mktemp -d)
pids=()
finish() {
	kill -CONT "${pids[@]}" 2>/dev/null || true
	kill "${pids[@]}" 2>/dev/null || true
	wait 2>/dev/null || true
	rm -rf "$dir"
}
trap finish EXIT
cd "$dir"
cat >go.mod <<'END'
module finding

go 1.26

require (
	github.com/redis/go-redis/v9 v9.23.0
)
END
cat >main.go <<'END'
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

func main() {
	refused := make(map[time.Duration]bool)
	for _, d := range []time.Duration{300 * time.Millisecond, 600 * time.Millisecond} {
		client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:17149", MaxRetries: -1})
		ctx, cancel := context.WithTimeout(context.Background(), d)
		err := client.Get(ctx, "k").Err()
		cancel()
		client.Close()
		fmt.Printf("deadline %v: %v\n", d, err)
		refused[d] = errors.Is(err, syscall.ECONNREFUSED)
	}
	if refused[300*time.Millisecond] {
		os.Exit(1)
	}
}
END
GOWORK=off GOFLAGS=-mod=mod go build -o finding . 2>build || { cat build >&2; exit 1; }
timeout 60 ./finding 2>log
