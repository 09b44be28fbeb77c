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

// A failover client closes its connections when Sentinel announces another master. The
// old master takes writes for some ten seconds more, so a connection that is not the
// client's must go at that moment, too, or there are two masters that grant.
//
// go-redis tells nobody of it. So one of the client's connections is checked out and
// listened to: the witness. When it is closed, whoever did it, the pipelined connection is.
type witness struct {
	conn  *redis.Conn
	waits bool // the server lets it wait; else it is asked again and again
	stop  chan struct{}
	once  sync.Once // for stop
}

const (
	witnessTimeout = 5 * time.Second // of go-redis, for an answer
	// witnessWait is how long the server lets the witness wait for an answer, and so how
	// long it is still there after Close.
	witnessWait = 500 * time.Millisecond
	// witnessPause is the time between two questions if the server does not.
	witnessPause = 20 * time.Millisecond
)

// behindSentinel reports whether options are those of a failover client. That is how
// go-redis names them all.
func behindSentinel(options *redis.Options) bool { return options.Addr == "FailoverClient" }

var errPoolTooSmall = errors.New("goredis: NewPipelined over Sentinel needs a connection of the client's pool for itself: set PoolSize to 2 or more, and MaxActiveConns likewise or to 0")

// call checks a witness out.
func (o *opener) call(ctx context.Context) (*witness, error) {
	if o.options.PoolSize < 2 || o.options.MaxActiveConns == 1 {
		return nil, errPoolTooSmall
	}
	// A clone, for its timeouts, and because it leaves the user's hooks behind.
	w := &witness{conn: o.client.WithTimeout(witnessTimeout).Conn(), stop: make(chan struct{})}
	if err := w.ask(ctx, ping...); err != nil && !isRefusal(err) {
		w.conn.Close()
		return nil, err
	}
	w.waits = true
	return w, nil
}

// watch calls gone when the witness was closed. It returns then, or after close, within
// witnessWait if the server answers, or else within witnessTimeout.
func (w *witness) watch(gone func()) {
	defer w.conn.Close()
	ctx := context.Background()
	for {
		if w.waits {
			// For more replicas than there can be: the answer comes when the time is over,
			// except from what takes the command and does not wait.
			begun := time.Now()
			err := w.ask(ctx, "WAIT", int64(math.MaxInt32), witnessWait.Milliseconds())
			switch {
			case err == nil:
				w.waits = time.Since(begun) >= witnessWait/2
			case isRefusal(err) && !strings.HasPrefix(err.Error(), "UNBLOCKED"):
				w.waits = false // no right to it, a replica
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
