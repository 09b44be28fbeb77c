#!/usr/bin/env bash
# Version: redigo 1.9.3, redis-server 7.0.15.
# Guess: Do returns the error of the command that it was given: an error means that this
#   command was refused.
# Seen: Do reads the replies of all commands that were sent before it, drops the replies
#   and keeps the first error. It returns that with the reply of its own command: "OK" and
#   an error. A caller that checks the error first takes a SET that was carried out for refused.
#   A pool whose Dial ends with such a Send hands this to the first caller.
# Output seen:
#   Do("SET"): reply OK, error ERR value is not an integer or out of range
#   the key: v
# It fails if Do reports no error, or the key is not there.
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

server --port 17151
up 17151
cat >go.mod <<'END'
module finding

go 1.26

require (
	github.com/gomodule/redigo v1.9.3
)
END
cat >main.go <<'END'
package main

import (
	"fmt"
	"os"

	"github.com/gomodule/redigo/redis"
)

func main() {
	pool := &redis.Pool{Dial: func() (redis.Conn, error) {
		conn, err := redis.Dial("tcp", "127.0.0.1:17151")
		if err != nil {
			return nil, err
		}
		return conn, conn.Send("EXPIRE", "k", "soon") // the server refuses it
	}}
	conn := pool.Get()
	reply, err := conn.Do("SET", "k", "v")
	fmt.Printf("Do(\"SET\"): reply %v, error %v\n", reply, err)
	value, _ := redis.String(conn.Do("GET", "k"))
	fmt.Printf("the key: %v\n", value)
	if err == nil || value != "v" {
		os.Exit(1)
	}
}
END
GOWORK=off GOFLAGS=-mod=mod go build -o finding . 2>build || { cat build >&2; exit 1; }
timeout 60 ./finding
