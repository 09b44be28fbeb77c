package node

import (
	"crypto/sha1"
	_ "embed"
	"encoding/hex"
	"strings"
)

//go:embed lua/acquire.lua
var acquireLua string

//go:embed lua/guard.lua
var guardLua string

//go:embed lua/fence.lua
var fenceLua string

//go:embed lua/wait.lua
var waitLua string

//go:embed lua/turn.lua
var turnLua string

//go:embed lua/extend.lua
var extendLua string

//go:embed lua/release.lua
var releaseLua string

//go:embed lua/inspect.lua
var inspectLua string

// A script is boxed for the argument list once.
type script struct{ text, sha any }

// Scripts are those of a group of nodes, by verb.
type Scripts struct {
	guarded bool // those that take the lock begin with guard.lua
	byVerb  [Inspect + 1]script
}

// unguarded are the scripts where nothing is known about restarts.
var unguarded = newScripts("")

func newScripts(guard string) *Scripts {
	return &Scripts{byVerb: [...]script{
		Acquire: newScript(guard + acquireLua),
		Wait:    newScript(guard + fenceLua + waitLua),
		Turn:    newScript(guard + fenceLua + turnLua),
		Extend:  newScript(extendLua),
		Release: newScript(releaseLua),
		Inspect: newScript(inspectLua),
	}}
}

// newScript leaves out the comments: they are for readers of this project, not
// for the memory of every server.
func newScript(source string) script {
	var code []string
	for line := range strings.Lines(source) {
		if !strings.HasPrefix(line, "--") {
			code = append(code, line)
		}
	}
	text := strings.Join(code, "")
	sum := sha1.Sum([]byte(text)) // what EVALSHA asks for, not a protection
	return script{text: text, sha: hex.EncodeToString(sum[:])}
}
