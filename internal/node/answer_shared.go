package node

import (
	"strconv"
	"strings"

	"github.com/quorumlock/quorumlock/internal/node/lua"
)

// What a node answers about readers.

// readersMark is what the holder of a key begins with where readers hold it: see held.lua.
const readersMark = "rs1:"

// Readers reads the holder that a node said, if readers hold the key: how many they are there, and
// the value of one of them.
func Readers(holder string) (n int, one string, shared bool) {
	rest, shared := strings.CutPrefix(holder, readersMark)
	count, one, ok := strings.Cut(rest, ":")
	if n, err := strconv.Atoi(count); shared && ok && err == nil && n > 0 {
		return n, one, true
	}
	return 0, "", false
}

// readShared reads the reply to the acquisition of a reader.
func (r *Request) readShared(reply any) Answer {
	list, ok := r.script(evalsha).Reply(reply)
	if !ok {
		return r.unexpected(reply)
	}
	text, ok1 := list.Get("largest").(string)
	largest, err := strconv.ParseInt(text, 10, 64)
	a := holderOf(list)
	if r.Verb == AcquireInTurn {
		a = queueOf(list)
	}
	switch left := list.Get("left"); {
	case a.Status == Failed || !ok1 || err != nil || largest < 0 || largest > maxToken:
		return r.unexpected(reply)
	case left == int64(lua.Joined):
		a.Status, a.Holder, a.TTL = Granted, "", 0
	case left == int64(lua.Free):
		a.Status, a.Holder, a.TTL = Queued, "", 0
	case a.Holder == r.entry.value: // as with one key
		a.Status, a.Found, a.Holder, a.TTL = Granted, true, "", 0
	}
	a.LargestToken = largest
	return a
}
