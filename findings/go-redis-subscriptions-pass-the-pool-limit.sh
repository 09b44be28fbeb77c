#!/usr/bin/env bash
# Version: go-redis 9.23.0, redis-server 7.0.15.
# Guess: MaxActiveConns is what its name says: a client of one connection never has two.
# Seen: each Subscribe opens a connection of its own that no limit counts, nor does a full
#   pool hold it up. A service that subscribes once per request reaches the server's limit
#   of clients with a pool of one.
# Output seen:
#   PoolSize 1, MaxActiveConns 1, 50 subscriptions: the server counts 51 connections
#   PoolStats().TotalConns: 1
# It fails if the server counts less than 50.
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

server --port 17231
up 17231
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
	"fmt"
	"os"
	"strings"

	"github.com/redis/go-redis/v9"
)

func main() {
	ctx := context.Background()
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:17231", PoolSize: 1, MaxActiveConns: 1})
	for i := range 50 {
		if _, err := client.Subscribe(ctx, fmt.Sprint(i)).Receive(ctx); err != nil {
			panic(err)
		}
	}
	n := strings.Count(client.Do(ctx, "CLIENT", "LIST").Val().(string), "\n")
	fmt.Printf("PoolSize 1, MaxActiveConns 1, 50 subscriptions: the server counts %d connections\n", n)
	fmt.Printf("PoolStats().TotalConns: %d\n", client.PoolStats().TotalConns)
	if n < 50 {
		os.Exit(1)
	}
}
END
GOWORK=off GOFLAGS=-mod=mod go build -o finding . 2>build || { cat build >&2; exit 1; }
timeout 60 ./finding
