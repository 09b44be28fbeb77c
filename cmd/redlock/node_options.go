package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
)

// queryOptions are the options that a node's URL may have: where it is, and how to get there.
// go-redis reads more, about its pool of connections and about retries. A lock needs no
// others than the defaults, and retries hide from it what became of a command.
var queryOptions = []string{"db", "client_name", "protocol", "dial_timeout", "read_timeout", "write_timeout", "skip_verify"}

// checkQuery refuses other options. It does not show them: a password may have a "?" in it.
func checkQuery(node *url.URL) error {
	given, err := url.ParseQuery(node.RawQuery)
	if err != nil {
		return errors.New("the options after '?' are not NAME=VALUE&NAME=VALUE")
	}
	for name, values := range given {
		switch {
		case !slices.Contains(queryOptions, name):
			return fmt.Errorf("an option after '?' is not one of %s", strings.Join(queryOptions, ", "))
		case name == "protocol" && slices.ContainsFunc(values, func(v string) bool { return v != "2" && v != "3" }):
			return errors.New("protocol must be 2 or 3")
		case name == "skip_verify" && node.Scheme != "rediss":
			return errors.New("skip_verify is for rediss://")
		}
	}
	return nil
}

// tls returns what the flags for TLS change in the configuration of a node, nil if that is
// nothing.
func (m *masters) tls() (func(*tls.Config), error) {
	if m.TLSCA == "" && m.TLSCert == "" && m.TLSKey == "" && m.TLSServer == "" {
		return nil, nil
	}
	var roots *x509.CertPool
	if m.TLSCA != "" {
		pem, err := os.ReadFile(m.TLSCA)
		if err != nil {
			return nil, fmt.Errorf("--tls-ca: %w", err)
		}
		if roots = x509.NewCertPool(); !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("--tls-ca: %s has no certificate in PEM form", m.TLSCA)
		}
	}
	var own []tls.Certificate
	switch {
	case (m.TLSCert == "") != (m.TLSKey == ""):
		return nil, errors.New("--tls-cert and --tls-key belong together: give both")
	case m.TLSCert != "":
		pair, err := tls.LoadX509KeyPair(m.TLSCert, m.TLSKey)
		if err != nil {
			return nil, fmt.Errorf("--tls-cert, --tls-key: %w", err)
		}
		own = []tls.Certificate{pair}
	}
	return func(c *tls.Config) {
		c.RootCAs = roots
		c.Certificates = own
		if m.TLSServer != "" {
			c.ServerName = m.TLSServer
		}
	}, nil
}
