#!/usr/bin/env bash
# Version: redis-server 8.0.2 (Debian 13, 5:8.0.2-3+deb13u3); 7.0.15 keeps the scripts.
# Guess: a script that EVAL ran stays known to EVALSHA until SCRIPT FLUSH or a restart, as
#   it always did. So a client that saw it work need not be ready for NOSCRIPT.
# Seen: after 500 other scripts that EVAL ran (one program that puts values into the text is
#   enough), the server has forgotten it. A script that SCRIPT LOAD brought is kept.
# Output seen:
#   after 600 other scripts, EVALSHA of one that EVAL brought: NOSCRIPT No matching script. Please use EVAL.
#   and of one that SCRIPT LOAD brought: loaded
# It fails if the first is still known, or the second is not.
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

new redis-server --bind 127.0.0.1 --port 17251 --save '' --dir "$dir" >>log 2>&1 &
pids+=($!)
up 17251
evaluated="return 'evaluated'" loaded="return 'loaded'"
sha() { printf %s "$1" | sha1sum | cut -d ' ' -f 1; }
redis 17251 EVAL "$evaluated" 0 >/dev/null
redis 17251 SCRIPT LOAD "$loaded" >/dev/null
for i in $(seq 600); do echo "EVAL 'return $i' 0"; done | redis 17251 >/dev/null
first=$(redis 17251 EVALSHA "$(sha "$evaluated")" 0 2>&1) || true
second=$(redis 17251 EVALSHA "$(sha "$loaded")" 0 2>&1) || true
echo "after 600 other scripts, EVALSHA of one that EVAL brought: $first"
echo "and of one that SCRIPT LOAD brought: $second"
[[ "$first" = NOSCRIPT* && "$second" = loaded ]]
