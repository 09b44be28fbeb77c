package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/quorumlock/quorumlock/redlock"
)

// What the commands that look write. The names in JSON are a contract.

type jsonState struct {
	Name    string `json:"name"`
	State   string `json:"state"`
	Holder  string `json:"holder"`
	Readers int    `json:"readers,omitempty"` // that share the lock, Holder among them; 0 if Holder has it alone
	Nodes   int    `json:"nodes"`
	Total   int    `json:"total"`
	TTL     int64  `json:"ttl_ms"`
	Blocked int64  `json:"blocked_ms"`
	Waiting int    `json:"waiting"`
}

type jsonNode struct {
	Node    string `json:"node"`
	State   string `json:"state"`
	Holder  string `json:"holder"`
	Readers int    `json:"readers,omitempty"`
	TTL     int64  `json:"ttl_ms"`
	Error   string `json:"error"`
}

type jsonStatus struct {
	jsonState
	Error  string     `json:"error"`
	ByNode []jsonNode `json:"by_node"`
}

type jsonChange struct {
	Time   string `json:"time"`
	Change string `json:"change"`
	jsonState
	Error string `json:"error"`
}

type jsonFailed struct {
	Node  string `json:"node"`
	Error string `json:"error"`
}

type jsonList struct {
	Locks  []jsonState  `json:"locks"`
	Failed []jsonFailed `json:"failed"`
}

type jsonEnded struct {
	Holder  string `json:"holder"`
	Readers int    `json:"readers,omitempty"`
	Nodes   int    `json:"nodes"`
}

type jsonRelease struct {
	Name   string       `json:"name"`
	State  string       `json:"state"`
	Holder string       `json:"holder"`
	Total  int          `json:"total"`
	Ended  []jsonEnded  `json:"ended"`
	Failed []jsonFailed `json:"failed"`
	Error  string       `json:"error"`
}

// newState is a state for programs.
func newState(s redlock.State) jsonState {
	j := jsonState{Name: s.Name, State: "free", Holder: s.Holder, Readers: s.Readers, Nodes: s.Nodes, Total: s.Total, TTL: millis(s.TTL), Blocked: millis(s.Blocked), Waiting: s.Waiting}
	switch {
	case s.Total == 0 || s.Unclear:
		j.State = "unknown"
	case s.Holder != "":
		j.State = "held"
	case s.Blocked != 0:
		j.State = "blocked"
	}
	return j
}

// millis is a time to live: -1 for ever, 0 if there is none.
func millis(d time.Duration) int64 {
	if d < 0 {
		return -1
	}
	return d.Milliseconds()
}

func newStatus(name string, s redlock.State, nodes []redlock.NodeState, err error) jsonStatus {
	status := jsonStatus{jsonState: newState(s), Error: errorText(err)}
	status.Name, status.Total = name, len(nodes)
	for _, n := range nodes {
		j := jsonNode{Node: n.Node, State: "free", Holder: n.Holder, Readers: n.Readers, TTL: millis(n.TTL), Error: nodeText(n.Err)}
		switch {
		case n.Err != nil:
			j.State = "unknown"
		case n.Holder != "":
			j.State = "held"
		}
		status.ByNode = append(status.ByNode, j)
	}
	return status
}

func newChange(name string, at time.Time, c redlock.Change) jsonChange {
	j := jsonChange{Time: stamped(at), Change: c.Kind.String(), jsonState: newState(c.State), Error: errorText(c.Err)}
	if c.Kind == redlock.Unknown { // the state is the last that was known
		j.jsonState = jsonState{State: "unknown"}
	}
	j.Name = name
	return j
}

// stamped is a time in JSON.
func stamped(at time.Time) string { return at.Format("2006-01-02T15:04:05.000Z07:00") }

func newList(found redlock.Listing) jsonList {
	list := jsonList{Locks: []jsonState{}, Failed: newFailed(found.Failed)}
	for _, s := range found.Locks {
		list.Locks = append(list.Locks, newState(s))
	}
	return list
}

