#!/usr/bin/env bash
# Version: go-redis 9.23.0, twemproxy 0.5.0 (Debian 12, nutcracker 0.5.0+dfsg-2), redis-server 7.0.15.
# Guess: go-redis greets with HELLO, and a server that does not know HELLO refuses it with
#   an error, after which go-redis goes on without; with Protocol: 2 it does not ask at all.
# Seen: go-redis sends HELLO with Protocol: 2 as well. twemproxy answers what it does not
#   support by closing the connection, so no command ever passes, with either setting.
#   A client that sends the same SET without a greeting is served.
# Output seen:
#   without a greeting: OK
#   Protocol 2: EOF
#   Protocol 3: EOF
# It fails if go-redis gets a command through.
set -euo pipefail
version=${REDIS_DEB:-5:7.0.15-1~deb12u10}
proxy=${NUTCRACKER_DEB:-0.5.0+dfsg-2}
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
apt-get download -q "redis-tools=$version" "redis-server=$version" "nutcracker=$proxy" >/dev/null 2>&1
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

server --port 17111
cat >proxy.yml <<'END'
one:
  listen: 127.0.0.1:17112
  redis: true
  hash: fnv1a_64
  distribution: ketama
  servers:
   - 127.0.0.1:17111:1
END
up 17111
usr/sbin/nutcracker -c proxy.yml -s 17113 >>log 2>&1 &
pids+=($!)
up 17112
exec 3<>/dev/tcp/127.0.0.1/17112
printf '*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n' >&3
read -r -t 5 reply <&3
reply=${reply#+}
echo "without a greeting: ${reply%$'\r'}"

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

	"github.com/redis/go-redis/v9"
)

func main() {
	for _, protocol := range []int{2, 3} {
		client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:17112", Protocol: protocol, DisableIdentity: true})
		err := client.Set(context.Background(), "k", "v", 0).Err()
		fmt.Printf("Protocol %d: %v\n", protocol, err)
		if err == nil {
			os.Exit(1)
		}
		client.Close()
	}
}
END
GOWORK=off GOFLAGS=-mod=mod go build -o finding . 2>build || { cat build >&2; exit 1; }
timeout 60 ./finding
