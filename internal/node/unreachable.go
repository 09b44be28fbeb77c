package node

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"io/fs"
	"net"
	"strings"
	"syscall"

	"github.com/quorumlock/quorumlock/pool"
)

// A failure is a kind of error that is no reply of the server.
type failure struct {
	is func(err error) bool
	cause
}

// failures are the known ones. The first that matches counts: a deadline accompanies whatever
// was in progress when it passed.
var failures = []failure{
	{is(pool.ErrClosed), cause{end: permanent, remedy: "this node's client was closed: close it after the Locker"}},
	{is(pool.ErrNoConn), cause{remedy: "all connections of this node's client are in use: give it more (PoolSize in go-redis, MaxActive in redigo), or use a client of their own for locks"}},

	{as[x509.HostnameError], cause{end: untilFixed, remedy: "the server's certificate is for another name: give the TLS configuration of this node's client the name that it is for, as ServerName"}},
	{as[x509.UnknownAuthorityError], cause{end: untilFixed, remedy: "the server's certificate is of an authority that this node's client does not know: give its TLS configuration that one, as RootCAs, or a file with it to the whole process, as SSL_CERT_FILE"}},
	{as[x509.CertificateInvalidError], cause{end: untilFixed, remedy: "the server's certificate is not valid: renew it, and see whether the clocks of both machines are right"}},
	{as[*tls.CertificateVerificationError], cause{end: untilFixed, remedy: "see what is wrong with the server's certificate"}},
	{as[tls.RecordHeaderError], cause{end: lasts, remedy: "the server speaks no TLS there: take the TLS configuration out of this node's client, or give it the TLS port"}},
	{inWords("remote error: tls"), cause{end: lasts, remedy: "the server refuses the TLS of this node's client: it may want a certificate (Certificates in the TLS configuration), or another version"}},
	{inWords("malformed reply", "can't parse", "invalid reply", "redigo: unexpected", "redigo: bad ", "redigo: malformed", "redigo: short response", "is this a Redis server?"),
		cause{end: lasts, remedy: "what answers there is no Redis server: correct this node's address"}},

	{notFound, cause{remedy: "the name of this node has no address: correct it, or the DNS"}},
	{inWords("connection refused", "actively refused"), cause{remedy: "start the server, or correct its address"}},
	{is(fs.ErrNotExist), cause{remedy: "start the server, or correct the path of its socket"}},
	{is(fs.ErrPermission), cause{remedy: "let this process use the server's socket"}},
	{inWords("no route to host", "network is unreachable"), cause{remedy: "correct this node's address, or the way there"}},
	{hungUp, cause{remedy: "the connection was closed from the other side: see whether the server runs, whether its port wants TLS, whether it has reached its maxclients or is in protected mode, and whether a proxy has no server behind it"}},

	{is(ErrBusy), cause{silent: true, remedy: noAnswerAdvice}},
	{notReached, cause{silent: true, remedy: "see whether the server runs, whether it hangs, whether it is a Redis server, whether its address is right and packets get there, and whether both it and this node's client speak TLS, or neither; clients that repeat refused dials hide which it is (go-redis: DialerRetries: 1)"}},
	{is(context.DeadlineExceeded), cause{silent: true, remedy: noAnswerAdvice}},
	{timedOut, cause{silent: true, remedy: noAnswerAdvice}},
}

const noAnswerAdvice = "see whether the server hangs, whether packets to it are dropped, whether it is a Redis server, and whether both it and this node's client speak TLS, or neither"

// unreachable finds the cause of an error that is no reply.
func unreachable(err error) (cause, bool) {
	reply := isRefusal(err)
	for _, f := range failures {
		if (!reply || f.end == permanent) && f.is(err) {
			return f.cause, true
		}
	}
	return cause{}, false
}

func is(target error) func(error) bool {
	return func(err error) bool { return errors.Is(err, target) }
}

func as[E error](err error) bool {
	var e E
	return errors.As(err, &e)
}

// inWords matches errors that clients have only as texts.
func inWords(texts ...string) func(error) bool {
	return func(err error) bool {
		text := err.Error()
		for _, t := range texts {
			if strings.Contains(text, t) {
				return true
			}
		}
		return false
	}
}

func notFound(err error) bool {
	var e *net.DNSError
	return errors.As(err, &e) && e.IsNotFound
}

// hungUp reports whether a connection ended. Servers and proxies close connections that they do
// not want, and what they said before is often lost.
func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		inWords("EOF", "connection reset", "broken pipe", "forcibly closed")(err)
}

// notReached reports whether there was no connection yet when time ran out.
func notReached(err error) bool {
	return errors.Is(err, pool.ErrNotSent) && (errors.Is(err, context.DeadlineExceeded) || timedOut(err))
}

func timedOut(err error) bool {
	var e net.Error
	return errors.As(err, &e) && e.Timeout()
}
