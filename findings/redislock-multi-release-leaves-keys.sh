#!/usr/bin/env bash
# Version: redislock 0.10.0 with go-redis 9.23.0, redis-server 7.0.15.
# Guess: Release of a lock on several keys deletes the keys that are still ours, and reports
#   that one was lost.
# Seen: when one key is gone (deleted by hand, evicted) Release deletes none of the others.
#   They stay locked until they expire, though their holder has released them, and no error
#   names them.
# Output seen:
#   Release: redislock: lock not held
#   keys that are still locked: 2 of 3
# It fails if no key is left.
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

server --port 17191
up 17191
cat >go.mod <<'END'
module finding

go 1.26

require (
	github.com/bsm/redislock v0.10.0
	github.com/redis/go-redis/v9 v9.23.0
)
END
cat >main.go <<'END'
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/bsm/redislock"
	"github.com/redis/go-redis/v9"
)

func main() {
	ctx := context.Background()
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:17191"})
	lock, err := redislock.New(client).ObtainMulti(ctx, []string{"a", "b", "c"}, time.Minute, nil)
	if err != nil {
		panic(err)
	}
	client.Del(ctx, "b")
	fmt.Println("Release:", lock.Release(ctx))
	left := client.Exists(ctx, "a", "c").Val()
	fmt.Printf("keys that are still locked: %d of 3\n", left)
	if left == 0 {
		os.Exit(1)
	}
}
END
GOWORK=off GOFLAGS=-mod=mod go build -o finding . 2>build || { cat build >&2; exit 1; }
timeout 60 ./finding
