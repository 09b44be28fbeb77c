package main

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/quorumlock/quorumlock/pool"
	"github.com/quorumlock/quorumlock/pool/goredis"
	"github.com/quorumlock/quorumlock/redlocktest"
)

// nodesVariable names the nodes where --node does not: on a command line every
// user of the machine can read the passwords in the URLs.
const nodesVariable = "REDLOCK_NODES"

// nodes are the masters to lock on, connected to when first used.
type nodes struct {
	pools   []pool.Pool
	clients []*redis.Client
	cluster *redlocktest.Cluster // of --embedded
}

// close ends the connections, and the masters in memory.
func (n *nodes) close() {
	for _, c := range n.clients {
		_ = c.Close()
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

func connect(addrs []string) *nodes {
	n := &nodes{}
	for _, addr := range addrs {
		n.add(&redis.Options{Addr: addr})
	}
	return n
}

// masters are the flags that name the nodes, the same for all sub-commands.
type masters struct {
	Node      []string `short:"n" sep:"none" placeholder:"URL" help:"A Redis master: redis://[user:password@]host[:port][/db], rediss:// for TLS, unix:///path. Several are separated by commas, or --node is repeated; three or five are best. Default: the URLs in REDLOCK_NODES, separated by commas or blanks; 'ps' does not show passwords there. Options after '?': db, client_name, protocol (2 or 3), dial_timeout, read_timeout, write_timeout, skip_verify."`
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
		options, err := parseNode(u)
		if err != nil {
			n.close()
			return nil, endWith(exitUsage, fmt.Errorf("node %d: %w", i+1, err))
		}
		if options.TLSConfig != nil && secure != nil {
			used = true
			secure(options.TLSConfig)
		}
		n.add(options)
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

func (n *nodes) add(options *redis.Options) {
	options.DialerRetries = 1 // a server that refuses connections is news at once
	if options.DialTimeout == 0 {
		options.DialTimeout = 2 * time.Second // bounds what is left behind after the node timeout
	}
	client := redis.NewClient(options)
	n.clients = append(n.clients, client)
	n.pools = append(n.pools, goredis.New(client))
}

var schemes = []string{"redis", "rediss", "unix"}

var (
	// harmless matches what can be shown: a host, perhaps with a scheme, a port
	// and a database. Any other form may have a password in it, of a URL with an
	// "@" or of connection strings such as "host:6379,password=...".
	harmless = regexp.MustCompile(`^(\w+://)?([\w.-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?(/\d*)?$`)

	// several matches a list of hosts. Other commas are left alone: one in a password
	// is followed by an "@", one in a path or an option comes after "/" or "?".
	several = regexp.MustCompile(`,(redis|rediss|unix)://|^(\w+://)?[^/?@,]+,[^@]*$`)
)

// parseNode reads the URL of a node. Its errors never show a part of the URL
// that may be a password: a parser that failed does not know which part is.
func parseNode(raw string) (*redis.Options, error) {
	const form = "want redis://[user:password@]host[:port][/db], rediss://... for TLS, or unix://[user:password@]/path[?db=n]"
	scheme, _, found := strings.Cut(raw, "://")
	switch {
	case several.MatchString(raw):
		return nil, errors.New("in a list each node is a whole URL: redis://a,redis://b")
	case !found && harmless.MatchString(raw):
		return nil, fmt.Errorf("%q is not a URL: give it as redis://%s", raw, raw)
	case !found:
		return nil, fmt.Errorf("not a URL: give it as redis://host:port; %s", form)
	case !slices.Contains(schemes, scheme) && harmless.MatchString(raw):
		return nil, fmt.Errorf("%q is not the URL of a Redis server: %s", raw, form)
	case !slices.Contains(schemes, scheme):
		return nil, fmt.Errorf("not the URL of a Redis server: %s", form)
	}
	parsed, err := url.Parse(raw)
	if err != nil || strings.Contains(parsed.Path+parsed.RawQuery, "@") || parsed.Fragment != "" { // "redis://:pass/word@host", "redis://:pass#word@host"
		return nil, fmt.Errorf("not a valid URL: %s; special characters in a password must be percent-encoded", form)
	}
	host := parsed.Hostname() // after ":" there may be a password, if the host is missing
	if port, err := strconv.ParseUint(parsed.Port(), 10, 16); parsed.Port() != "" && (err != nil || port == 0) {
		return nil, fmt.Errorf("%s: the port must be 1 to 65535", host)
	}
	if err := checkQuery(parsed); err != nil {
		return nil, fmt.Errorf("%s%w", label(host), err)
	}
	options, err := redis.ParseURL(raw)
	if err != nil { // about the database or the value of an option
		return nil, fmt.Errorf("%s%s", label(host), strings.TrimPrefix(err.Error(), "redis: "))
	}
	return options, nil
}

// label is how an error begins that is about one node.
func label(host string) string {
	if host == "" {
		return ""
	}
	return host + ": "
}
