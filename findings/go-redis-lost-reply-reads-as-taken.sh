#!/usr/bin/env bash
# Version: go-redis 9.23.0, redis-server 7.0.15.
# Guess: when SetNX returns false without an error, another client has set the key.
# Seen: the connection ends after the server carried the command out and before its reply
#   arrives. go-redis sends the command again on another connection, and returns the answer
#   to the second: false, and no error. The key holds our own value. For the same reason one
#   call of Incr counts two.
# Output seen:
#   SetNX: false, error <nil>; the key holds "mine"
#   Incr: 2, error <nil>, by one call
# It fails if SetNX or Incr returns an error, true or 1.
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

server --port 17161
up 17161
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
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"sync"

	"github.com/redis/go-redis/v9"
)

// cut passes bytes on between a client and the server. The first time that a command
// passes, it drops the connection instead of the reply.
func cut(command string) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	var once sync.Once
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", "127.0.0.1:17161")
			if err != nil {
				panic(err)
			}
			var mu sync.Mutex
			drop := false
			go func() {
				b := make([]byte, 4096)
				for {
					n, err := client.Read(b)
					if err != nil {
						server.Close()
						return
					}
					if bytes.Contains(bytes.ToLower(b[:n]), []byte("\r\n"+command+"\r\n")) {
						once.Do(func() { mu.Lock(); drop = true; mu.Unlock() })
					}
					server.Write(b[:n])
				}
			}()
			go func() {
				b := make([]byte, 4096)
				for {
					n, err := server.Read(b)
					mu.Lock()
					d := drop
					mu.Unlock()
					if err != nil || d {
						client.Close()
						return
					}
					io.Copy(client, bytes.NewReader(b[:n]))
				}
			}()
		}
	}()
	return listener.Addr().String()
}

func main() {
	ctx := context.Background()
	client := redis.NewClient(&redis.Options{Addr: cut("set")})
	ok, err := client.SetNX(ctx, "lock", "mine", 0).Result()
	value := client.Get(ctx, "lock").Val()
	fmt.Printf("SetNX: %v, error %v; the key holds %q\n", ok, err, value)
	changed := ok || err != nil || value != "mine"

	n, err := redis.NewClient(&redis.Options{Addr: cut("incr")}).Incr(ctx, "n").Result()
	fmt.Printf("Incr: %d, error %v, by one call\n", n, err)
	if changed || n != 2 || err != nil {
		os.Exit(1)
	}
}
END
GOWORK=off GOFLAGS=-mod=mod go build -o finding . 2>build || { cat build >&2; exit 1; }
timeout 60 ./finding
