package fakenode

import (
	"strconv"
	"time"

	"github.com/quorumlock/quorumlock/internal/node/lua"
)

// A fence is what a command says about a fencing token.
type fence struct {
	key         string
	token, life int64
	retake      bool
	ahead       time.Duration // the node's clock
}

func fenceOf(script lua.Call, ahead time.Duration) fence {
	return fence{
		key:    script.Key("fence"),
		token:  script.Arg("token").(int64),
		life:   script.Arg("tokenTTL").(int64),
		retake: script.Arg("retake") != nil,
		ahead:  ahead,
	}
}

// fencedWait is the end of a wait with a fencing token.
func (n *Node) fencedWait(c Command, f fence, ttl any) (any, error) {
	now := c.At.Add(f.ahead).UnixMicro()
	largest := "0"
	if counter, known := n.get(f.key); known {
		largest = counter.value
	}
	known, _ := strconv.ParseInt(largest, 10, 64)
	if held, exists := n.get(c.Key); exists {
		return []any{held.value, time.Until(held.expires).Milliseconds(), largest, now}, nil
	}
	switch {
	case f.retake:
	case f.token <= known || f.token <= now-1000*f.life:
		return []any{"", int64(lua.TooSmall), largest, now}, nil
	case f.token-max(now, known) > (24 * time.Hour).Microseconds():
		return []any{"", int64(lua.TooLarge), largest, now}, nil
	}
	late := max(0, (f.token-now+999)/1000)
	if f.token >= known {
		largest = strconv.FormatInt(f.token, 10)
	}
	n.set(f.key, largest, f.life+late)
	n.set(c.Key, c.Value, ttl)
	if off := f.token - now; -100_000 <= off && off <= 100_000 {
		return int64(lua.NoNews), nil
	}
	return now, nil
}
