#!/usr/bin/env bash
# Version: miniredis 2.40.0 (gopher-lua as its go.mod names it), redis-server 7.0.15.
# Guess: a script that runs on miniredis sets the same variables as on Redis.
# Seen: a function of the script counts its failures in a local variable of the script, after
#   a pcall within it has failed. On Redis the script then has the count. On miniredis
#   the variable is as it was before: what the function set is lost. A field of a
#   table, set at the same place, is not lost.
# Output seen:
#   redis-server: 1 in the variable, 1 in the table
#   miniredis: 0 in the variable, 1 in the table
# It fails if both have the same.
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
"$dir/usr/bin/redis-server" --bind 127.0.0.1 --port 17271 --save '' --dir "$dir" >>log 2>&1 &
pids+=($!)
for _ in $(seq 100); do
	if (: </dev/tcp/127.0.0.1/17271) 2>/dev/null; then break; fi
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

// The key is a list, so GET fails.
const script = `
local failures, kept = 0, {0}
local function try(key)
  local done, answer = pcall(function() return redis.call('GET', key) end)
  if not done then
    failures, kept[1] = failures + 1, kept[1] + 1
  end
end
try(KEYS[1])
return {failures, kept[1]}`

func run(name, addr string) string {
	ctx := context.Background()
	client := redis.NewClient(&redis.Options{Addr: addr})
	defer client.Close()
	if err := client.RPush(ctx, "list", "a").Err(); err != nil {
		panic(err)
	}
	counts, err := client.Eval(ctx, script, []string{"list"}).Int64Slice()
	if err != nil {
		panic(err)
	}
	fmt.Printf("%s: %d in the variable, %d in the table\n", name, counts[0], counts[1])
	return fmt.Sprint(counts)
}

func main() {
	memory, err := miniredis.Run()
	if err != nil {
		panic(err)
	}
	defer memory.Close()
	if run("redis-server", "127.0.0.1:17271") == run("miniredis", memory.Addr()) {
		fmt.Println("they agree now")
		os.Exit(1)
	}
}
END
go mod tidy >log 2>&1
timeout 120 go run .
