#!/usr/bin/env bash
# Version: go-redis 9.23.0, redis-server 7.0.15.
# Guess: a server that is full says "ERR max number of clients reached" before it closes,
#   and that is the error which the client returns, at least most of the time.
# Seen: the error names a closed connection: broken pipe, connection reset or EOF. The
#   server's words lie in the socket, but go-redis writes its greeting first, fails at
#   that, and does not read. An error that says what to do is never shown.
# Output seen:
#   the server's words on a bare connection: -ERR max number of clients reached
#   go-redis, 20 new clients: the server's words 0 times; for example
#     write: broken pipe
# It fails if the server's words are shown in more than half of the tries.
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

server --port 17131 --maxclients 1
up 17131
sleep 0.5
exec 3<>/dev/tcp/127.0.0.1/17131 # it is full now
printf 'PING\r\n' >&3
read -r -t 5 _ <&3
exec 4<>/dev/tcp/127.0.0.1/17131
read -r -t 5 refusal <&4
echo "the server's words on a bare connection: ${refusal%$'\r'}"

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
	said, example := 0, ""
	for range 20 {
		client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:17131", MaxRetries: -1})
		err := client.Set(context.Background(), "k", "v", 0).Err()
		switch {
		case err == nil:
			fmt.Println("the server is not full")
			os.Exit(1)
		case strings.Contains(err.Error(), "max number of clients"):
			said++
		default:
			example = err.Error()
		}
		client.Close()
	}
	fmt.Printf("go-redis, 20 new clients: the server's words %d times; for example\n  %s\n", said, example)
	if said > 10 {
		os.Exit(1)
	}
}
END
GOWORK=off GOFLAGS=-mod=mod go build -o finding . 2>build || { cat build >&2; exit 1; }
timeout 60 ./finding
