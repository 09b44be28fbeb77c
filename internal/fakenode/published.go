package fakenode

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/quorumlock/quorumlock/internal/node/lua"
)

// A record is a published value: see record.lua.
type record struct {
	version [3]int64 // term, seq, writer
	ends    time.Time
	ever    bool
	text    string
}

// remains is how long the text lives, in milliseconds, negative if for ever.
func (r record) remains() int64 {
	if r.ever {
		return -1
	}
	return max(time.Until(r.ends).Milliseconds(), 0)
}

// shown is the text, if it has not expired.
func (r record) shown() string {
	if r.remains() == 0 {
		return ""
	}
	return r.text
}

func (n *Node) record(key string) record {
	r, ok := n.records[key]
	if !ok {
		return record{ends: time.Now()}
	}
	return r
}

func (n *Node) read(script lua.Call, f Faults) (any, error) {
	r := n.record(script.Key("value"))
	text := r.shown()
	if script.Script == lua.Read && script.Arg("text") == int64(0) {
		text = ""
	}
	reply := []any{r.version[0], r.version[1], r.version[2], r.remains(), text, time.Now().Add(f.Ahead).UnixMicro()}
	if script.Script == lua.Read {
		return reply, nil
	}
	held, exists := n.get(script.Key("lock"))
	left := int64(lua.Free)
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
			return []any{int64(lua.NotHeld), int64(0), int64(0), int64(0), int64(0), ""}, nil
		}
	}
	key, number := script.Key("value"), func(name string) int64 { return script.Arg(name).(int64) }
	before := n.record(key)
	mine := [3]int64{number("term"), number("seq"), number("writer")}
	order := cmp.Or(cmp.Compare(mine[0], before.version[0]), cmp.Compare(mine[1], before.version[1]), cmp.Compare(mine[2], before.version[2]))
	retention, kept := time.Duration(number("retention"))*time.Millisecond, number("kept")
	longer := before.remains() >= 0 && (kept == 0 || retention.Milliseconds() > before.remains())
	if order > 0 || order == 0 && longer {
		n.records[key] = record{mine, time.Now().Add(retention), kept == 0, script.Arg("text").(string)}
	}
	if order > 0 {
		n.publish(key[:strings.LastIndexByte(key, ':')]+":news", fmt.Sprintf("%d.%d", mine[0], mine[1]))
	}
	done := int64(1)
	if order < 0 {
		done = 0
	}
	remains, text := int64(0), ""
	if order < 0 && number("former") == 1 {
		remains, text = before.remains(), before.shown()
	}
	return []any{done, before.version[0], before.version[1], before.version[2], remains, text}, nil
}
