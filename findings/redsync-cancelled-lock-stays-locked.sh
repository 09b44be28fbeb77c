#!/usr/bin/env bash
# Version: redsync 4.18.1 with go-redis 9.23.0 (ContextTimeoutEnabled), redis-server 7.0.15.
# Guess: LockContext returns an error when its context ends, and nothing is locked.
# Seen: the command was sent, the context ends before its reply, and the release that
#   redsync sends next is given the same context, which has ended: it is never sent. The key
#   stays for the whole expiry, and nobody holds the lock. The error says "failed to acquire
#   lock" and does not match context.DeadlineExceeded.
# Output seen:
#   LockContext: redsync: failed to acquire lock; is context.DeadlineExceeded: false
#   a second later another caller gets: lock already taken, locked nodes: [0]
#   the key lives for 7.0s more
# It fails if the key is gone a second later.
set -euo pipefail
version=${REDIS_DEB:-5:7.0.15-1~deb12u10}
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
apt-get download -q "redis-tools=$version" "redis-server=$version" >/dev/null 2>&1
for deb in *.deb; do dpkg -x "$deb" .; done
server() {
	"$dir/usr/bin/redis-server" --bind 127.0.0.1 --save '' --dir "$dir" "$@" >>log 2>&1 &
	pids+=($!)
}
up() { # until a server listens
	for _ in $(seq 100); do
		if (: </dev/tcp/127.0.0.1/"$1") 2>/dev/null; then return; fi
		sleep 0.1
	done
	echo "no server on $1" >&2
	exit 1
}

server --port 17181
up 17181
cat >go.mod <<'END'
module finding

go 1.26

require (
	github.com/go-redsync/redsync/v4 v4.18.1
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
	"strconv"
	"syscall"
	"time"

	"github.com/go-redsync/redsync/v4"
	"github.com/go-redsync/redsync/v4/redis/goredis/v9"
	"github.com/redis/go-redis/v9"
)

func main() {
	server, _ := strconv.Atoi(os.Args[1])
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:17181", ContextTimeoutEnabled: true})
	client.Ping(context.Background())
	rs := redsync.New(goredis.NewPool(client))

	syscall.Kill(server, syscall.SIGSTOP) // or it is far away, or busy
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	err := rs.NewMutex("job").LockContext(ctx)
	fmt.Printf("LockContext: %v; is context.DeadlineExceeded: %v\n", err, errors.Is(err, context.DeadlineExceeded))
	syscall.Kill(server, syscall.SIGCONT)

	time.Sleep(time.Second)
	fmt.Printf("a second later another caller gets: %v\n", rs.NewMutex("job").TryLock())
	left := client.PTTL(context.Background(), "job").Val()
	fmt.Printf("the key lives for %.1fs more\n", left.Seconds())
	if err == nil || left <= 0 {
		os.Exit(1)
	}
}
END
GOWORK=off GOFLAGS=-mod=mod go build -o finding . 2>build || { cat build >&2; exit 1; }
timeout 60 ./finding "${pids[0]}"
