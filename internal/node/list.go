package node

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/quorumlock/quorumlock/internal/node/lua"
)

// A listing is bounded at every step, so that a node with many keys serves other clients in
// between: no step takes a server much more than a millisecond of its processor.
const (
	listScan  = 500              // keys that one SCAN visits
	listPage  = 64               // keys that one script looks at, at most
	listSpend = 1000             // commands that it runs before it leaves the rest for the next call
	listPause = time.Millisecond // after each of them, at most

	// LongestOurs is the longest value of a lock of ours that is listed, in bytes, with the number of
	// its readers before it.
	LongestOurs = 180
	// LongestToken is the longest value of locks of other libraries that are listed.
	LongestToken = 40
)

// ErrTooMany is the error of a listing that found more names than it may.
var ErrTooMany = errors.New("too many names")

var errListing = errors.New("the client has not returned from an earlier listing yet")

// A Listing says what to list.
type Listing struct {
	Prefix   string                  // that keys begin with
	Patience time.Duration           // for the answer to one question
	Most     int                     // names
	Lock     func(value string) bool // whether a value is that of a lock
}

// List returns the holders of the locks whose keys begin with a prefix, by key. It asks one
// question after the other, and none after a question that was not answered. What was locked or
// released meanwhile may be included or not.
//
// It bypasses the circuit breaker, as an examination does: there is one listing of a node at a
// time. It returns when ctx ends, or soon after its patience, whatever the client does.
// returned is called when the client has returned.
func (n *Node) List(ctx context.Context, what Listing, returned func()) (map[string]Answer, error) {
	l := &listing{Listing: what, node: n, ctx: ctx, found: make(map[string]Answer)}
	select {
	case n.listing <- struct{}{}:
	default:
		returned()
		return nil, errListing
	}
	err := l.run()
	if l.hung == nil {
		<-n.listing
		returned()
	} else {
		go func() { // ends when the client returns
			<-l.hung
			<-n.listing
			returned()
		}()
	}
	if err != nil {
		return nil, err
	}
	return l.found, nil
}

// A listing is one under way.
type listing struct {
	Listing
	node  *Node
	ctx   context.Context
	found map[string]Answer
	hung  chan struct{} // closed when the client returns from a call that was given up
}

func (l *listing) run() error {
	for cursor := "0"; ; {
		next, keys, err := l.scan(cursor)
		if err != nil {
			return err
		}
		for len(keys) > 0 {
			page := keys[:min(len(keys), listPage)]
			done, err := l.look(page)
			switch {
			case err != nil:
				return err
			case len(l.found) > l.Most:
				return ErrTooMany
			}
			keys = keys[done:]
		}
		switch next {
		case "0":
			return nil
		case cursor:
			return fmt.Errorf("SCAN returned the cursor that it was given: is this a Redis server?")
		}
		cursor = next
	}
}

// scan asks for some of the keys. It returns those that may be locks and were not looked at
// yet: a server may name a key twice.
func (l *listing) scan(cursor string) (next string, keys []string, err error) {
	reply, err := l.ask("SCAN", cursor, "MATCH", Glob(l.Prefix), "COUNT", int64(listScan))
	if err != nil {
		return "", nil, &notListed{err, "SCAN"}
	}
	pair, ok := reply.([]any)
	if !ok || len(pair) != 2 {
		return "", nil, fmt.Errorf("unexpected reply %T to SCAN: is this a Redis server?", reply)
	}
	next, ok = pair[0].(string)
	names, ok2 := pair[1].([]any)
	if !ok || !ok2 {
		return "", nil, fmt.Errorf("unexpected reply to SCAN: is this a Redis server?")
	}
	for _, name := range names {
		key, ok := name.(string)
		if !ok || !strings.HasPrefix(key, l.Prefix) || IsSideKey(key) {
			continue
		}
		if _, again := l.found[key]; !again {
			keys = append(keys, key)
		}
	}
	return next, keys, nil
}

