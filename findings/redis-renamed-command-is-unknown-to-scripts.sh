#!/usr/bin/env bash
# Version: redis-server 7.0.15.
# Guess: rename-command keeps clients from a command. Scripts are on the server and call
#   commands by their names; a refused script reports what a client gets: "unknown
#   command" with the name.
# Seen: inside a script the old name is gone, too, and the new one is known. The error has
#   neither the name nor the words of the other one, so a program that looks for those takes
#   it for something else. And what the script did before that call stays done.
# Output seen:
#   a client: ERR unknown command 'PEXPIRE', with args beginning with: 'k' '1000'
#   a script: ERR Unknown Redis command called from script script: ...
#   the new name in a script: 1
#   what the script did before: 1
# It fails if the script is not refused, or its first step is rolled back.
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
redis() { timeout 5 "$dir/usr/bin/redis-cli" -h 127.0.0.1 -p "$@"; }

server --port 17241 --rename-command PEXPIRE keep
up 17241
echo "a client: $(redis 17241 PEXPIRE k 1000)"
refusal=$(redis 17241 EVAL "redis.call('SET', KEYS[1], 1) return redis.call('PEXPIRE', KEYS[1], 1000)" 1 k || true)
echo "a script: ${refusal%%script: *}script: ..."
echo "the new name in a script: $(redis 17241 EVAL "return redis.call('keep', KEYS[1], 1000)" 1 k)"
done=$(redis 17241 GET k)
echo "what the script did before: $done"
[[ "$refusal" = *Unknown* && "$refusal" != *PEXPIRE* && "$done" = 1 ]]
