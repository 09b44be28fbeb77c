#!/usr/bin/env bash
# Version: miniredis 2.40.0 (gopher-lua as its go.mod names it), redis-server 7.0.15.
# Guess: a script that reads a score, and lets the key expire at that time, works on miniredis as
#   on Redis: ZRANGE WITHSCORES returns text, and Lua takes a text of digits for a number.
# Seen: string.format('%.0f', score) is the number on Redis. On miniredis it is the words of Go's fmt for
#   a wrong type, so PEXPIREAT fails. Arithmetic (score + 0) and tonumber(score) work on both.
# Output seen:
#   redis-server: "1764518400000", with tonumber "1764518400000"
#   miniredis: "%!f(string=)", with tonumber "1764518400000"
# It fails if both say the same.
set -euo pipefail
version=${REDIS_DEB:-5:7.0.15-1~deb12u10}
dir=$(mktemp -d)
pids=()
finish() {
	kill "${pids[@]}" 2>/dev/null || true
	wait 2>/dev/null || true
	rm -rf "$dir"
}
trap finish EXIT
cd "$dir"
apt-get download -q "redis-tools=$version" "redis-server=$version" >/dev/null 2>&1
for deb in *.deb; do dpkg -x "$deb" .; done
"$dir/usr/bin/redis-server" --bind 127.0.0.1 --port 17281 --save '' --dir "$dir" >>log 2>&1 &
pids+=($!)
for _ in $(seq 100); do
	if (: </dev/tcp/127.0.0.1/17281) 2>/dev/null; then break; fi
	sleep 0.1
done
cat >go.mod <<'END'
module finding

go 1.26

require (
	github.com/alicebob/miniredis/v2 v2.40.0
	github.com/redis/go-redis/v9 v9.23.0
)
END
cat >main.go <<'END'
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

const script = `
redis.call('ZADD', KEYS[1], '1764518400000', 'member')
local score = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2]
return {string.format('%.0f', score), string.format('%.0f', tonumber(score))}`

func run(name, addr string) string {
	ctx := context.Background()
	client := redis.NewClient(&redis.Options{Addr: addr})
	defer client.Close()
	said, err := client.Eval(ctx, script, []string{"set"}).StringSlice()
	if err != nil {
		panic(err)
	}
	fmt.Printf("%s: %q, with tonumber %q\n", name, said[0], said[1])
	return fmt.Sprint(said)
}

func main() {
	memory, err := miniredis.Run()
	if err != nil {
		panic(err)
	}
	defer memory.Close()
	if run("redis-server", "127.0.0.1:17281") == run("miniredis", memory.Addr()) {
		fmt.Println("they agree now")
		os.Exit(1)
	}
}
END
go mod tidy >log 2>&1
timeout 120 go run .
