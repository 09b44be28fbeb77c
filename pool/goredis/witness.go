package goredis

import (
	"context"
	"errors"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// A failover client closes its connections when Sentinel announces another master. The old
// master accepts writes for some ten seconds more. So a pipelined connection must be closed
// at that moment as well, or two masters grant.
//
// go-redis has no notification for that. So one of the client's connections is taken out of
// its pool and read: the witness. When the witness is closed, for any reason, the pipelined
// connection is closed.
type witness struct {
	conn  *redis.Conn
	waits bool // the server supports WAIT; otherwise PING is repeated
	stop  chan struct{}
	once  sync.Once // for stop
}

const (
	witnessTimeout = 5 * time.Second // the read timeout of go-redis for the witness
	// witnessWait is how long the server delays the answer to a WAIT. The witness ends at
	// most that long after Close.
	witnessWait = 500 * time.Millisecond
	// witnessPause is the time between two PINGs if the server has no WAIT.
	witnessPause = 20 * time.Millisecond
)

// behindSentinel reports whether options are those of a failover client. go-redis gives them
// all this address.
func behindSentinel(options *redis.Options) bool { return options.Addr == "FailoverClient" }

var errPoolTooSmall = errors.New("goredis: NewPipelined over Sentinel needs a connection of the client's pool for itself: set PoolSize to 2 or more, and MaxActiveConns likewise or to 0")

// call takes a witness out of the client's pool.
func (o *opener) call(ctx context.Context) (*witness, error) {
	if o.options.PoolSize < 2 || o.options.MaxActiveConns == 1 {
		return nil, errPoolTooSmall
	}
	// A clone, for its timeouts, and because it does not run the user's hooks.
	w := &witness{conn: o.client.WithTimeout(witnessTimeout).Conn(), stop: make(chan struct{})}
	if err := w.ask(ctx, ping...); err != nil && !isRefusal(err) {
		w.conn.Close()
		return nil, err
	}
	w.waits = true
	return w, nil
}

// watch calls gone when the witness was closed, and returns. After close it returns within
// witnessWait if the server answers, otherwise within witnessTimeout.
func (w *witness) watch(gone func()) {
	defer w.conn.Close()
	ctx := context.Background()
	for {
		if w.waits {
			// For more replicas than there can be, so the answer comes when the time is over. A
			// server that accepts the command without waiting answers earlier.
			begun := time.Now()
			err := w.ask(ctx, "WAIT", int64(math.MaxInt32), witnessWait.Milliseconds())
			switch {
			case err == nil:
				w.waits = time.Since(begun) >= witnessWait/2
			case isRefusal(err) && !strings.HasPrefix(err.Error(), "UNBLOCKED"):
				w.waits = false // WAIT is denied, or the server is a replica
			default:
				gone()
				return
			}
		} else if err := w.ask(ctx, ping...); err != nil && !isRefusal(err) {
			gone()
			return
		}
		pause := time.Duration(0)
		if !w.waits {
			pause = witnessPause
		}
		select {
		case <-w.stop:
			return
		case <-time.After(pause):
		}
	}
}

// ask sends a command, once.
func (w *witness) ask(ctx context.Context, args ...any) error {
	return w.conn.Process(ctx, newCommand(ctx, nil, 0, args))
}

func (w *witness) close() { w.once.Do(func() { close(w.stop) }) }
