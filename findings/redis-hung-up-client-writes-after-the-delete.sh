#!/usr/bin/env bash
# Version: redis-server 7.0.15.
# Guess: a client that gives up a SET, hangs up, and then deletes the key on a new connection
#   leaves no key: the server drops what a closed connection sent, or carries commands out
#   in the order in which they came.
# Seen: after a pause of the server (SIGSTOP simulates a slow disk, a swapped page, a
#   paused machine) it serves connections in no such order. The delete is answered, and the
#   SET of the connection that was closed before is carried out after it.
# Output seen:
#   100 times: SET sent, hung up, DEL sent and answered; keys left: 21
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

server --port 17221
up 17221
cat >go.mod <<'END'
module finding

go 1.26
END
cat >main.go <<'END'
package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"
)

func dial() net.Conn {
	conn, err := net.Dial("tcp", "127.0.0.1:17221")
	if err != nil {
		panic(err)
	}
	return conn
}

func ask(conn net.Conn, line string) string {
	fmt.Fprintf(conn, "%s\r\n", line)
	reply, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		panic(err)
	}
	return reply
}

func main() {
	server, _ := strconv.Atoi(os.Args[1])
	const rounds = 100
	left := 0
	for range rounds {
		setter, deleter := dial(), dial()
		ask(setter, "PING")
		ask(deleter, "PING")
		syscall.Kill(server, syscall.SIGSTOP)
		fmt.Fprintf(setter, "SET k v\r\n")
		setter.Close()
		time.Sleep(time.Millisecond)
		fmt.Fprintf(deleter, "DEL k\r\n")
		time.Sleep(time.Millisecond)
		syscall.Kill(server, syscall.SIGCONT)
		bufio.NewReader(deleter).ReadString('\n')
		deleter.Close()
		last := dial()
		time.Sleep(time.Millisecond)
		if ask(last, "DEL k") == ":1\r\n" {
			left++
		}
		last.Close()
	}
	fmt.Printf("%d times: SET sent, hung up, DEL sent and answered; keys left: %d\n", rounds, left)
	if left == 0 {
		os.Exit(1)
	}
}
END
GOWORK=off GOFLAGS=-mod=mod go build -o finding . 2>build || { cat build >&2; exit 1; }
timeout 60 ./finding "${pids[0]}"
