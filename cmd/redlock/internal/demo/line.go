package demo

import (
	"strings"
	"unicode/utf8"
)

// A style is the parameters of an ANSI "select graphic rendition" sequence.
type style string

const (
	plain   style = ""
	bold    style = "1"
	dim     style = "2"
	red     style = "31"
	green   style = "32"
	yellow  style = "33"
	cyan    style = "36"
	reverse style = "1;7;31"
)

// workerStyles distinguish workers. None of them is green, yellow, red or cyan: these are
// states. They are from the palette of 256 colours.
var workerStyles = []style{"1;38;5;75", "1;38;5;213", "1;38;5;141", "1;38;5;180", "1;38;5;109", "1;38;5;250"}

// A line is text in several styles. Every character in it is one column wide.
type line []segment

type segment struct {
	style style
	text  string
}

func text(s string) line                   { return line{{plain, s}} }
func (l line) add(st style, s string) line { return append(l, segment{st, s}) }

func (l line) width() int {
	n := 0
	for _, s := range l {
		n += utf8.RuneCountInString(s.text)
	}
	return n
}

// pad fills the line with blanks to a width.
func (l line) pad(width int) line {
	if n := width - l.width(); n > 0 {
		return l.add(plain, strings.Repeat(" ", n))
	}
	return l
}

// cut shortens the line to a width.
func (l line) cut(width int) line {
	var out line
	for _, s := range l {
		n := utf8.RuneCountInString(s.text)
		if n > width {
			s.text = string([]rune(s.text)[:max(width, 0)])
			return append(out, s)
		}
		width -= n
		out = append(out, s)
	}
	return out
}

// ansi writes the line for a terminal, with or without colours.
func (l line) ansi(colours bool) string {
	var b strings.Builder
	for _, s := range l {
		if !colours || s.style == plain {
			b.WriteString(s.text)
			continue
		}
		b.WriteString("\x1b[" + string(s.style) + "m" + s.text + "\x1b[0m")
	}
	return b.String()
}

// beside puts right next to left, which is filled up to a width.
func beside(left, right []line, width int) []line {
	var out []line
	for i := range max(len(left), len(right)) {
		var l line
		if i < len(left) {
			l = left[i]
		}
		if i < len(right) {
			l = append(l.cut(width).pad(width), right[i]...)
		}
		out = append(out, l)
	}
	return out
}
