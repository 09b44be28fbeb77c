package fakenode

import (
	"strings"
	"time"

	"github.com/quorumlock/quorumlock/internal/node/lua"
)

// A record is a published value: see record.lua.
type record struct {
	kept string    // what the key holds
	ends time.Time // of the key; zero if it lives for ever
}

func (n *Node) record(key string) record {
	r := n.records[key]
	if !r.ends.IsZero() && !r.ends.After(time.Now()) {
		delete(n.records, key)
		return record{}
	}
	return r
}

// version is that of the value, to be compared as a text.
func (r record) version() string { return r.begins()[:len(r.begins())/4*3] }

// begins is what the value begins with, "" if there is none.
func (r record) begins() string {
	if r.kept == "" {
		return ""
	}
	return r.kept[:lua.HeaderLength]
}

// extra is for how many milliseconds the key outlives the text.
func (r record) extra() (extra int64) {
	_, _, _, extra, _ = lua.ReadHeader(r.begins())
	return extra
}

// left is how long the key lives, as PTTL says it.
func (r record) left() int64 {
	switch {
	case r.kept == "":
		return lua.Free
	case r.ends.IsZero():
		return -1
	}
	return time.Until(r.ends).Milliseconds()
}

// rest is the same, and the text unless it has expired.
func (r record) rest() (left int64, text string) {
	left = r.left()
	if r.kept == "" || left >= 0 && left <= r.extra() {
		return left, ""
	}
	return left, r.kept[lua.HeaderLength:]
}

func (n *Node) read(script lua.Call, f Faults) (any, error) {
	r := n.record(script.Key("value"))
	left, text := r.rest()
	reply := []any{r.begins(), left, text, time.Now().Add(f.Ahead).UnixMicro()}
	if script.Script == lua.Read {
		return reply, nil
	}
	held, exists := n.get(script.Key("lock"))
	left = lua.Free
	if exists {
		left = time.Until(held.expires).Milliseconds()
	}
	if ttl := script.Arg("flagTTL").(int64); ttl != 0 {
		value := "*"
		if flag, flagged := n.get(script.Key("wait")); flagged {
			value = flag.value
		}
		n.flag(script.Key("wait"), value, ttl)
	}
	return append([]any{held.value, left}, reply...), nil
}

func (n *Node) publishValue(script lua.Call) (any, error) {
	if script.Script == lua.PublishHeld {
		if held, _ := n.get(script.Key("lock")); held.value != script.Arg("value") {
			return int64(lua.NotHeld), nil
		}
	}
	key, kept := script.Key("value"), script.Arg("kept").(int64)
	before, mine := n.record(key), record{kept: script.Arg("record").(string)}
	if kept > 0 {
		mine.ends = time.Now().Add(time.Duration(kept) * time.Millisecond)
	}
	order := strings.Compare(mine.version(), before.version())
	longer := before.left() >= 0 && (kept == 0 || kept-mine.extra() > max(before.left()-before.extra(), 0))
	if order > 0 || order == 0 && longer {
		n.records[key] = mine
	}
	if order > 0 {
		n.publish(key[:strings.LastIndexByte(key, ':')]+":news", mine.version()[:lua.HeaderLength/2])
	}
	if order >= 0 {
		return int64(1), nil
	}
	left, text := int64(0), ""
	if script.Arg("former") == int64(1) {
		left, text = before.rest()
	}
	return []any{before.begins(), left, text}, nil
}
