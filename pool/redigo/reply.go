package redigo

import (
	"context"
	"fmt"
	"time"

	"github.com/gomodule/redigo/redis"
	"github.com/quorumlock/quorumlock/pool"
)

// reply turns what redigo makes of a reply into what [pool.Pool] promises.
// redigo speaks RESP2 only, in which a server sends maps as flat arrays,
// booleans as integers and doubles as strings of its own accord.
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

// ended returns why ctx is over, or nil. It asks the clock as well: the timer
// of a context may come round a little after its deadline, and a caller who
// compares with ctx.Err() will see the deadline by then.
func ended(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if at, ok := ctx.Deadline(); ok && !time.Now().Before(at) {
		return context.DeadlineExceeded
	}
	return nil
}

// remaining returns how long a command may take, 0 for no bound, or why ctx is
// over. Of a context with a deadline it asks the clock alone, which is half the
// price: what was cancelled since the call began counts as cancelled meanwhile.
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
