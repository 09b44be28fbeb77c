#!/usr/bin/env bash
# Version: redis-server 8.0.2 (Debian 13, 5:8.0.2-3+deb13u3); on 7.0.15 it moves.
# Guess: TIME in a script is the time at which it is called: a script that works for a second
#   measures a second, and a key that expires meanwhile is gone.
# Seen: the clock stops from the beginning of the script to its end. TIME twice, with
#   a second of work in between, differs by nothing, and a key with a TTL of a
#   millisecond is there at the end. The script that took the time cannot see it.
# Output seen:
#   the script took more than 300 ms: yes
#   TIME at its end less TIME at its beginning: 0 us
#   a key with a TTL of 1 ms at its end: v, PTTL 1
# It fails if time passes in the script.
set -euo pipefail
version=${REDIS_DEB:-5:8.0.2-3+deb13u3}
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
# A newer release's packages, with their own libc, started by their own loader.
mkdir -p apt/lists/partial apt/archives/partial root
: >apt/status
source=$(apt-get indextargets --format '$(LABEL) $(REPO_URI)' 'Created-By: Packages' | sed -n 's/^Debian //p' | head -n 1)
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $source trixie main" >apt/sources.list
options=(-o Dir::State="$dir/apt" -o Dir::State::status="$dir/apt/status" -o Dir::Cache="$dir/apt" -o Dir::Etc::sourcelist="$dir/apt/sources.list"
	-o Dir::Etc::sourceparts=/dev/null -o Dir::Etc::preferencesparts=/dev/null -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false
	-o Acquire::Languages=none -o APT::Sandbox::User=root -qq)
apt-get "${options[@]}" update >log 2>&1
apt-get "${options[@]}" install -y --no-install-recommends --download-only "redis-tools=$version" >>log 2>&1
(cd apt/archives && apt-get "${options[@]}" download "redis-server=$version" >>../../log 2>&1)
for deb in apt/archives/*.deb; do dpkg -x "$deb" root; done
loader=$(find root -name 'ld-linux*.so.*' -type f | head -n 1)
libraries=$(find root -type d -name '*-linux-gnu' | tr '\n' ':')
new() {
	"$loader" --library-path "$libraries" "root/usr/bin/$1" "${@:2}"
}
redis() { new redis-cli -h 127.0.0.1 -p "$@"; }
up() { # until a server listens
	for _ in $(seq 100); do
		if (: </dev/tcp/127.0.0.1/"$1") 2>/dev/null; then return; fi
		sleep 0.1
	done
	echo "no server on $1" >&2
	exit 1
}

new redis-server --bind 127.0.0.1 --port 17261 --save '' --dir "$dir" >>log 2>&1 &
pids+=($!)
up 17261
script="local function now() local t = redis.call('TIME') return t[1] * 1000000 + t[2] end
local begun = now()
redis.call('SET', KEYS[1], 'v', 'PX', 1)
for i = 1, 60000000 do end
return {string.format('%d', now() - begun), redis.call('GET', KEYS[1]) or 'gone', redis.call('PTTL', KEYS[1])}"
begun=$(date +%s%N)
mapfile -t result < <(redis 17261 EVAL "$script" 1 k)
took=$((($(date +%s%N) - begun) / 1000000))
echo "the script took more than 300 ms: $([ $took -gt 300 ] && echo yes || echo "no, $took")"
echo "TIME at its end less TIME at its beginning: ${result[0]} us"
echo "a key with a TTL of 1 ms at its end: ${result[1]}, PTTL ${result[2]}"
[[ $took -gt 300 && "${result[0]}" = 0 && "${result[1]}" = v ]]
