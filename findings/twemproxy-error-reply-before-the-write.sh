#!/usr/bin/env bash
# Version: twemproxy 0.5.0 (Debian 12, nutcracker 0.5.0+dfsg-2), redis-server 7.0.15.
# Guess: a command that is answered by an error reply was not carried out: only a closed
#   connection leaves that open.
# Seen: when the server is slower than the proxy's timeout, the proxy writes an error reply
#   of its own on the healthy connection of the client. The command stays on its way, and
#   the server carries it out afterwards.
# Output seen:
#   SET while the server is stopped: -ERR Connection timed out
#   the key after the server goes on: v
# It fails if there is no error reply, or no key.
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
redis() { timeout 5 "$dir/usr/bin/redis-cli" -h 127.0.0.1 -p "$@"; }

server --port 17121
server_pid=${pids[0]}
cat >proxy.yml <<'END'
one:
  listen: 127.0.0.1:17122
  redis: true
  hash: fnv1a_64
  distribution: ketama
  timeout: 300
  servers:
   - 127.0.0.1:17121:1
END
up 17121
usr/sbin/nutcracker -c proxy.yml -s 17123 >>log 2>&1 &
pids+=($!)
up 17122
send() {
	printf '*3\r\n$3\r\nSET\r\n$1\r\n%s\r\n$1\r\nv\r\n' "$1" >&3
	read -r -t 10 reply <&3
	reply=${reply%$'\r'}
}
exec 3<>/dev/tcp/127.0.0.1/17122
send a # the proxy has a connection to the server now
kill -STOP "$server_pid"
send k
kill -CONT "$server_pid"
echo "SET while the server is stopped: $reply"
for _ in $(seq 50); do
	value=$(redis 17121 GET k)
	if [ -n "$value" ]; then break; fi
	sleep 0.1
done
echo "the key after the server goes on: $value"
[[ "$reply" = -ERR* && "$value" = v ]]
