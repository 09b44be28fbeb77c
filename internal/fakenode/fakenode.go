// Package fakenode is a model of one Redis node for tests: a [pool.Pool] in
// memory. Its keys expire on the clock of the process, or of the
// testing/synctest bubble, and which can be made to misbehave. It knows what
// the lock sends, nothing else; that real servers agree is for tests with real
// servers to show.
package fakenode

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/quorumlock/quorumlock/internal/node/lua"
	"github.com/quorumlock/quorumlock/pool"
)

// A Node is a fake Redis node and the client to it. Faults may be switched at
// any time and concern the commands sent afterwards, except as noted.
type Node struct {
	name string

	mu        sync.Mutex // protects the rest; never held across a wait
	keys      map[string]entry
	records   map[string]record    // published values
	scripts   map[string]lua.Known // by hash
	thawed    chan struct{}        // closed while not frozen
	faults    Faults
	log       []Command
	calls     int // of Do that have not returned
	refused   int
	published map[string]int // messages by channel
	starts    int            // of the server, which give it a run id
	ended     int            // connections that ended while they were idle
	late      time.Duration  // what is sent on these takes effect so late; negative: never
	closed    bool           // the client
	sent      int            // commands that Do was called with

	subscriptions map[*subscription]bool
}

// Faults say how a node misbehaves. The zero value is a healthy node.
type Faults struct {
	Refuse        bool          // the connection is refused: nothing is sent
	Forbidden     string        // channels that begin so may not be joined
	Unreachable   time.Duration // the client dials for so long, whatever its context says, and nothing is sent
	Error         string        // commands are answered with this error
	Delay         time.Duration // before a command takes effect
	ReplyDelay    time.Duration // after it took effect
	LoseRequests  bool          // commands vanish
	LoseReplies   bool          // commands take effect, their replies vanish
	Reset         bool          // the connection breaks at once; commands take effect all the same
	Uninterrupted bool          // the client ignores its context, and gives up after ClientTimeout
	DropMessages  bool          // subscriptions get no message
	Ahead         time.Duration // how fast its clock is, as it says
	NoNative      bool          // SET refuses NX together with GET, as before Redis 7
}

// ClientTimeout is the timeout of a client that ignores its context.
const ClientTimeout = 3 * time.Minute

// A Command is one that took effect.
type Command struct {
	Verb  string // SET, EVALSHA or EVAL
	Does  string // acquire, extend, release, inspect or swap
	Waits bool   // an acquire that leaves the waiter flag
	Key   string
	Value string
	At    time.Time
}

type entry struct {
	value   string
	expires time.Time            // zero: never
	readers map[string]time.Time // the values of readers, with the end of each; nil if value holds the key alone
}

// New returns a healthy, empty node.
func New(name string) *Node {
	n := &Node{name: name, keys: make(map[string]entry), records: make(map[string]record), scripts: make(map[string]lua.Known), published: make(map[string]int), subscriptions: make(map[*subscription]bool)}
	n.thawed = make(chan struct{})
	close(n.thawed)
	return n
}

// Pools returns n nodes, as nodes and as pools.
func Pools(n int) ([]*Node, []pool.Pool) {
	var nodes []*Node
	var pools []pool.Pool
	for i := range n {
		node := New(fmt.Sprintf("node-%d", i+1))
		nodes, pools = append(nodes, node), append(pools, node)
	}
	return nodes, pools
}

// Clients are the kinds of clients: each turns nodes into pools of that kind, each a
// client of its own.
var Clients = map[string]func(*Node) pool.Pool{
	"plain":     func(n *Node) pool.Pool { return &Client{n} },
	"pipelined": func(n *Node) pool.Pool { return &Pipelined{n} },
}

// Client is a client of a node: one of several, as those of several processes.
type Client struct{ *Node }

// Pipelined is a node with a client that calls back.
type Pipelined struct{ *Node }

// Submit implements [pool.Submitter]. Commands may be reordered here: the
// lock does not rely on their order.
func (p Pipelined) Submit(ctx context.Context, r pool.Receiver, args ...any) {
	go func() { r.Receive(p.Do(ctx, args...)) }() // ends when Do does
}

// String implements pool.Pool.
func (n *Node) String() string { return n.name }

