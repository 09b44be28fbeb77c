package diagnosis

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/quorumlock/quorumlock/internal/node"
	"github.com/quorumlock/quorumlock/pool"
)

func TestANodeThatCannotBeAskedGetsTheRemedyForWhatIsWrongWithIt(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		says string
	}{
		"nothing listens": {syscall.ECONNREFUSED, "start the server"},
		"no such host":    {&net.DNSError{Err: "no such host", IsNotFound: true}, "DNS"},
		"closed":          {io.EOF, "its port wants TLS"},
		"certificate":     {x509.UnknownAuthorityError{}, "RootCAs"},
		"another name":    {x509.HostnameError{Certificate: &x509.Certificate{}}, "ServerName"},
		"plain port":      {tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}, "speaks no TLS"},
		"database":        {pool.Error("ERR DB index is out of range"), "a database that the server has"},
		"no password":     {pool.Error("ERR AUTH <password> called without any password configured for the default user."), "has no password"},
		"protected mode":  {pool.Error("DENIED Redis is running in protected mode"), "protected mode"},
		"full client":     {pool.ErrNoConn, "PoolSize"},
		"no Redis server": {fmt.Errorf(`redis: can't parse "HTTP/1.1 400 Bad Request"`), "no Redis server"},
		"anything else":   {io.ErrShortWrite, "see what the client says"},
	} {
		t.Run(name, func(t *testing.T) {
			all := healthy(3)
			all[1] = node.Facts{Node: "n1", Err: fmt.Errorf("%w: dial: %w", pool.ErrNotSent, c.err)}
			found := others(Judge(all, settings))
			if len(found) != 1 || found[0].Check != "reachable" || !strings.Contains(found[0].Remedy, c.says) {
				t.Errorf("want the remedy %q, got %v", c.says, found)
			}
		})
	}
}
