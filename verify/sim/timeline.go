package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"
)

// A timeline is what happened in a run, for people to read: time, client, node,
// event. It is written only where tracing is on.
type timeline struct {
	tracing bool
	lines   []line
	end     int               // of what is of interest, 0 for all
	aliases map[string]string // of values and names that are random

	mu   sync.Mutex
	said []line // by goroutines of clients, at this instant
}

type line struct {
	at           time.Duration
	client, node string
	what         string
}

func (l line) String() string {
	return fmt.Sprintf("%14v  %-10s %-6s %s", l.at, l.client, l.node, l.what)
}

// note adds a line. It is called by the loop.
func (w *world) note(c *client, s *server, format string, args ...any) {
	if w.tracing {
		w.lines = append(w.lines, w.line(w.moment(), c, s, format, args))
	}
}

// say adds a line later: it is called by the goroutines of clients, and the lines of one
// instant are put in an order of their own.
func (w *world) say(c *client, format string, args ...any) {
	if w.tracing {
		l := w.line(w.now(), c, nil, format, args)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.said = append(w.said, l)
	}
}

func (w *world) line(at time.Duration, c *client, s *server, format string, args []any) line {
	l := line{at: at, what: fmt.Sprintf(format, args...)}
	if c != nil {
		l.client = c.String()
	}
	if s != nil {
		l.node = s.String()
	}
	return l
}

// collect adds what goroutines noted.
func (w *world) collect() {
	if !w.tracing {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	slices.SortStableFunc(w.said, func(a, b line) int { return cmp.Or(cmp.Compare(a.client, b.client), cmp.Compare(a.what, b.what)) })
	w.lines = append(w.lines, w.said...)
	w.said = nil
}

// reply names what is in a reply by aliases.
func (w *world) reply(r result) result {
	switch reply := r.reply.(type) {
	case string:
		r.reply = w.alias(reply)
	case []any:
		reply = slices.Clone(reply)
		if holder, ok := reply[0].(string); ok && holder != "" {
			reply[0] = w.alias(holder)
		}
		r.reply = reply
	}
	return r
}

// alias names a random value by when it came up first.
func (w *world) alias(value string) string {
	if w.aliases == nil {
		w.aliases = make(map[string]string)
	}
	name := w.aliases[value]
	if name == "" {
		name = fmt.Sprintf("#%d", len(w.aliases)+1)
		w.aliases[value] = name
	}
	return name
}

func (w *world) write(out io.Writer) {
	lines := w.lines
	if w.end > 0 {
		lines = lines[:w.end]
	}
	slices.SortStableFunc(lines, func(a, b line) int { return cmp.Compare(a.at, b.at) }) // some were collected late
	for _, l := range lines {
		fmt.Fprintln(out, l)
	}
}