// Do implements pool.Pool.
func (n *Node) Do(ctx context.Context, args ...any) (any, error) {
	n.mu.Lock()
	f, thawed := n.faults, n.thawed
	n.calls++
	n.sent++
	closed := n.closed
	if n.ended > 0 && ctx.Err() == nil {
		n.ended--
		f = Faults{Reset: true, Delay: max(n.late, 0), LoseRequests: n.late < 0}
	}
	n.mu.Unlock()
	defer func() {
		n.mu.Lock()
		n.calls--
		n.mu.Unlock()
	}()
	if closed {
		return nil, fmt.Errorf("%w: %w", pool.ErrNotSent, pool.ErrClosed)
	}
	if f.Refuse {
		n.mu.Lock()
		n.refused++
		n.mu.Unlock()
		return nil, fmt.Errorf("%w: connection refused", pool.ErrNotSent)
	}
	if f.Unreachable > 0 {
		time.Sleep(f.Unreachable)
		return nil, fmt.Errorf("%w: no route to host", pool.ErrNotSent)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", pool.ErrNotSent, err)
	}

	// The server works on its own, whether the client waits or not, and has what was sent.
	args = slices.Clone(args)
	type result struct {
		reply any
		err   error
	}
	answered := make(chan result, 1)
	serve := func() {
		<-thawed
		if f.LoseRequests {
			return
		}
		reply, err := n.execute(args, f)
		if !f.LoseReplies {
			answered <- result{reply, err}
		}
	}
	if f.Reset {
		if f.Delay == 0 && isClosed(thawed) {
			serve()
		} else {
			time.AfterFunc(max(f.Delay, 1), serve)
		}
		return nil, errors.New("connection reset by peer")
	}
	switch immediate := isClosed(thawed) && f.Delay == 0; {
	case immediate:
		serve()
	case f.Delay > 0:
		time.AfterFunc(f.Delay, serve)
	default:
		go serve() // ends when the node thaws
	}
	done, gaveUp := ctx.Done(), ctx.Err
	if f.Uninterrupted {
		own, cancel := context.WithTimeout(context.Background(), ClientTimeout)
		defer cancel()
		done, gaveUp = own.Done(), own.Err
	}
	select {
	case r := <-answered:
		if f.ReplyDelay > 0 {
			select {
			case <-time.After(f.ReplyDelay):
			case <-done:
				return nil, gaveUp()
			}
		}
		return r.reply, r.err
	case <-done:
		return nil, gaveUp()
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// execute carries a command out.
func (n *Node) execute(args []any, f Faults) (any, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if f.Error != "" {
		return nil, pool.Error(f.Error)
	}
	verb := args[0].(string)
	switch verb {
	case "DEL": // of a check
		delete(n.keys, args[1].(string))
		return int64(1), nil
	case "GET": // of a check
		if e, ok := n.get(args[1].(string)); ok {
			return e.value, nil
		}
		return nil, nil
	case "GETRANGE": // of what a published value begins with
		c := n.note(Command{Verb: verb, Does: "read version", Key: args[1].(string)})
		return n.record(c.Key).begins(), nil
	case "PTTL": // of a check
		if e, ok := n.get(args[1].(string)); ok {
			return time.Until(e.expires).Milliseconds(), nil
		}
		return int64(-2), nil
	case "SET": // key value NX GET PX ttl, or key value PX ttl of a check
		if len(args) == 5 {
			n.set(args[1].(string), args[2].(string), args[4])
			return "OK", nil
		}
		if f.NoNative {
			return nil, pool.Error("ERR syntax error")
		}
		if held, _ := n.get(args[1].(string)); held.readers != nil {
			return nil, errReaders
		}
		return n.acquire(n.note(Command{Verb: verb, Does: "acquire", Key: args[1].(string), Value: args[2].(string)}), args[6])
	case "EVALSHA", "EVAL":
		known, ok := n.script(verb, args[1].(string))
		if !ok {
			return nil, pool.Error("NOSCRIPT No matching script. Please use EVAL.")
		}
		c := known.Call(args[3:3+args[2].(int64)], args[3+args[2].(int64):])
		if known.Guard != nil {
			if err := n.guard(*known.Guard); err != nil {
				return nil, err
			}
		}
		return n.run(verb, c, f)
	}
	return nil, pool.Error("ERR unknown command '" + verb + "'")
}

// script is the one that EVAL brings, or that EVALSHA asks for.
func (n *Node) script(verb, text string) (known lua.Known, ok bool) {
	if verb == "EVALSHA" {
		known, ok = n.scripts[text]
		return known, ok
	}
	if known, ok = lua.Find(text); ok {
		n.scripts[known.SHA] = known
	}
	return known, ok
}

// note logs a command that takes effect.
func (n *Node) note(c Command) Command {
	c.At = time.Now()
	n.log = append(n.log, c)
	return c
}

func (n *Node) get(key string) (entry, bool) {
	e, ok := n.keys[key]
	if e.readers != nil {
		e, ok = asReaders(e)
	}
	if ok && !e.expires.IsZero() && !e.expires.After(time.Now()) {
		delete(n.keys, key)
		return entry{}, false
	}
	return e, ok
}

// flag leaves the waiter flag, for no less than one that is there. ttl is in milliseconds.
func (n *Node) flag(key, value string, ttl int64) {
	if flag, flagged := n.get(key); flagged {
		ttl = max(ttl, time.Until(flag.expires).Milliseconds())
	}
	n.set(key, value, ttl)
}

func (n *Node) set(key, value string, ttl any) {
	n.keys[key] = entry{value: value, expires: time.Now().Add(time.Duration(ttl.(int64)) * time.Millisecond)}
}
