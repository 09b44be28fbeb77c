package main

import (
	"fmt"
	"strings"

	"github.com/quorumlock/quorumlock/internal/node"
)

// What a message says, for the invariants and for the timeline.

// verb is what is asked: "lock", "extend", "release" ...
func (m *message) verb() string {
	switch m.args[0] {
	case "SET":
		return "acquire"
	case "EVAL":
		return read(text(m.args[1])).name
	case "EVALSHA":
		if name, known := m.link.net.world.names[text(m.args[1])]; known {
			return name
		}
		return "a script"
	}
	return strings.ToLower(text(m.args[0]))
}

// sets reports whether it may take the lock.
func (m *message) sets() bool {
	switch m.verb() {
	case "acquire", "wait", "turn":
		return true
	}
	return false
}

// key is that of the lock, "" if it is about none.
func (m *message) key() string {
	switch m.args[0] {
	case "SET":
		return text(m.args[1])
	case "EVAL", "EVALSHA":
		return text(m.args[3])
	}
	return ""
}

// value is that of the attempt, "" if there is none: a probe has one that nobody has.
func (m *message) value() string {
	switch m.args[0] {
	case "SET":
		return text(m.args[2])
	case "EVAL", "EVALSHA":
		if _, argv := split(m.args); len(argv) > 0 && !node.IsProbe(text(argv[0])) {
			return text(argv[0])
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
	fmt.Fprintf(&b, "%s %s %s", m.verb(), m.key(), w.alias(m.value()))
	if m.verb() == "turn" {
		_, argv := split(m.args)
		fmt.Fprintf(&b, " (ticket %v)", argv[4])
	}
	return b.String()
}

func (r result) String() string {
	if r.err != nil {
		return fmt.Sprintf("%q", r.err)
	}
	return fmt.Sprintf("%v", r.reply)
}
