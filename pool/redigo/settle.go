package redigo

import (
	"context"
	"fmt"
	"regexp"
	"time"

	"github.com/gomodule/redigo/redis"
	"github.com/quorumlock/quorumlock/pool"
)

// settle reads the replies that a dial function left unread, before the first command
// is sent. To leave them is right with redigo, whose Do reads them first:
//
//	conn.Send("CLIENT", "SETNAME", "worker")
//	return conn, nil
//
// On a connection that pipelines each would be taken for the reply to the command before
// it, and Do returns an error among them as the answer to its own command, which the
// server has carried out.
//
// An error is that of the connection: nobody knows whether it is in the right database.
// Only what the server says of CLIENT means nothing for a lock.
//
// It costs no system call where nothing is pending: the empty command sends nothing and
// waits for what is due.
func settle(conn redis.Conn, within time.Duration) error {
	if within <= 0 {
		within = openTimeout
	}
	replies, err := redis.DoWithTimeout(conn, within, "")
	if err == errNoTimeouts {
		ctx, cancel := context.WithTimeout(context.Background(), within)
		defer cancel()
		return settleUntil(ctx, conn)
	}
	return judge(replies, err)
}

// settleUntil does it until ctx ends, at the price of a goroutine.
func settleUntil(ctx context.Context, conn redis.Conn) error {
	replies, err := redis.DoContext(conn, ctx, "")
	if err == errNoContexts {
		replies, err = conn.Do("")
	}
	return judge(replies, err)
}

// judge looks at the replies that were left unread.
func judge(replies any, err error) error {
	all, _ := replies.([]any)
	for _, reply := range all {
		if refusal, ok := reply.(redis.Error); ok && !aboutClient.MatchString(string(refusal)) {
			return fmt.Errorf("the dial function left a reply unread: %w", pool.Error(refusal))
		}
	}
	return err
}

// aboutClient matches what servers say of CLIENT, from 4.0 on:
//
//	ERR unknown subcommand 'SETINFO'. Try CLIENT HELP.
//	ERR Unknown subcommand or wrong number of arguments for 'SETINFO'. Try CLIENT HELP.
//	ERR Syntax error, try CLIENT (LIST | KILL | GETNAME | SETNAME | PAUSE | REPLY)
//	ERR unknown command 'CLIENT', with args beginning with: 'SETINFO' 'LIB-NAME'
//	NOPERM User worker has no permissions to run the 'client|setname' command
var aboutClient = regexp.MustCompile(`(?i)^ERR .*\btry CLIENT [(H]|^ERR unknown command .client\b|^NOPERM .* the 'client\b`)
