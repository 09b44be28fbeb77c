#!/usr/bin/env bash
# Version: redis-server 7.0.15.
# Guess: DUMP, PTTL and RESTORE copy a key with its time to live: PTTL is -2 when the key
#   is gone, so whatever is 0 or more can be given to RESTORE.
# Seen: in its last millisecond a key is still there, DUMP gives it, and PTTL says 0. For
#   RESTORE 0 means no time to live: the copy of a key that had less than a millisecond left
#   stays for ever. (PEXPIRE with the same 0 deletes the key.)
# Output seen:
#   a key with PTTL 0 after 2 tries; its copy has PTTL -1
# It fails if no such key is seen in 2,000 tries, or the copy has a time to live.
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

server --port 17211
up 17211
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
	"time"

	"github.com/redis/go-redis/v9"
)

func main() {
	ctx := context.Background()
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:17211"})
	for try := 1; try <= 2000; try++ {
		client.Set(ctx, "k", "v", 2*time.Millisecond)
		for {
			pipe := client.TxPipeline() // at one time, as a careful program asks
			dump, left := pipe.Dump(ctx, "k"), pipe.Do(ctx, "PTTL", "k")
			pipe.Exec(ctx)
			ms, _ := left.Int64()
			if ms < 0 {
				break
			}
			if ms > 0 || dump.Err() != nil {
				continue
			}
			if err := client.RestoreReplace(ctx, "copy", time.Duration(ms)*time.Millisecond, dump.Val()).Err(); err != nil {
				panic(err)
			}
			of, _ := client.Do(ctx, "PTTL", "copy").Int64()
			fmt.Printf("a key with PTTL 0 after %d tries; its copy has PTTL %d\n", try, of)
			if of != -1 {
				os.Exit(1)
			}
			return
		}
	}
	fmt.Println("never seen")
	os.Exit(1)
}
END
GOWORK=off GOFLAGS=-mod=mod go build -o finding . 2>build || { cat build >&2; exit 1; }
timeout 60 ./finding
