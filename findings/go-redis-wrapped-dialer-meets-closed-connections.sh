#!/usr/bin/env bash
# Version: go-redis 9.23.0 (MaxRetries -1), redis-server 7.0.15.
# Guess: go-redis looks whether the server has closed an idle connection before it lends it;
#   a Dialer that only counts bytes, or times reads, changes nothing about that.
# Seen: the look needs the socket itself. With a Dialer that wraps the connection (and
#   with TLS) there is none, so no look is possible: the first call after the server's timeout
#   fails with EOF, once for each idle connection, though the server is well.
# Output seen:
#   plain dialer: 0 of 5 calls after the server's timeout failed
#   wrapped dialer: 5 of 5 calls after the server's timeout failed, with EOF
# It fails if no call fails with the wrapped dialer.
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

server --port 17201 --timeout 1
up 17201
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
	"net"
	"os"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

type counted struct{ net.Conn }

func main() {
	ctx := context.Background()
	plain := func(ctx context.Context, network, addr string) (net.Conn, error) {
		return (&net.Dialer{Timeout: time.Second}).DialContext(ctx, network, addr)
	}
	wrapped := func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := plain(ctx, network, addr)
		return counted{conn}, err
	}
	try := func(name string, dialer func(context.Context, string, string) (net.Conn, error)) int {
		client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:17201", Dialer: dialer, MaxRetries: -1, PoolSize: 5, MinIdleConns: 0})
		const calls = 5
		var all sync.WaitGroup
		for range calls { // as many idle connections
			all.Go(func() { client.Do(ctx, "EVAL", "local t = redis.call('TIME') for i = 1, 2000000 do end return t", 0) })
		}
		all.Wait()
		time.Sleep(2500 * time.Millisecond)
		failed, last := 0, error(nil)
		for range calls {
			if err := client.Get(ctx, "k").Err(); err != nil && err != redis.Nil {
				failed, last = failed+1, err
			}
		}
		fmt.Printf("%s dialer: %d of %d calls after the server's timeout failed", name, failed, calls)
		if last != nil {
			fmt.Printf(", with %v", last)
		}
		fmt.Println()
		return failed
	}
	try("plain", plain)
	if try("wrapped", wrapped) == 0 {
		os.Exit(1)
	}
}
END
GOWORK=off GOFLAGS=-mod=mod go build -o finding . 2>build || { cat build >&2; exit 1; }
timeout 60 ./finding
