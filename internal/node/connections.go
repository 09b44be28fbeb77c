package node

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	sample  = 4                     // connections that a client is made to use
	heldFor = 60 * time.Millisecond // each of them, meanwhile
	takes   = 2 * time.Millisecond  // for a call to take its connection; if it takes longer, less is seen
)

// survey asks several connections of the client which server and which database they
// are connected to. A balancer, or two masters under one name, give one connection this
// server and the next one that; and a connection that somebody used before may have been
// left in another database.
//
// A client uses the same connection again as long as it is free. So each is kept busy by a
// WAIT for replicas that do not exist while the next one is asked. A user who may not WAIT
// sees less. Clients that pipeline have one connection, which others need: they are asked
// on that. What fails here is found out elsewhere.
func (x *exam) survey() {
	c := &x.facts.Connections
	c.Named = databaseIn(x.facts.Node)
	if id := x.facts.Server.RunID; id != "" {
		c.RunIDs = []string{id}
	}
	if x.broken != nil {
		c.Err = x.broken
		return
	}
	do := func(args ...any) (string, error) {
		ctx, cancel := context.WithTimeout(x.ctx, x.Patience)
		defer cancel()
		reply, err := x.node.pool.Do(ctx, args...)
		text, _ := reply.(string)
		return text, discreet(err)
	}
	var busy sync.WaitGroup
	defer busy.Wait()
	for i := range sample {
		text, err := do("CLIENT", "INFO")
		if db, ok := databaseOf(text); ok {
			c.Databases = added(c.Databases, db)
		} else if i == 0 {
			c.Err = err
		}
		if x.facts.ServerErr == nil {
			text, _ = do("INFO", "server")
			if id := parseInfo(text).RunID; id != "" {
				c.RunIDs = added(c.RunIDs, id)
			}
		}
		if x.node.submitter != nil || x.ctx.Err() != nil {
			return
		}
		busy.Go(func() { _, _ = do("WAIT", int64(1000), heldFor.Milliseconds()) }) // ends by itself
		time.Sleep(takes)
	}
}

// added is the set with one more.
func added[E comparable](set []E, e E) []E {
	if slices.Contains(set, e) {
		return set
	}
	return append(set, e)
}

// databaseOf reads the reply to CLIENT INFO: "id=3 addr=... db=0 ...".
func databaseOf(text string) (int64, bool) {
	for field := range strings.FieldsSeq(text) {
		if number, ok := strings.CutPrefix(field, "db="); ok {
			n, err := strconv.ParseInt(number, 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}

// databaseIn reads the database in the name of a node, "redis-1:6379/2": -1 if there is
// none.
func databaseIn(name string) int64 {
	host, number, ok := strings.Cut(name, "/")
	n, err := strconv.ParseInt(number, 10, 32)
	if !ok || err != nil || n < 0 || !strings.Contains(host, ":") {
		return -1
	}
	return n
}
