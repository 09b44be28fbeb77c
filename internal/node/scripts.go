package node

import (
	"crypto/sha1"
	_ "embed"
	"encoding/hex"
	"strconv"
	"strings"
)

//go:embed lua/guard.lua
var guardLua string

//go:embed lua/held.lua
var heldLua string

//go:embed lua/fence.lua
var fenceLua string

//go:embed lua/acquire.lua
var acquireLua string

//go:embed lua/wait.lua
var waitLua string

//go:embed lua/turn.lua
var turnLua string

//go:embed lua/extend.lua
var extendLua string

//go:embed lua/release.lua
var releaseLua string

//go:embed lua/short.lua
var shortLua string

//go:embed lua/inspect.lua
var inspectLua string

//go:embed lua/swap.lua
var swapLua string

// A script is boxed for the argument list once.
type script struct{ text, sha any }

// Which script: that of a verb, or one of these.
const (
	fencedWait = int(Swap) + 1 + iota
	fencedTurn
	shortRelease
	scriptCount
)

// Scripts are those of a group of nodes.
type Scripts struct {
	guarded bool // those that take the lock begin with guard.lua
	all     [scriptCount]script
}

// unguarded are the scripts where nothing is known about restarts.
var unguarded = newScripts("")

// findings are the names that fence.lua gives to what it finds out.
const findings = "local newest, micros, granted, refusal, remember\n"

// newScripts puts the scripts together. Every one gets the keys that it touches, in the
// order of the names here; the last ones may be left out where its text allows it.
func newScripts(guard string) *Scripts {
	locks := "lock" // the keys of those that take the lock
	if guard != "" {
		locks += " node quarantine"
	}
	return &Scripts{guarded: guard != "", all: [...]script{
		Acquire:      newScript(locks, guard, heldLua, acquireLua),
		Wait:         newScript(locks+" wait", guard, heldLua, findings, waitLua),
		Turn:         newScript(locks+" wait queue lease", guard, heldLua, findings, turnLua),
		Extend:       newScript("lock", heldLua, extendLua),
		Release:      newScript("lock wait queue lease", heldLua, releaseLua),
		Inspect:      newScript("lock wait queue lease", heldLua, inspectLua),
		Swap:         newScript("lock", heldLua, swapLua),
		fencedWait:   newScript(locks+" fence wait", guard, heldLua, findings, fenceLua, waitLua),
		fencedTurn:   newScript(locks+" fence wait queue lease", guard, heldLua, findings, fenceLua, turnLua),
		shortRelease: newScript("lock", shortLua),
	}}
}

// newScript makes one script of parts. It leaves out the comments: they are for readers
// of this project, not for the memory of every server. And it writes numbers for the
// names of keys: servers and proxies that look for keys which were not declared know
// KEYS[2], and no variable.
func newScript(keys string, parts ...string) script {
	var code []string
	for line := range strings.Lines(strings.Join(parts, "")) {
		if !strings.HasPrefix(line, "--") {
			code = append(code, line)
		}
	}
	text := strings.Join(code, "")
	for i, name := range strings.Fields(keys) {
		text = strings.ReplaceAll(text, "KEYS["+name+"]", "KEYS["+strconv.Itoa(i+1)+"]")
	}
	sum := sha1.Sum([]byte(text)) // what EVALSHA asks for, not a protection
	return script{text: text, sha: hex.EncodeToString(sum[:])}
}
