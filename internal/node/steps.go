package node

import (
	"errors"
	"fmt"
	"strings"

	"github.com/quorumlock/quorumlock/pool"
)

// A step is what the client has for a call: its request in some form, or before it a probe.
type step struct {
	request *Request
	form    form
	refused *error // the error of the form that was tried first, nil if it was not refused
}

// probeValue is a value that no lock has: an owner is never empty.
const probeValue = "rl1:00000000000000000000000000000000:"

// IsProbe reports whether a value is that of a probe.
func IsProbe(value string) bool { return value == probeValue }

// probe is a release that finds nothing to delete. Servers and proxies that refuse every form
// of release would grant locks that cannot be released. So before the first lock is asked for
// on a node, a release must have worked there. That takes a round trip, once, and loads the
// script for the first release.
func (r *Request) probe() *Request {
	entry := r.entry
	entry.value = any(probeValue)
	return NewRequest(Release, entry, 0, WaiterFlag{ID: ""})
}

var errTooLate = fmt.Errorf("%w: %w", pool.ErrNotSent, noAnswer{})

// begin is the first step of a call.
func (n *Node) begin(r *Request) step {
	if r.Verb.Takes() && !n.proven[r.entry.Grant()].Load() {
		r = r.probe()
	}
	return step{request: r, form: n.form(r)}
}

// next processes the reply to a step. It returns another step, or the answer to the call.
func (n *Node) next(c *Call, s step, reply any, err error) (next step, a Answer, again bool) {
	r := s.request
	err = redact(err) // before it is wrapped
	f, again := n.learn(r, s.form, err)
	if (again || s.refused != nil) && r == c.Request && isRefusal(err) && !NothingDone(r.Verb, r.halfDone(err)) {
		// The answer will be about another form. The outcome of this one is unknown: a proxy
		// has the same words for a command that it does not let through, and for one that it
		// has passed on.
		n.mu.Lock()
		c.sentBefore = true
		n.mu.Unlock()
	}
	if again {
		if s.refused == nil && !notLoaded(err) && !(s.form == native && (refusesNative(err) || wrongType(err))) {
			refused := err // a variable of its own, so that err is not allocated
			s.refused = &refused
		}
		s.form = f
		return s, Answer{}, true
	}
	a = r.answer(reply, s.failure(err))
	if a.Err == errData { // the transfer may have taken long
		n.longText.Store(true)
	}
	if r == c.Request {
		return step{}, a, false
	}
	switch {
	case a.Err != nil:
		return step{}, Answer{Err: &unproven{a.Err}}, false
	case c.Deadline.Err() != nil: // the call may have been given up: then nothing may be sent
		return step{}, Answer{Err: errTooLate}, false
	}
	return step{request: c.Request, form: n.form(c.Request)}, Answer{}, true
}

// failure is the error of a call whose last step ended with err. If all forms were refused, the
// error of the first one counts: the last ones are commands that few servers have.
func (s step) failure(err error) error {
	r := s.request
	if err == nil || s.form == native && r.Verb != Read && s.refused == nil || !refusesForm(r, err) && !(s.form == setIfeq && refusesNative(err)) {
		return err
	}
	if s.refused != nil {
		err = *s.refused
	}
	refused := &formsRefused{error: err}
	switch {
	case r.entry.Grant() == AllKeys:
		refused.option = "a lock on several names"
	case r.entry.Grant() == AnyKey:
		refused.option = "a semaphore"
	case r.entry.Grant() == Shared:
		refused.option = optionShared
	case r.Verb == Read, r.Verb == Publish:
		refused.option = optionPublished
	case !r.Verb.Takes():
	case r.entry.scripts.guarded:
		refused.option = "WithRestartGuard"
	case r.fenced():
		refused.option = "WithFencing"
	case r.Verb == AcquireInTurn:
		refused.option = "WithFair"
	}
	return refused
}

const (
	optionShared    = "a lock that readers share"
	optionPublished = "a published value"
)

// A formsRefused error is the error of a server that refuses all forms of a request.
type formsRefused struct {
	error
	option string // the option that has no other forms
}

func (e *formsRefused) Unwrap() error { return e.error }

// cause says what to do about it. c is the cause by its text.
func (e *formsRefused) cause(c cause) cause {
	rights := refusalHas(e, "NOPERM") || refusalHas(e, "executing the script can't") || refusalHas(e, "ACL failure in script")
	switch c.end = untilFixed; {
	case e.option != "" && rights:
		c.remedy = rightsOf(e.option)
	case e.option != "" && strings.Contains(strings.ToLower(errorReply(e)), "command called from"): // the script was run
		c.remedy = e.option + " is not possible here: " + lacksCommand
	case e.option == optionPublished:
		c.remedy = e.option + " needs GETRANGE and scripts, and this server or a proxy before it refuses one of them: allow GETRANGE, EVAL and EVALSHA"
	case e.option != "":
		c.remedy = fmt.Sprintf("%s needs scripts, which this server or a proxy before it refuses: allow EVAL and EVALSHA, or lock without it", e.option)
	case c.remedy == "", c.remedy == notOffered, c.remedy == lacksCommand, c.remedy == declaredKeys:
		c.remedy = "allow EVAL and EVALSHA on this server, or on the proxy before it: a lock that cannot be released is not taken"
	}
	return c
}

// An unproven error is the error of a call that was not made because no release is known to
// work on the node.
type unproven struct{ error }

// Error says so, unless the server said something else, or was not reached.
func (e *unproven) Error() string {
	var all *formsRefused
	if !errors.As(e.error, &all) && (isRefusal(e.error) || errors.Is(e.error, pool.ErrNotSent)) {
		return e.error.Error()
	}
	return "nothing was locked: no release is known to work there: " + e.error.Error()
}

// Unwrap says that the call itself was not sent.
func (e *unproven) Unwrap() []error { return []error{pool.ErrNotSent, e.error} }

// Trust assumes that releases work on the node: for tests that count commands.
func (n *Node) Trust() {
	for i := range n.proven {
		n.proven[i].Store(true)
	}
}
