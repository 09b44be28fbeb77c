package redigo

import (
	"context"
	"fmt"
	"regexp"
	"time"

	"github.com/gomodule/redigo/redis"
	"github.com/quorumlock/quorumlock/pool"
)

// settle reads the replies that a dial function left unread, before the first command is
// sent. With redigo a dial function may leave them, since Do reads them first:
//
//	conn.Send("CLIENT", "SETNAME", "worker")
//	return conn, nil
//
// On a pipelined connection such a reply would be taken for the reply to the first command,
// and every later reply for that to the next command. And Do returns an error among them as
// the error of its own command, although the server has carried that out.
//
// An error among them condemns the connection: its database may be the wrong one. Only an
// error about CLIENT does not matter to a lock.
//
// settle makes no system call if no reply is outstanding: the empty command sends nothing
// and waits for outstanding replies only.
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

// settleUntil is settle with ctx in place of a duration. It costs a goroutine.
func settleUntil(ctx context.Context, conn redis.Conn) error {
	replies, err := redis.DoContext(conn, ctx, "")
	if err == errNoContexts {
		replies, err = conn.Do("")
	}
	return judge(replies, err)
}

// judge returns the error among the replies that were left unread, if it matters.
func judge(replies any, err error) error {
	all, _ := replies.([]any)
	for _, reply := range all {
		if refusal, ok := reply.(redis.Error); ok && !aboutClient.MatchString(string(refusal)) {
			return fmt.Errorf("the dial function left a reply unread: %w", pool.Error(refusal))
		}
	}
	return err
}

// aboutClient matches error replies to CLIENT, of servers from 4.0 on:
//
//	ERR unknown subcommand 'SETINFO'. Try CLIENT HELP.
//	ERR Unknown subcommand or wrong number of arguments for 'SETINFO'. Try CLIENT HELP.
//	ERR Syntax error, try CLIENT (LIST | KILL | GETNAME | SETNAME | PAUSE | REPLY)
//	ERR unknown command 'CLIENT', with args beginning with: 'SETINFO' 'LIB-NAME'
//	NOPERM User worker has no permissions to run the 'client|setname' command
var aboutClient = regexp.MustCompile(`(?i)^ERR .*\btry CLIENT [(H]|^ERR unknown command .client\b|^NOPERM .* the 'client\b`)
