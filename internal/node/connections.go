package node

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/quorumlock/quorumlock/pool"
)

const (
	sample  = 4                      // connections that a client is made to use
	heldFor = 250 * time.Millisecond // each of them, that long
	takes   = 2 * time.Millisecond   // for a call to take its connection, if the machine is not busy
	tries   = 6                      // with a pause that doubles: 62 ms in all
)

// survey asks several connections of the client which server and which database they are
// connected to. A balancer, or two masters under one name, connect one connection to this
// server and the next one to another. And an earlier user of a connection may have left it in
// another database.
//
// A client uses the same connection again as long as it is free. So each is kept busy by a WAIT
// for replicas that do not exist while the next one is asked. A user without the right to WAIT
// sees less. Clients that pipeline have one connection, which other calls need: they are asked
// on that. What fails here is reported elsewhere.
func (x *examination) survey() {
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
		return text, redact(err)
	}
	seen := make(map[string]bool) // connections
	for i := range sample {
		for try := range tries {
			if i > 0 {
				time.Sleep(takes << try)
			}
			text, err := do("CLIENT", "INFO")
			if errors.Is(err, pool.ErrNoConn) { // there are no more, and the next question needs one
				x.busy.Wait()
				return
			}
			if db, ok := field(text, "db="); ok {
				if n, err := strconv.ParseInt(db, 10, 64); err == nil {
					c.Databases = added(c.Databases, n)
				}
			} else if i == 0 {
				c.Err = err
			}
			from, known := field(text, "addr=")
			if !known || !seen[from] {
				seen[from] = true
				break
			}
		}
		if x.facts.ServerErr == nil {
			text, _ := do("INFO", "server")
			if id := parseInfo(text).RunID; id != "" {
				c.RunIDs = added(c.RunIDs, id)
			}
		}
		if i == sample-1 || x.node.submitter != nil || x.ctx.Err() != nil {
			return // one stays free
		}
		x.busy.Go(func() { _, _ = do("WAIT", int64(1000), heldFor.Milliseconds()) }) // ends after heldFor
	}
}

// added is the set with one more.
func added[E comparable](set []E, e E) []E {
	if slices.Contains(set, e) {
		return set
	}
	return append(set, e)
}

// field reads one field of the reply to CLIENT INFO: "id=3 addr=... db=0 ...".
func field(text, name string) (value string, ok bool) {
	for f := range strings.FieldsSeq(text) {
		if value, ok = strings.CutPrefix(f, name); ok {
			return value, true
		}
	}
	return "", false
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
