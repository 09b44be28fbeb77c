#!/usr/bin/env bash
# Version: redsync 4.18.1 (WithShufflePools) with go-redis 9.23.0, redis-server 7.0.15.
# Guess: several callers ask for a free lock at the same time: one of them gets it, the
#   others get "taken".
# Seen: with three callers and three servers each may win one server. Then none has a
#   majority, all three get "lock already taken", and the lock is free afterwards.
#   A job that skips when it is taken is not done at all.
# Output seen:
#   400 rounds, 3 callers each: nobody got the free lock in 46
#   the last error: lock already taken, locked nodes: [0 1]
# It fails if there is a winner in every round.
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

for port in 17171 17172 17173; do server --port $port; done
for port in 17171 17172 17173; do up $port; done
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
	"fmt"
	"os"
	"sync"

	"github.com/go-redsync/redsync/v4"
	"github.com/go-redsync/redsync/v4/redis/goredis/v9"
	"github.com/redis/go-redis/v9"
)

func newRedsync() *redsync.Redsync {
	pool := func(port string) *redis.Client { return redis.NewClient(&redis.Options{Addr: "127.0.0.1:" + port}) }
	return redsync.New(goredis.NewPool(pool("17171")), goredis.NewPool(pool("17172")), goredis.NewPool(pool("17173")))
}

func main() {
	const rounds = 400
	services := []*redsync.Redsync{newRedsync(), newRedsync(), newRedsync()}
	nobody, reported := 0, error(nil)
	for range rounds {
		var mu sync.Mutex
		var all sync.WaitGroup
		start := make(chan struct{})
		won := 0
		var winner *redsync.Mutex
		var last error
		for _, s := range services {
			m := s.NewMutex("job", redsync.WithShufflePools(true))
			all.Go(func() {
				<-start
				err := m.TryLock()
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					won, winner = won+1, m
				} else {
					last = err
				}
			})
		}
		close(start)
		all.Wait()
		if won == 0 {
			nobody, reported = nobody+1, last
		} else if _, err := winner.Unlock(); err != nil {
			fmt.Println("unlock:", err)
		}
	}
	fmt.Printf("%d rounds, 3 callers each: nobody got the free lock in %d\n", rounds, nobody)
	if nobody == 0 {
		os.Exit(1)
	}
	fmt.Println("the last error:", reported)
}
END
GOWORK=off GOFLAGS=-mod=mod go build -o finding . 2>build || { cat build >&2; exit 1; }
timeout 60 ./finding
