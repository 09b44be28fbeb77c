package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/quorumlock/quorumlock/internal/node/lua"
	"github.com/quorumlock/quorumlock/pool"
)

// A server is the model of one node: what it stores, and how it fails. It is driven by
// one goroutine.
type server struct {
	index int
	name  string
	store *store
	clock nodeClock

	known    map[string]knownScript // that it has, by hash
	frozen   int                    // stopped: what comes waits in the sockets
	down     int                    // not there: connections are refused
	demoted  int                    // it may not be written to
	readOnly bool                   // by what it carries out now
	held     []waiting              // what waits in the sockets

	subs  []*subscription // connections that listen
	conns []*conn         // all of real clients
	lua   *interpreter    // of the scripts, nil if the model does what they mean

	// Of those that are guarded against restarts.
	run     string            // id of its process
	starts  int               // of that
	trusted bool              // it was there long before the run: its marker is set by the first request
	mute    bool              // it forgot, or may have, and no lock was requested since
	saved   map[string]*entry // a copy of its data
	lostAt  time.Duration     // when it last lost data
}

func newServer(i int, c nodeClock) *server {
	return &server{index: i, name: fmt.Sprintf("node%d", i+1), store: newStore(), clock: c, known: make(map[string]knownScript)}
}

func (n *server) String() string { return n.name }

// waiting is a message in a socket of a server that is stopped.
type waiting struct {
	*message
	arrive func()
}

// A nodeClock is the time of day of a server: wrong by a constant, at a rate of its own.
type nodeClock struct {
	now    func() time.Duration // of the run
	rate   int64                // parts per million that it is too fast
	offset time.Duration        // how far it was set
}

// epoch is what the servers take the beginning of a run for.
const epoch = 1_700_000_000_000_000 // microseconds since 1970

func (c *nodeClock) micros() int64 { return c.microsAt(c.now()) }

// microsAt is its time at a time of the run, if it is not set meanwhile.
func (c *nodeClock) microsAt(now time.Duration) int64 {
	return epoch + (now + c.offset + now/1000*time.Duration(c.rate)/1000).Microseconds()
}

// peek is the text under a key, "" for none.
func (n *server) peek(key string) string {
	n.store.now = n.clock.micros() / 1000
	value, _ := n.store.get(key)
	return value
}

// holders are the values that hold a lock: one, or those of the readers that have not ended.
func (n *server) holders(name string) []string {
	if value := n.peek(name); value != "" {
		return []string{value}
	}
	return slices.DeleteFunc(n.store.members(name), func(value string) bool { return !n.has(name, value) })
}

// has reports whether a value holds a lock.
func (n *server) has(name, value string) bool {
	n.store.now = n.clock.micros() / 1000
	e := n.store.find(name)
	if e == nil || value == "" {
		return false
	}
	return e.text == value || e.line[value] > n.store.now
}

// hasAll reports whether a value holds each of several locks.
func (n *server) hasAll(names []string, value string) bool {
	for _, name := range names {
		if !n.has(name, value) {
			return false
		}
	}
	return true
}

// do carries out a command. publish receives its messages.
func (n *server) do(args []any, publish func(channel, message string)) (reply any, err error) {
	micros := n.clock.micros()
	n.store.now = micros / 1000 // as of the beginning, also for what expires meanwhile
	c := command{store: n.store, micros: micros, publish: publish, readOnly: n.readOnly}
	var called knownScript
	verb := args[0].(string)
	switch verb {
	case "PING":
		return "PONG", nil
	case "SET": // key value NX GET PX ttl
		if n.readOnly {
			return nil, errReadOnly
		}
		if !c.is(text(args[1]), aText) {
			return nil, errWrongType // readers hold it
		}
		c.call = lua.Known{Script: lua.Acquire}.Call(args[1:2], []any{args[2], args[6]})
		return acquire(c), nil
	case "GETRANGE": // key begin end
		return c.redis(n.run, []string{verb, text(args[1]), text(args[2]), text(args[3])})
	case "EVAL":
		called = read(text(args[1]))
		n.known[called.SHA] = called
	case "EVALSHA":
		if called = n.known[text(args[1])]; called.text == "" {
			return nil, pool.Error("NOSCRIPT No matching script. Please use EVAL.")
		}
	default:
		return nil, pool.Error(fmt.Sprintf("ERR unknown command '%s'", verb))
	}
	c.call = called.Call(split(args))
	g := guard{called.Guard}
	if g.Guard != nil && !n.readOnly { // which can note nothing
		if n.trusted {
			g.setMarker(c, n.run)
		}
		n.trusted, n.mute = false, false
	}
	reads := called.Script == lua.Read || called.Script == lua.ReadLed
	if n.readOnly && n.lua == nil && !reads { // other reads are refused, too: they are harder to recognise
		return nil, errReadOnly
	}
	if n.lua != nil {
		return n.lua.eval(called.text, c, n.run)
	}
	if g.Guard != nil {
		if err := g.refusal(c, n.run); err != nil {
			return nil, err
		}
	}
	return models[called.Script].run(c), nil
}

// split returns the KEYS and the ARGV of a script.
func split(args []any) (keys, argv []any) {
	n := number(args[2])
	return args[3 : 3+n], args[3+n:]
}
