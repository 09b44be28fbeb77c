package redlocktest_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/quorumlock/quorumlock/pool"
	"github.com/quorumlock/quorumlock/redlock"
	"github.com/quorumlock/quorumlock/redlocktest"
)

// Two of five masters hang, and the lock is granted all the same. A service uses its own
// client where this example has a small one: one of go-redis is made with Addr:
// node.Addr() and Dialer: node.Dial.
func Example() {
	cluster, err := redlocktest.Start(5) // in a test: redlocktest.New(t, 5)
	if err != nil {
		panic(err)
	}
	defer cluster.Close()
	var pools []pool.Pool
	for _, node := range cluster.Nodes() {
		pools = append(pools, client{node}) // goredis.New(redis.NewClient(...))
	}
	locker, err := redlock.New(pools)
	if err != nil {
		panic(err)
	}

	cluster.Node(0).Freeze()
	cluster.Node(1).Freeze()
	lock, err := locker.TryLock(context.Background(), "backup")
	if err != nil {
		panic(err)
	}
	held, total := lock.Held()
	fmt.Printf("held on %d of %d\n", held, total)
	fmt.Println("unlock:", lock.Unlock(context.Background()))

	cluster.Node(0).Thaw()
	cluster.Node(1).Thaw()
	fmt.Println("close:", locker.Close(context.Background()))
	// Output:
	// held on 3 of 5
	// unlock: <nil>
	// close: <nil>
}

// A client opens a connection for each command. An example on a library would have every
// user of this package download it.
type client struct{ node *redlocktest.Node }

func (c client) String() string { return c.node.Addr() }

func (c client) Do(ctx context.Context, args ...any) (any, error) {
	conn, err := c.node.Dial(ctx, "tcp", c.node.Addr())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", pool.ErrNotSent, err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(args))
	for _, arg := range args {
		text := fmt.Sprint(arg)
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(text), text)
	}
	if _, err = io.WriteString(conn, b.String()); err == nil {
		var reply any
		if reply, err = readReply(bufio.NewReader(conn)); err == nil {
			refusal, refused := reply.(pool.Error)
			if refused {
				return nil, refusal
			}
			return reply, nil
		}
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return nil, err
}

func readReply(r *bufio.Reader) (any, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return nil, err
	}
	kind, text := line[0], strings.TrimSpace(line[1:])
	n, _ := strconv.ParseInt(text, 10, 64)
	switch {
	case kind == '+':
		return text, nil
	case kind == '-':
		return pool.Error(text), nil
	case kind == ':':
		return n, nil
	case n < 0:
		return nil, nil
	case kind == '$':
		b := make([]byte, n+2)
		_, err := io.ReadFull(r, b)
		return string(b[:n]), err
	}
	list := make([]any, n)
	for i := range list {
		if list[i], err = readReply(r); err != nil {
			return nil, err
		}
	}
	return list, nil
}
