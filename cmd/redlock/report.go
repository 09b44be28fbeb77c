package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/quorumlock/quorumlock/redlock"
)

const (
	textIndent = 24 // of what was found
	narrow     = 60 // columns; below it the text begins further to the left
	hanging    = 2  // more, for the second line of a text and those after it
)

// writeReport writes the findings for people: those that several nodes have in common
// once, below the names of all these nodes.
func writeReport(w io.Writer, width int, found []redlock.Finding) error {
	nodes := make(map[string]bool)
	count := make(map[redlock.Severity]int)
	of := make(map[redlock.Finding][]string) // nodes of equal findings, by the finding without its node
	var order []redlock.Finding
	for _, f := range found {
		nodes[f.Node] = true
		count[f.Severity]++
		name := f.Node
		f.Node = ""
		if of[f] == nil {
			order = append(order, f)
		}
		of[f] = append(of[f], name)
	}
	delete(nodes, "") // a finding about all of them

	sections := make(map[string][]redlock.Finding)
	var headings []string
	for _, f := range order {
		heading := strings.Join(of[f], ", ")
		if heading == "" {
			heading = "all nodes"
		}
		if sections[heading] == nil {
			headings = append(headings, heading)
		}
		sections[heading] = append(sections[heading], f)
	}

	var b strings.Builder
	for _, heading := range headings {
		b.WriteString(wrap("", 0, width, heading))
		for _, f := range sections[heading] {
			writeFinding(&b, width, f)
		}
	}
	fmt.Fprintf(&b, "nodes: %d, errors: %d, warnings: %d, notes: %d\n", len(nodes),
		count[redlock.SeverityError], count[redlock.SeverityWarning], count[redlock.SeverityNote])
	_, err := io.WriteString(w, b.String())
	return err
}

func writeFinding(b *strings.Builder, width int, f redlock.Finding) {
	begin, indent := fmt.Sprintf("  %-8v %-12s ", f.Severity, f.Check), textIndent
	if width < narrow {
		fmt.Fprintf(b, "%s\n", strings.TrimRight(begin, " "))
		begin, indent = "    ", 4
	}
	margin := strings.Repeat(" ", indent)
	b.WriteString(wrap(begin, indent, width, f.Seen))
	if f.Endangers != "" {
		b.WriteString(wrap(margin, indent, width, "endangers "+f.Endangers))
	}
	if f.Remedy != "" {
		b.WriteString(wrap(margin, indent, width, "remedy: "+f.Remedy))
	}
}

// wrap breaks a text into lines, at blanks only: a command must be easy to copy. The first line
// begins with begin, which is as wide as indent.
func wrap(begin string, indent, width int, text string) string {
	var b strings.Builder
	b.WriteString(begin)
	column, empty := indent, true
	for word := range strings.FieldsSeq(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case empty:
		case column+1+n <= width:
			b.WriteByte(' ')
			column++
		default:
			b.WriteString("\n" + strings.Repeat(" ", indent+hanging))
			column = indent + hanging
		}
		b.WriteString(word)
		column, empty = column+n, false
	}
	b.WriteByte('\n')
	return b.String()
}
