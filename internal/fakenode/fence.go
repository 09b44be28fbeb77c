package fakenode

import (
	"strconv"
	"time"
)

// A fence is what a command says about a fencing token.
type fence struct {
	key         string
	token, life int64
	again       bool
	ahead       time.Duration // the node's clock
}

// fenceOf takes what a command says about a token from the end of its arguments.
func fenceOf(key string, argv []any, ahead time.Duration) (*fence, []any) {
	f := &fence{key: key, ahead: ahead, again: argv[len(argv)-1] == "again"}
	if f.again {
		argv = argv[:len(argv)-1]
	}
	given := len(argv) - 2
	f.token, f.life = argv[given].(int64), argv[given+1].(int64)
	return f, argv[:given]
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
	known, _ := strconv.ParseInt(newest, 10, 64)
	held, exists := n.get(c.Key)
	if exists {
		if held.value != c.Value && c.wait != "" {
			n.mark(c.wait, args[1].(string), args[2].(int64))
		}
		return []any{held.value, time.Until(held.expires).Milliseconds(), newest, now}, nil
	}
	switch {
	case f.again:
	case f.token <= known || f.token <= now-1000*f.life:
		return []any{"", int64(-3), newest, now}, nil
	case f.token-max(now, known) > (24 * time.Hour).Microseconds():
		return []any{"", int64(-4), newest, now}, nil
	}
	late := max(0, (f.token-now+999)/1000)
	if f.token >= known {
		newest = strconv.FormatInt(f.token, 10)
	}
	n.set(f.key, newest, f.life+late)
	n.set(c.Key, c.Value, args[0])
	if off := f.token - now; -100_000 <= off && off <= 100_000 {
		return int64(1), nil
	}
	return now, nil
}