// look reads keys, and returns how many of them are done.
func (l *listing) look(keys []string) (done int, err error) {
	args := make([]any, 0, 3*len(keys)+7)
	args = append(args, "EVAL", unguarded.all[lua.List].Text, int64(3*len(keys)))
	for _, key := range keys {
		args = append(args, key, SideKey(key, "queue"), SideKey(key, "lease"))
	}
	reply, err := l.ask(append(args, int64(len(keys)), int64(LongestOurs), int64(LongestToken), int64(listSpend))...)
	if err != nil {
		return 0, &notListed{err, "EVAL"}
	}
	replies, ok := reply.([]any)
	if !ok || len(replies) == 0 || len(replies)%3 != 0 || len(replies) > 3*len(keys) {
		return 0, fmt.Errorf("unexpected reply %T to a script: is this a Redis server?", reply)
	}
	for i := 0; i < len(replies); i += 3 {
		var a Answer
		if list, ok := lua.List.Reply(replies[i : i+3]); ok {
			a = inspected(list)
		}
		switch a.Status {
		case Taken:
		case Absent:
			continue // no lock
		default:
			return 0, fmt.Errorf("unexpected reply to a script: is this a Redis server?")
		}
		if len(a.Holder) <= LongestOurs && l.Lock(a.Holder) {
			l.found[keys[i/3]] = a
		}
	}
	return len(replies) / 3, nil
}

// ask asks one question, and repeats it if a connection ended that was idle for long: to read
// twice changes nothing.
func (l *listing) ask(args ...any) (reply any, err error) {
	ctx, cancel := context.WithTimeout(l.ctx, l.Patience)
	defer cancel()
	begun := time.Now()
	defer func() { time.Sleep(min(time.Since(begun)/2, listPause)) }() // other clients come first
	for range atOnce {
		if reply, err = l.put(ctx, args); !connectionEnded(err) || ctx.Err() != nil || l.hung != nil {
			break
		}
	}
	switch {
	case err == nil, l.ctx.Err() != nil:
	case errors.Is(err, context.DeadlineExceeded):
		return nil, fmt.Errorf("no answer within %v: %w", l.Patience, err)
	}
	return reply, err
}

// put waits for the client, but not for a client that ignores its context.
func (l *listing) put(ctx context.Context, args []any) (any, error) {
	type result struct {
		reply any
		err   error
	}
	answered, returned := make(chan result, 1), make(chan struct{})
	go func() { // ends when the client returns
		defer close(returned)
		reply, err := l.node.pool.Do(ctx, args...)
		answered <- result{reply, redact(err)}
	}()
	select {
	case r := <-answered:
		return r.reply, r.err
	case <-ctx.Done():
	}
	late := time.NewTimer(l.Patience / 4)
	defer late.Stop()
	select {
	case r := <-answered:
		return r.reply, r.err
	case <-late.C:
		l.hung = returned
		return nil, ctx.Err()
	}
}

// Glob returns the pattern that matches what begins with prefix, and nothing else.
func Glob(prefix string) string {
	return globbed.Replace(prefix) + "*"
}

var globbed = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`)

// A notListed error is that of a command which locks do not need, or need differently.
type notListed struct {
	error
	command string
}

func (e *notListed) Unwrap() error { return e.error }

// cause says what to do about it. c is the cause by its text.
func (e *notListed) cause(c cause) cause {
	const keys = "a listing reads every key that begins with its prefix, and \"{key}:queue\" and \"{key}:lease\": ask for a prefix that this user may read"
	switch {
	case refusalHas(e, "to access") || refusalHas(e, "access a key") || refusalHas(e, "can't access"):
		c.remedy = keys
	case e.command == "SCAN" && refusalHas(e, "NOPERM"):
		c.remedy = "a listing needs a right that locks do not: ACL SETUSER <user> +scan"
	case e.command == "SCAN" && (refusalHas(e, "unknown command") || c.remedy == notOffered):
		c.remedy = "a listing needs SCAN, which this server or a proxy before it does not offer: ask the server itself"
	case refusalHas(e, "NOPERM"), refusalHas(e, "executing the script can't"), refusalHas(e, "ACL failure in script"):
		c.remedy = "a listing needs the rights: ACL SETUSER <user> +scan +eval +getrange +pttl"
	}
	return c
}
