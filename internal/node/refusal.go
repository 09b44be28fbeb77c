package node

import (
	"errors"
	"strings"

	"github.com/quorumlock/quorumlock/pool"
)

// A cause is the reason for an error, as far as it matters for a wait or for a remedy.
type cause struct {
	end    end
	remedy string // "" if none is known
	silent bool   // no answer came, and the error says no more than that
}

// end is when a cause ends a wait. A wait that ends returns an error that says why. But a
// service that waits should outlast short troubles of its servers.
type end uint8

const (
	passes     end = iota // never: it may pass
	lasts                 // when the node has failed with nothing else for a while: nothing says that it passes
	untilFixed            // after a while, too; at once if no call has succeeded yet, so that a new setup fails at once
	permanent             // at once: waiting does not change it
)

// causeOf finds the cause of err, which is not nil. Unknown replies last: every server and
// proxy has its own words for what it does not do. Other unknown errors pass: networks heal.
func causeOf(err error) cause {
	if c, ok := unreachable(err); ok {
		return c
	}
	e := pool.Error("")
	if !errors.As(err, &e) {
		return cause{}
	}
	c := refusalOf(string(e))
	if all := (*formsRefused)(nil); errors.As(err, &all) {
		return all.cause(c)
	}
	if list := (*notListed)(nil); errors.As(err, &list) {
		return list.cause(c)
	}
	return c
}

// refusalOf finds the cause of an error reply.
func refusalOf(text string) cause {
	lower := strings.ToLower(text)
	for _, r := range refusals {
		if r.matches(text, lower) {
			return cause{end: r.end, remedy: r.remedy}
		}
	}
	return cause{end: lasts}
}

// matches reports whether a text has the words of the refusal anywhere: scripts and proxies put
// their own words first. A code in capitals has to be a word.
func (r *refusal) matches(text, lower string) bool {
	if strings.ToLower(r.text) == r.text {
		return strings.Contains(lower, r.text)
	}
	for from := 0; ; from++ {
		at := strings.Index(text[from:], r.text)
		if at < 0 {
			return false
		}
		if from += at; from == 0 || text[from-1] < 'A' || text[from-1] > 'Z' {
			return true
		}
	}
}

// Remedy says what to do about an error of a node, or "". For a node that just does not answer
// it is "": the error says enough.
func Remedy(err error) string {
	c := causeOf(err)
	if c.silent {
		return ""
	}
	return c.remedy
}

// Advice is Remedy for diagnosis: for silence, too, it says what may be the reason.
func Advice(err error) string { return causeOf(err).remedy }

// FormRefused reports whether an error says that a server, a service or a proxy refused the
// form of a command: it knows no such command, or no such script.
func FormRefused(err error) bool {
	var all *formsRefused
	return errors.As(err, &all)
}

// isRefusal reports whether err is an error reply: the server read the command and did not
// carry it out. (Our scripts write last, so a script that fails has written nothing either.)
func isRefusal(err error) bool {
	var e pool.Error
	return errors.As(err, &e)
}

// notLoaded reports whether a server does not know a script by its hash.
func notLoaded(err error) bool { return refusalHas(err, "NOSCRIPT") }

// refusesNative reports whether a server does not take SET with both NX and GET.
func refusesNative(err error) bool { return refusalHas(err, "syntax error") }

// RefusesUser reports whether a node refused a command to this user, or would refuse it to every user, and
// not only for a while.
func RefusesUser(err error) bool { return isRefusal(err) && causeOf(err).end == untilFixed }

// Quarantined reports whether a server grants no locks because it may have forgotten some.
func Quarantined(err error) bool { return refusalHas(err, "GUARDQUARANTINE") }

// wrongType reports whether a key holds something that is no lock.
func wrongType(err error) bool { return refusalHas(err, "WRONGTYPE") }

func refusalHas(err error, text string) bool {
	var e pool.Error
	return errors.As(err, &e) && strings.Contains(string(e), text)
}
