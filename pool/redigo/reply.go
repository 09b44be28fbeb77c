package redigo

import (
	"context"
	"fmt"
	"time"

	"github.com/gomodule/redigo/redis"
	"github.com/quorumlock/quorumlock/pool"
)

// reply turns a reply of redigo into one that [pool.Pool] promises. redigo speaks RESP2
// only. In RESP2 servers send maps as flat arrays, booleans as integers and doubles as
// strings.
func reply(v any) (any, error) {
	switch v := v.(type) {
	case nil, string, int64:
		return v, nil
	case []byte:
		return string(v), nil
	case redis.Error:
		return pool.Error(v), nil
	case []any:
		// Converted in place: the slice was made for this reply.
		for i, element := range v {
			converted, err := reply(element)
			if err != nil {
				return nil, err
			}
			v[i] = converted
		}
		return v, nil
	}
	return nil, fmt.Errorf("redigo: unexpected reply of type %T", v)
}

// ended returns why ctx is over, or nil. It reads the clock as well: the timer of a context
// fires a little after the deadline. A caller that compares the error with ctx.Err() sees
// the deadline by then.
func ended(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if at, ok := ctx.Deadline(); ok && !time.Now().Before(at) {
		return context.DeadlineExceeded
	}
	return nil
}

// remaining returns how long a command may take, 0 for no bound, or why ctx is over. For a
// context with a deadline it only reads the clock, which costs half. A cancellation since
// the call began counts as one that came after the command was sent.
func remaining(ctx context.Context) (time.Duration, error) {
	at, ok := ctx.Deadline()
	if !ok {
		return 0, ctx.Err()
	}
	left := time.Until(at)
	if left <= 0 {
		return 0, context.DeadlineExceeded
	}
	return left, nil
}
