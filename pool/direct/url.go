package direct

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

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

// FromURL returns the master at a URL, as [New] does: redis://[user:password@]host[:port][/db],
// rediss:// for TLS, unix://[user:password@]/path. Options after '?', for all of them: db,
// client_name, dial_timeout (seconds, or with a unit: 500ms), and for rediss:// skip_verify (true). The options protocol,
// read_timeout and write_timeout of client libraries have no effect. opts are defaults: what the URL says
// counts.
//
// An error never shows a part of the URL that may be a password.
func FromURL(raw string, opts ...Option) (*Pool, error) {
	addr, given, err := parseURL(raw)
	if err != nil {
		return nil, fmt.Errorf("direct: %w", err)
	}
	return New(addr, slices.Concat(opts, given)...)
}

// parseURL does not show what a parser that failed has seen: the parser does not know which part is the
// password.
func parseURL(raw string) (addr string, opts []Option, err error) {
	const form = "want redis://[user:password@]host[:port][/db], rediss://... for TLS, or unix://[user:password@]/path[?db=n]"
	scheme, _, found := strings.Cut(raw, "://")
	switch {
	case several.MatchString(raw):
		return "", nil, errors.New("in a list each node is a whole URL: redis://a,redis://b")
	case !found && harmless.MatchString(raw):
		return "", nil, fmt.Errorf("%q is not a URL: give it as redis://%s", raw, raw)
	case !found:
		return "", nil, fmt.Errorf("not a URL: give it as redis://host:port; %s", form)
	case !slices.Contains(schemes, scheme) && harmless.MatchString(raw):
		return "", nil, fmt.Errorf("%q is not the URL of a Redis server: %s", raw, form)
	case !slices.Contains(schemes, scheme):
		return "", nil, fmt.Errorf("not the URL of a Redis server: %s", form)
	}
	parsed, err := url.Parse(raw)
	if err != nil || strings.Contains(parsed.Path+parsed.RawQuery, "@") || parsed.Fragment != "" { // "redis://:pass/word@host", "redis://:pass#word@host"
		return "", nil, fmt.Errorf("not a valid URL: %s; special characters in a password must be percent-encoded", form)
	}
	host := parsed.Hostname() // after ":" there may be a password, if the host is missing
	if addr, opts, err = read(parsed, host); err != nil && host != "" {
		err = fmt.Errorf("%s: %w", host, err)
	}
	return addr, opts, err
}

func read(u *url.URL, host string) (addr string, opts []Option, err error) {
	port := cmp.Or(u.Port(), "6379")
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", nil, errors.New("the port must be 1 to 65535")
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return "", nil, errors.New("the options after '?' are not NAME=VALUE&NAME=VALUE")
	}
	addr = net.JoinHostPort(cmp.Or(host, "localhost"), port)
	if u.Scheme == "unix" {
		if addr = u.Path; host != "" || !strings.HasPrefix(addr, "/") {
			return "", nil, errors.New("the path of a unix socket begins with /: unix:///path")
		}
	} else if path := strings.Trim(u.Path, "/"); path != "" {
		query.Add("db", path)
	}
	if u.User != nil {
		password, _ := u.User.Password()
		opts = append(opts, WithPassword(u.User.Username(), password))
	}
	if u.Scheme == "rediss" {
		opts = append(opts, func(p *Pool) error {
			p.server.secure = cmp.Or(p.server.secure, new(tls.Config))
			return nil
		})
	}
	for name := range query {
		value := query.Get(name)
		if len(query[name]) > 1 && name == "db" { // client libraries do not agree which one counts
			return "", nil, errors.New("the database is given twice")
		}
		switch name {
		case "db":
			n, err := strconv.Atoi(value)
			if err != nil || n < 0 {
				return "", nil, errors.New("the database must be a number from 0")
			}
			opts = append(opts, WithDatabase(n))
		case "client_name":
			opts = append(opts, WithClientName(value))
		case "dial_timeout":
			d, err := time.ParseDuration(value)
			if n, notSeconds := strconv.ParseUint(value, 10, 16); notSeconds == nil {
				d, err = time.Duration(n)*time.Second, nil
			}
			if err != nil {
				return "", nil, errors.New("dial_timeout must be seconds, or a duration with its unit, such as 500ms")
			}
			opts = append(opts, WithDialTimeout(d))
		case "skip_verify":
			skip, err := strconv.ParseBool(value)
			switch {
			case u.Scheme != "rediss":
				return "", nil, errors.New("skip_verify is for rediss://")
			case err != nil:
				return "", nil, errors.New("skip_verify must be true or false")
			}
			opts = append(opts, func(p *Pool) error { p.server.skipVerify = &skip; return nil })
		case "protocol", "read_timeout", "write_timeout":
		default: // not shown: a password may have a "?" in it
			return "", nil, errors.New("an option after '?' is not one of db, client_name, dial_timeout, skip_verify")
		}
	}
	return addr, opts, nil
}
