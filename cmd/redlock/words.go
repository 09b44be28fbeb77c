package main

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/quorumlock/quorumlock/redlock"
)

// Messages of the parser and the library are for programmers. Here they are translated to the words
// of the command line. Texts that are not
// recognised stay as they are: that is less kind, but not wrong.

var (
	missingUnit = regexp.MustCompile(`expected duration but got "([^"]*)": time: missing unit in duration "[^"]*"`)
	option      = regexp.MustCompile(`\bWith(TTL|NodeTimeout|Owner|RestartGuard|Retention)\(("(?:[^"\\]|\\.)*"|[^")]*)\): `)
	releases    = regexp.MustCompile(`\b(\d+) releases not confirmed`)
)

var flagOf = map[string]string{"TTL": "--ttl", "NodeTimeout": "--node-timeout", "Owner": "--owner", "RestartGuard": "--guard", "Retention": "--retention"}

// flagWords says with which flag to do what the library says of the client's configuration.
var flagWords = strings.NewReplacer(
	"of an authority that this node's client does not know: give its TLS configuration that one, as RootCAs, or a file with it to the whole process, as SSL_CERT_FILE",
	"of an authority that is not known here: give a file with the certificate of that authority, as in --tls-ca FILE",
	"give the TLS configuration of this node's client the name that it is for, as ServerName", "give the name that it is for, as in --tls-server-name NAME",
	"the TLS of this node's client: it may want a certificate (Certificates in the TLS configuration), or another version",
	"TLS as it is used here: it may want a certificate, as in --tls-cert FILE --tls-key FILE, or another version",
	"take the TLS configuration out of this node's client, or give it the TLS port", "begin its URL with redis://, or give it the TLS port",
)

// findingWords translates the findings of [redlock.Locker.Check] to the words of the command line.
func findingWords(found []redlock.Finding) []redlock.Finding {
	for i := range found {
		found[i].Remedy = flagWords.Replace(found[i].Remedy)
	}
	return found
}

// parserWords is what is wrong with the arguments.
func parserWords(err error) string {
	text := err.Error()
	return missingUnit.ReplaceAllString(text, `"$1" has no unit (for example ${1}s)`)
}

// optionWords is what is wrong with the options of [redlock.New], which names
// functions where the user gave flags.
func optionWords(err error) error {
	text := option.ReplaceAllStringFunc(err.Error(), func(call string) string {
		parts := option.FindStringSubmatch(call)
		return fmt.Sprintf("%s %s: ", flagOf[parts[1]], parts[2])
	})
	return errors.New(strings.ReplaceAll(strings.TrimPrefix(text, "board: "), "or Forever", "or --forever"))
}

// closeWords returns the error of [redlock.Locker.Close] in one line.
func closeWords(err error) string {
	text := strings.TrimPrefix(trimmed(err), "close: ")
	text = releases.ReplaceAllString(text, "releases not confirmed: $1")
	return strings.ReplaceAll(text, "\n", "; ")
}

// refusalWords is why a lock was not granted.
func (r *runCommand) refusalWords(err error) error {
	var q *redlock.QuorumError
	switch {
	case !errors.As(err, &q) && r.Wait > 0:
		return fmt.Errorf("%q was not granted within --wait %v: no attempt was over by then", r.Name, r.Wait)
	case err == error(q): // of an attempt, not of a wait that ran out after it
		return fmt.Errorf("%q was not granted: %s", r.Name, quorumWords(q))
	case q != nil:
		return fmt.Errorf("%q was not granted within --wait %v: %s", r.Name, r.Wait, quorumWords(q))
	}
	return err
}

// unknownWords is why a watch cannot say how a lock is, nil if it can. asked is what it was asked.
func unknownWords(err error, asked string) error {
	var q *redlock.QuorumError
	if !errors.As(err, &q) {
		return err
	}
	failed := 0
	if q.Nodes != nil {
		failed = len(q.Nodes.Errors)
	}
	_, met, _ := strings.Cut(quorumWords(q), "; ")
	return fmt.Errorf("no majority says %s %q: %d of %d nodes answered; %s", asked, q.Name, q.Total-failed, q.Total, flagWords.Replace(met))
}

func quorumWords(q *redlock.QuorumError) string {
	if !errors.Is(q, redlock.ErrTaken) || len(q.Holders) == 0 {
		return strings.TrimPrefix(q.Error(), fmt.Sprintf("redlock: %s %q: ", q.Op, q.Name))
	}
	var by []string
	for _, h := range q.Holders {
		by = append(by, fmt.Sprintf("by %v on %d of %d nodes", h, h.Nodes, q.Total))
	}
	text := "taken " + strings.Join(by, ", ")
	if q.Nodes != nil {
		for _, err := range q.Nodes.Errors {
			text += "; " + err.Error()
		}
	}
	return text
}
