package adapters_test

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"
	"github.com/quorumlock/quorumlock/pool"
	"github.com/quorumlock/quorumlock/pool/goredis"
	"github.com/quorumlock/quorumlock/pool/redigo"
	goredisv9 "github.com/redis/go-redis/v9"
)

// mute starts a server that accepts connections and never says a word, as one does
// that is frozen. When it ends it hangs up.
func mute(t *testing.T) (addr string, hangUp func()) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns []net.Conn
	var accepting sync.WaitGroup
	accepting.Go(func() { // ends with the listener
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conns = append(conns, conn)
		}
	})
	hangUp = sync.OnceFunc(func() {
		listener.Close()
		accepting.Wait()
		for _, conn := range conns {
			conn.Close()
		}
	})
	t.Cleanup(hangUp)
	return listener.Addr().String(), hangUp
}

func TestAGreetingThatIsNotAnsweredDoesNotHoldUpClose(t *testing.T) {
	type closing interface {
		pool.Pool
		io.Closer
	}
	// Clients by themselves wait for 3 s, 5 s or for ever.
	const atOnce, leftBehind = 800 * time.Millisecond, 2500 * time.Millisecond
	for name, c := range map[string]struct {
		open   func(addr string) closing
		within time.Duration
	}{
		"go-redis": {func(addr string) closing {
			return goredis.NewPipelined(newGoRedisClient(t, &goredisv9.Options{Addr: addr, Password: secret}))
		}, atOnce},
		"redigo": {func(addr string) closing {
			return redigo.NewPipelined(redigoDial(addr, nil, redis.DialPassword(secret)), redigo.WithName(addr))
		}, atOnce},
		"direct": {func(addr string) closing { return newDirect(t, addr) }, atOnce},
		"redigo without a context": {func(addr string) closing {
			return redigo.NewPipelined(func(context.Context) (redis.Conn, error) {
				return redis.Dial("tcp", addr, redis.DialPassword(secret))
			}, redigo.WithName(addr))
		}, leftBehind},
	} {
		t.Run(name, func(t *testing.T) {
			addr, hangUp := mute(t)
			p := c.open(addr)
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			_, err := p.Do(ctx, "SET", "key", "value")
			wantError(t, err, pool.ErrNotSent, context.DeadlineExceeded)
			begun := time.Now()
			if err := p.Close(); err != nil {
				t.Error(err)
			}
			if took := time.Since(begun); took > c.within {
				t.Errorf("Close took %v", took)
			}
			hangUp() // what redigo without a context waits for
		})
	}
}
