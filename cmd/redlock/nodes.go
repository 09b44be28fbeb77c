package main

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/quorumlock/quorumlock/pool"
	"github.com/quorumlock/quorumlock/pool/direct"
	"github.com/quorumlock/quorumlock/redlocktest"
)

// nodesVariable names the nodes where --node does not: on a command line every
// user of the machine can read the passwords in the URLs.
const nodesVariable = "REDLOCK_NODES"

// nodes are the masters to lock on, connected to when first used.
type nodes struct {
	pools   []pool.Pool
	opened  []*direct.Pool       // the same
	cluster *redlocktest.Cluster // of --embedded
}

// close ends the connections, and the masters in memory.
func (n *nodes) close() {
	for _, p := range n.opened {
		_ = p.Close()
	}
	if n.cluster != nil {
		n.cluster.Close()
	}
}

// embed returns masters in memory of this process.
func embed() (*nodes, error) {
	cluster, err := redlocktest.Start(embeddedNodes)
	if err != nil {
		return nil, endWith(exitSystem, err)
	}
	n := connect(cluster.Addrs())
	n.cluster = cluster
	return n, nil
}

// dialTimeout bounds what is left behind after the node timeout.
const dialTimeout = 2 * time.Second

// connect returns the masters at addresses that need nothing else.
func connect(addrs []string) *nodes {
	n := &nodes{}
	for _, addr := range addrs {
		p, err := direct.New(addr, direct.WithDialTimeout(dialTimeout))
		if err != nil {
			panic(err) // addresses of ours
		}
		n.add(p)
	}
	return n
}

func (n *nodes) add(p *direct.Pool) {
	n.opened = append(n.opened, p)
	n.pools = append(n.pools, p)
}

// masters are the flags that name the nodes, the same for all sub-commands.
type masters struct {
	Node      []string `short:"n" sep:"none" placeholder:"URL" help:"A Redis master: redis://[user:password@]host[:port][/db], rediss:// for TLS, unix:///path. Several are separated by commas, or --node is repeated; three or five are best. Default: the URLs in REDLOCK_NODES, separated by commas or blanks; 'ps' does not show passwords there. Options after '?': db, client_name, dial_timeout, skip_verify."`
	Embedded  bool     `help:"Use the masters in memory that \"redlock masters\" runs on this machine: for a try-out without Redis."`
	TLSCA     string   `name:"tls-ca" placeholder:"FILE" help:"The CA certificates (PEM) for rediss:// nodes, in place of the system's."`
	TLSCert   string   `name:"tls-cert" placeholder:"FILE" help:"The client certificate (PEM) for rediss:// nodes. Needs --tls-key."`
	TLSKey    string   `name:"tls-key" placeholder:"FILE" help:"The key (PEM) of --tls-cert."`
	TLSServer string   `name:"tls-server-name" placeholder:"NAME" help:"The server name in the certificates of rediss:// nodes. Default: the host of the URL."`
}

// open returns the nodes of --embedded, or of the URLs of --node. Without both it uses
// REDLOCK_NODES. If that is empty, it returns an error, which ends with otherwise.
func (m *masters) open(otherwise string) (*nodes, error) {
	switch {
	case m.Embedded && len(m.Node) > 0:
		return nil, endWith(exitUsage, errors.New("--embedded has masters of its own: leave --node out"))
	case m.Embedded:
		return awaitEmbedded()
	}
	urls := m.Node
	if len(urls) == 0 {
		urls = strings.Fields(os.Getenv(nodesVariable))
	}
	if urls = splitNodes(urls); len(urls) == 0 {
		return nil, endWith(exitUsage, fmt.Errorf("which nodes? Give --node URL,URL,URL with all Redis masters, or set %s%s", nodesVariable, otherwise))
	}
	secure, err := m.tls()
	if err != nil {
		return nil, endWith(exitUsage, err)
	}
	n, used := &nodes{}, false
	for i, u := range urls {
		opts := []direct.Option{direct.WithDialTimeout(dialTimeout)}
		if secure != nil && strings.HasPrefix(u, "rediss://") {
			used = true
			opts = append(opts, direct.WithTLS(secure))
		}
		p, err := direct.FromURL(u, opts...)
		if err != nil {
			n.close()
			return nil, endWith(exitUsage, fmt.Errorf("node %d: %s", i+1, strings.TrimPrefix(err.Error(), "direct: ")))
		}
		n.add(p)
		for j, earlier := range n.pools[:i] {
			if earlier.String() == n.pools[i].String() {
				n.close()
				return nil, endWith(exitUsage, fmt.Errorf("node %d is node %d once more, and a node that votes twice is no quorum: give each master once", i+1, j+1))
			}
		}
	}
	if secure != nil && !used {
		n.close()
		return nil, endWith(exitUsage, errors.New("--tls-...: no node has TLS: begin its URL with rediss://"))
	}
	return n, nil
}

// listed matches a comma between two URLs. Other commas are a part of one.
var listed = regexp.MustCompile(`\s*,\s*(?:redis|rediss|unix)://`)

// splitNodes returns the single URLs of lists.
func splitNodes(lists []string) (urls []string) {
	for _, list := range lists {
		for at := listed.FindStringIndex(list); at != nil; at = listed.FindStringIndex(list) {
			urls = append(urls, list[:at[0]])
			list = strings.TrimLeft(list[at[0]:], ", \t\r\n")
		}
		urls = append(urls, list)
	}
	return urls
}
