package kit_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomodule/redigo/redis"
	goredis "github.com/redis/go-redis/v9"

	"github.com/quorumlock/quorumlock/redlocktest"
)

// kitPatience is how long a client waits for an answer. Where none will come it
// is time that passes for real in TCP mode.
const kitPatience = 200 * time.Millisecond

// kitClient sends one command and gives up after kitPatience. Each is a client
// with its own connections.
type kitClient func(args ...any) (any, error)

var kitClients = map[string]func(t *testing.T, n *redlocktest.Node) kitClient{
	"go-redis": func(t *testing.T, n *redlocktest.Node) kitClient {
		c := goredis.NewClient(&goredis.Options{
			Addr: n.Addr(), Dialer: n.Dial,
			MaxRetries: -1, ReadTimeout: kitPatience, DialerRetries: 1,
		})
		t.Cleanup(func() { c.Close() })
		return func(args ...any) (any, error) { return c.Do(context.Background(), args...).Result() }
	},
	"redigo": func(t *testing.T, n *redlocktest.Node) kitClient {
		p := &redis.Pool{MaxIdle: 4, Dial: func() (redis.Conn, error) {
			return redis.Dial("tcp", n.Addr(), redis.DialContextFunc(n.Dial), redis.DialReadTimeout(kitPatience))
		}}
		t.Cleanup(func() { p.Close() })
		return func(args ...any) (any, error) {
			c := p.Get()
			defer c.Close()
			v, err := c.Do(args[0].(string), args[1:]...)
			if b, ok := v.([]byte); ok {
				v = string(b)
			}
			if v == nil && err == nil {
				err = goredis.Nil
			}
			return v, err
		}
	},
}

// onKit runs a test on one node, for every client and mode.
func onKit(t *testing.T, test func(t *testing.T, n *redlocktest.Node, dial func() kitClient)) {
	for name, client := range kitClients {
		t.Run("TCP/"+name, func(t *testing.T) {
			t.Parallel()
			n := redlocktest.New(t, 1).Node(0)
			test(t, n, func() kitClient { return client(t, n) })
		})
		t.Run("bubble/"+name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := redlocktest.NewInMemory(t, 1).Node(0)
				test(t, n, func() kitClient { return client(t, n) })
			})
		})
	}
}

func kitWant(t *testing.T, do kitClient, want any, args ...any) {
	t.Helper()
	got, err := do(args...)
	if errors.Is(err, goredis.Nil) {
		got, err = nil, nil
	}
	if err != nil || got != want {
		t.Fatalf("%v = %v, %v, want %v", args, got, err, want)
	}
}

func kitWantTimeout(t *testing.T, do kitClient, args ...any) {
	t.Helper()
	v, err := do(args...)
	var timeout net.Error
	if !errors.Is(err, os.ErrDeadlineExceeded) && (!errors.As(err, &timeout) || !timeout.Timeout()) {
		t.Fatalf("%v = %v, %v, want a timeout", args, v, err)
	}
}

func kitAwait(t *testing.T, n *redlocktest.Node, reached func(redlocktest.Stats) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := n.Await(ctx, reached); err != nil {
		t.Fatal(err)
	}
}

// kitTime returns how far the node's TIME is ahead.
func kitTime(t *testing.T, do kitClient) time.Duration {
	t.Helper()
	reply, err := do("TIME")
	if err != nil {
		t.Fatal(err)
	}
	var sec, usec int64
	parts := reply.([]any)
	if _, err := fmt.Sscanf(fmt.Sprintf("%s %s", parts[0], parts[1]), "%d %d", &sec, &usec); err != nil {
		t.Fatal(err)
	}
	return time.Until(time.Unix(sec, usec*1000))
}

func kitWantAbout(t *testing.T, want, got time.Duration) {
	t.Helper()
	if d := want - got; d < -5*time.Second || d > 5*time.Second {
		t.Fatalf("%v, want about %v", got, want)
	}
}
