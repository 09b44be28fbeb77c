package adapters_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/quorumlock/quorumlock/pool/goredis"
	goredisv9 "github.com/redis/go-redis/v9"
)

// deadlines notes the latest deadline that connections are given.
type deadlines struct {
	mu     sync.Mutex // protects the rest
	latest time.Time
}

func (d *deadlines) note(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if t.After(d.latest) {
		d.latest = t
	}
}

func (d *deadlines) forget() (latest time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	latest, d.latest = d.latest, time.Time{}
	return latest
}

type notingConn struct {
	net.Conn
	*deadlines
}

func (c notingConn) SetDeadline(t time.Time) error {
	c.note(t)
	return c.Conn.SetDeadline(t)
}

func (c notingConn) SetReadDeadline(t time.Time) error {
	c.note(t)
	return c.Conn.SetReadDeadline(t)
}

// A client waits for a connection, and then for the server: both within one deadline.
func TestGoRedisWaitsForNothingMoreThanAnEighthBeyondTheDeadline(t *testing.T) {
	const had, lost = time.Second, 200 * time.Millisecond
	for name, size := range map[string]int{
		"the only connection is in use for a while":                1,
		"others have taken the idle one, and a dial takes a while": 2,
	} {
		t.Run(name, func(t *testing.T) {
			var set deadlines
			slow := make(chan struct{})
			client := newGoRedisClient(t, &goredisv9.Options{
				Addr: miniredis.RunT(t).Addr(), PoolSize: size,
				Dialer: func(ctx context.Context, network, addr string) (net.Conn, error) {
					select {
					case <-slow:
						time.Sleep(lost)
					default:
					}
					conn, err := new(net.Dialer).DialContext(ctx, network, addr)
					return notingConn{conn, &set}, err
				},
			})
			p := goredis.New(client)
			if _, err := p.Do(patience(t), "PING"); err != nil {
				t.Fatal(err)
			}
			idle := client.Conn() // p still counts on it
			if err := idle.Ping(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}
			close(slow)
			set.forget()
			if size == 1 {
				time.AfterFunc(lost, func() { _ = idle.Close() })
			}
			ctx, cancel := context.WithTimeout(t.Context(), had)
			defer cancel()
			_, err := p.Do(ctx, "PING")
			at, _ := ctx.Deadline()
			if beyond := set.forget().Sub(at); beyond > had/8 {
				t.Errorf("it would have waited until %v after the deadline (and got %v)", beyond, err)
			}
		})
	}
}
