package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
)

// tls returns what the flags for TLS say, nil if that is nothing.
func (m *masters) tls() (*tls.Config, error) {
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
	return &tls.Config{RootCAs: roots, Certificates: own, ServerName: m.TLSServer}, nil
}
