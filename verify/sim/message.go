package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/quorumlock/quorumlock/internal/node"
	"github.com/quorumlock/quorumlock/internal/node/lua"
)

// What a message says, for the invariants and for the timeline.

// verb is what is asked: "lock", "extend", "release" ...
func (m *message) verb() string {
	switch m.args[0] {
	case "SET":
		return "acquire"
	case "EVAL", "EVALSHA":
		if called, known := m.script(); known {
			return models[called.Script].name
		}
		return "a script"
	}
	return strings.ToLower(text(m.args[0]))
}

// script is the one that it runs, if its text was ever sent.
func (m *message) script() (call lua.Call, known bool) {
	script, known := loaded(text(m.args[1]))
	if m.args[0] == "EVAL" {
		script, known = read(text(m.args[1])), true
	}
	return script.Call(split(m.args)), known
}

// sets reports whether it may take the lock.
func (m *message) sets() bool { return strings.HasPrefix(m.verb(), "acquire") }

// inTurn reports whether it takes a position in a wait queue.
func (m *message) inTurn() (call lua.Call, inTurn bool) {
	if !strings.HasSuffix(m.verb(), "in turn") {
		return call, false
	}
	call, _ = m.script()
	return call, true
}

// key is that of the lock, the first of several, "" if it is about none.
func (m *message) key() string {
	if keys := m.keys(); len(keys) > 0 {
		return keys[0]
	}
	return ""
}

// keys are those of the locks, or that of a published value.
func (m *message) keys() []string {
	if m.about == nil {
		m.about = m.readKeys()
	}
	return m.about
}

func (m *message) readKeys() (keys []string) {
	switch m.args[0] {
	case "SET":
		return []string{text(m.args[1])}
	case "EVAL", "EVALSHA":
		call, _ := m.script()
		if call.Arg("locks") == nil {
			return []string{text(m.args[3])}
		}
		for _, one := range call.Locks() {
			keys = append(keys, one.Key("lock"))
		}
	}
	return keys
}

// queues are the names of the locks whose wait queues it has to do with.
func (m *message) queues() (names []string) {
	if m.args[0] != "EVAL" && m.args[0] != "EVALSHA" {
		return nil
	}
	call, _ := m.script()
	each := []lua.Call{call}
	if call.Arg("locks") != nil {
		each = call.Locks()
	}
	for _, one := range each {
		if lease := one.Key("lease"); lease != "" {
			names = append(names, strings.TrimSuffix(strings.TrimPrefix(lease, "{"), "}:lease"))
		}
	}
	return slices.Compact(names)
}

// value is that of the attempt, "" if there is none: the value of a probe belongs to no attempt.
func (m *message) value() string {
	switch m.args[0] {
	case "SET":
		return text(m.args[2])
	case "EVAL", "EVALSHA":
		call, _ := m.script()
		if value, given := call.Arg("value").(string); given && !node.IsProbe(value) {
			return value
		}
	}
	return ""
}

func (m *message) String() string {
	w := m.link.net.world
	switch {
	case m.sub != nil:
		return fmt.Sprint(m.args...)
	case m.key() == "":
		return m.verb()
	}
	var b strings.Builder
	keys := strings.Join(m.keys(), ", ")
	if n := len(m.keys()); strings.Contains(m.verb(), " any") {
		keys = fmt.Sprintf("one of %s to %s", m.key(), m.keys()[n-1])
	}
	fmt.Fprintf(&b, "%s %s %s", m.verb(), keys, w.alias(m.value()))
	if call, inTurn := m.inTurn(); inTurn {
		fmt.Fprintf(&b, " (ticket %v)", call.Arg("ticket"))
	}
	return b.String()
}

func (r result) String() string {
	if r.err != nil {
		return fmt.Sprintf("%q", r.err)
	}
	return fmt.Sprintf("%v", r.reply)
}
