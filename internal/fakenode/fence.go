package fakenode

import (
	"strconv"
	"time"
)

// A fence is what a command says about a fencing token.
type fence struct {
	key, token string
	life       any
	again      bool
	ahead      time.Duration // the node's clock
}

// runFenced is run for an acquire with a fencing token.
func (n *Node) runFenced(c Command, f fence, args []any) (any, error) {
	c.At = time.Now()
	n.log = append(n.log, c)
	now := c.At.Add(f.ahead).UnixMicro()
	newest := "0"
	if counter, known := n.get(f.key); known {
		newest = counter.value
	}
	token, _ := strconv.ParseInt(f.token, 10, 64)
	known, _ := strconv.ParseInt(newest, 10, 64)
	held, exists := n.get(c.Key)
	if exists {
		if held.value != c.Value && args[3] != int64(0) {
			n.set(args[1].(string), args[2].(string), args[3])
		}
		return []any{held.value, time.Until(held.expires).Milliseconds(), newest, now}, nil
	}
	switch {
	case f.again:
	case token <= known || token <= now-1000*f.life.(int64):
		return []any{"", int64(-3), newest, now}, nil
	case token-max(now, known) > (24 * time.Hour).Microseconds():
		return []any{"", int64(-4), newest, now}, nil
	}
	late := max(0, (token-now+999)/1000)
	if token >= known {
		newest = f.token
	}
	n.set(f.key, newest, f.life.(int64)+late)
	n.set(c.Key, c.Value, args[0])
	return now, nil
}
