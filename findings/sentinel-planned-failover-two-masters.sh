#!/usr/bin/env bash
# Version: redis-server and Sentinel 7.0.15 (Debian 12, 5:7.0.15-1~deb12u10).
# Guess: after SENTINEL FAILOVER, with every process healthy, the old master becomes a
#   replica before, or when, Sentinel announces the new one: a client that is still
#   connected to the old one is refused (READONLY) from then on.
# Seen: Sentinel answers with the new address while the old master goes on taking writes,
#   for some ten seconds. The new master has none of them, and no message reaches the client.
# Output seen:
#   Sentinel names the new master
#   the old one takes 76 writes in the 10 s after that; the new one has 0 of them
# It fails if the old master takes no writes for three seconds after the announcement.
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

old=17101 new=17102 sentinel=17103
redis() { timeout 5 "$dir/usr/bin/redis-cli" -h 127.0.0.1 -p "$@"; }
server() {
	"$dir/usr/bin/redis-server" "$@" >>log 2>&1 &
	pids+=($!)
}
server --bind 127.0.0.1 --port $old --save '' --dir "$dir"
server --bind 127.0.0.1 --port $new --save '' --dir "$dir" --replicaof 127.0.0.1 $old
printf 'bind 127.0.0.1\nport %s\nsentinel monitor m 127.0.0.1 %s 1\n' $sentinel $old >sentinel.conf
server sentinel.conf --sentinel
wanted() { # until a command prints a text
	local text=$1
	shift
	for _ in $(seq 300); do
		if "$@" 2>/dev/null | grep -q "$text"; then return; fi
		sleep 0.1
	done
	echo "never seen: $text" >&2
	exit 1
}
wanted 'master_link_status:up' redis $new INFO replication
wanted $new redis $sentinel SENTINEL REPLICAS m
sleep 2 # Sentinel has asked the replica what it is

redis $sentinel SENTINEL FAILOVER m >/dev/null
wanted $new redis $sentinel SENTINEL GET-MASTER-ADDR-BY-NAME m
echo 'Sentinel names the new master'
begun=$(date +%s%N) last=$begun writes=0
while [ $(($(date +%s%N) - begun)) -lt 20000000000 ]; do
	if [ "$(redis $old SET "after $writes" x 2>/dev/null)" != OK ]; then break; fi
	writes=$((writes + 1)) last=$(date +%s%N)
	sleep 0.1
done
found=$(redis $new --scan --pattern 'after *' | wc -l)
seconds=$(((last - begun) / 1000000000))
echo "the old one takes $writes writes in the $seconds s after that; the new one has $found of them"
[ $seconds -ge 3 ] && [ "$found" = 0 ]
