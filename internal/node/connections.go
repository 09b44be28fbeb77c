package node

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
)

const (
	sample = 4 // connections that a client is made to use
	rounds = 3
)

// survey asks several connections of the client which server and which database they
// are connected to. A balancer, or two masters under one name, give one connection this
// server and the next one that; and a connection that somebody used before may have been
// left in another database. Clients that pipeline have one connection, and are asked on
// that.
//
// This is the only place where questions are put at the same time: else a client would
// use one connection for all of them. What fails here is found out elsewhere.
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
	var mu sync.Mutex // protects c and said below
	said := x.facts.ServerErr == nil
	ask := func(args ...any) (string, error) {
		ctx, cancel := context.WithTimeout(x.ctx, x.Patience)
		defer cancel()
		reply, err := x.node.pool.Do(ctx, args...)
		text, _ := reply.(string)
		return text, discreet(err)
	}
	one := func(info, client bool) {
		if info {
			text, _ := ask("INFO", "server")
			if id := parseInfo(text).RunID; id != "" {
				mu.Lock()
				c.RunIDs = added(c.RunIDs, id)
				mu.Unlock()
			}
		}
		if client {
			text, err := ask("CLIENT", "INFO")
			db, ok := databaseOf(text)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case ok:
				c.Databases = added(c.Databases, db)
			case err != nil && c.Err == nil:
				c.Err = err
			}
		}
	}
	one(false, true) // it may be refused, and then it is not asked again
	for range rounds {
		var all sync.WaitGroup
		client := c.Databases != nil
		for range sample {
			all.Go(func() { one(said, client) })
		}
		all.Wait()
		if x.ctx.Err() != nil {
			return
		}
	}
	if c.Databases != nil {
		c.Err = nil
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