// newFailed are the nodes of which nothing is known, [] for none.
func newFailed(nodes []*redlock.NodeError) []jsonFailed {
	all := []jsonFailed{}
	for _, f := range nodes {
		all = append(all, jsonFailed{f.Node, nodeText(f)})
	}
	return all
}

func newRelease(f redlock.Forced, err error) jsonRelease {
	j := jsonRelease{Name: f.Name, State: "released", Holder: f.Held, Total: f.Total, Ended: []jsonEnded{}, Failed: newFailed(f.Failed), Error: errorText(err)}
	switch {
	case errors.Is(err, redlock.ErrNotHeld):
		j.State = "free"
	case err != nil:
		j.State = "unknown"
	}
	for _, h := range f.Holders {
		j.Ended = append(j.Ended, jsonEnded{h.Label, h.Readers, h.Nodes})
	}
	return j
}

// errorText is an error for a line, or "".
func errorText(err error) string {
	if err == nil {
		return ""
	}
	return redact(trimmed(err))
}

// nodeText is what went wrong on a node, without its name.
func nodeText(err error) string {
	var failed *redlock.NodeError
	if !errors.As(err, &failed) {
		return errorText(err)
	}
	return redact(flagWords.Replace(strings.TrimPrefix(failed.Error(), fmt.Sprintf("node %s: ", failed.Node))))
}

func writeIndented(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

func writeLine(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

// writeStatus writes a line about the lock, and one for each node.
func writeStatus(w io.Writer, name string, s redlock.State, nodes []redlock.NodeState, err error) error {
	var b strings.Builder
	if err == nil {
		fmt.Fprintln(&b, s)
	} else {
		answered := 0
		for _, n := range nodes {
			if n.Err == nil {
				answered++
			}
		}
		fmt.Fprintf(&b, "it is unknown who holds %q: %d of %d nodes answered\n", name, answered, len(nodes))
	}
	widest := 0
	for _, n := range nodes {
		widest = max(widest, len(n.Node))
	}
	for _, n := range nodes {
		said := "free"
		switch {
		case n.Err != nil:
			said = "unknown: " + strings.ReplaceAll(nodeText(n.Err), "\n", "; ")
		case n.Holder != "":
			said = fmt.Sprintf("held by %v, %s", redlock.Holder{Label: n.Holder, Readers: n.Readers}, forHowLong(n.TTL))
		}
		fmt.Fprintf(&b, "  %-*s  %s\n", widest, n.Node, said)
	}
	_, err = io.WriteString(w, b.String())
	return err
}

func forHowLong(d time.Duration) string {
	if d < 0 {
		return forEver
	}
	return fmt.Sprintf("for %v", d)
}

const forEver = "for ever"

// howLong is the same for a column.
func howLong(d time.Duration) string {
	if d < 0 {
		return forEver
	}
	return d.String()
}

// writeList writes a table.
func writeList(w io.Writer, found redlock.Listing) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NAME\tHOLDER\tFOR\tNODES\tWAIT")
	for _, s := range found.Locks {
		holder, left, nodes := "nobody", "-", fmt.Sprintf("%d of %d", s.Nodes, s.Total)
		switch {
		case s.Unclear:
			holder = "unknown"
		case s.Holder != "":
			holder, left = redlock.Holder{Label: s.Holder, Readers: s.Readers}.String(), howLong(s.TTL)
		case s.Blocked != 0:
			holder, left, nodes = "nobody can get it", howLong(s.Blocked), nodes+" free"
		default:
			nodes += " free"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\n", word(s.Name), holder, left, nodes, s.Waiting)
	}
	return table.Flush()
}

// word is a name for a column: in quotes if it has blanks, or what a terminal obeys.
func word(name string) string {
	if quoted := strconv.Quote(name); strings.ContainsRune(name, ' ') || quoted != `"`+name+`"` {
		return quoted
	}
	return name
}
