package demo

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// An output shows views as they come.
type output interface {
	show(view)
	close()
}

// newOutput draws if stdout is a terminal that can, else it writes lines.
func newOutput(stdout io.Writer, lines bool) output {
	file, ok := stdout.(*os.File)
	if lines || !ok || os.Getenv("TERM") == "dumb" {
		return newLines(stdout)
	}
	if _, _, ok := terminalSize(file); !ok {
		return newLines(stdout)
	}
	return newScreen(file)
}

// refresh is how often to take a view.
const refresh = 100 * time.Millisecond

// screen draws on a terminal, each view over the one before.
//
// It does so on the alternate screen: going up by the number of lines that were
// drawn goes wrong as soon as the window gets narrower and lines wrap.
type screen struct {
	file   *os.File
	canvas canvas
	last   view
}

func newScreen(file *os.File) *screen {
	s := &screen{file: file, canvas: canvas{colours: os.Getenv("NO_COLOR") == "", glyphs: asciiGlyphs}}
	if speaksUnicode() {
		s.canvas.glyphs = unicodeGlyphs
	}
	fmt.Fprint(file, "\x1b[?1049h\x1b[?25l\x1b[2J") // alternate screen, no cursor, empty
	return s
}

// speaksUnicode reads the locale as the C library does.
func speaksUnicode() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if value := strings.ToUpper(os.Getenv(name)); value != "" {
			return strings.Contains(value, "UTF-8") || strings.Contains(value, "UTF8")
		}
	}
	return false
}

func (s *screen) show(v view) {
	s.last = v
	s.canvas.width, s.canvas.height = 80, 24
	if width, height, ok := terminalSize(s.file); ok {
		s.canvas.width, s.canvas.height = width, height
	}
	w := bufio.NewWriter(s.file) // one write, so that nothing flickers
	fmt.Fprint(w, "\x1b[H")
	for i, l := range frame(v, s.canvas) {
		if i > 0 {
			fmt.Fprint(w, "\r\n")
		}
		fmt.Fprint(w, l.ansi(s.canvas.colours), "\x1b[K")
	}
	fmt.Fprint(w, "\x1b[J")
	_ = w.Flush()
}

// close restores the terminal, and writes the events to it.
func (s *screen) close() {
	fmt.Fprint(s.file, "\x1b[?25h\x1b[?1049l")
	for _, e := range s.last.events {
		fmt.Fprintln(s.file, eventLine(e).cut(s.canvas.width).ansi(s.canvas.colours))
	}
}

// lines writes events, and once a second the state.
type lines struct {
	w     io.Writer
	shown int           // events
	next  time.Duration // when to write the state
}

func newLines(w io.Writer) *lines { return &lines{w: w} }

func (o *lines) show(v view) {
	if o.next == 0 {
		fmt.Fprintf(o.w, "redlock demo: %s, for %s\n", setting(v), seconds(v.total))
	}
	for _, e := range v.events[o.shown:] {
		o.write(e.at, e.text)
	}
	o.shown = len(v.events)
	if v.elapsed >= o.next {
		o.next = v.elapsed.Truncate(time.Second) + time.Second
		o.write(v.elapsed, fmt.Sprintf("%s; %d wait, %d granted", standing(v), len(v.waiting), v.tally.granted))
	}
}

// write writes a text with its time, in lines of plainWidth.
func (o *lines) write(at time.Duration, text string) {
	head := stamp(at) + "  "
	for _, words := range wrap(text, plainWidth-len(head)) {
		fmt.Fprintln(o.w, head+words)
		head = strings.Repeat(" ", len(head))
	}
}

// standing describes the holder.
func standing(v view) string {
	if len(v.holders) == 0 {
		state := "free just now" // between two holders
		if countUp(v) < majority {
			state = "held by nobody"
		}
		return fmt.Sprintf("%s; %d of %d nodes answer", state, countUp(v), len(v.nodes))
	}
	var names []string
	for _, h := range v.holders {
		names = append(names, v.workers[h.worker].name)
	}
	h := v.holders[0]
	return fmt.Sprintf("%s for %s, valid %s, on %d of %d nodes",
		strings.Join(names, " AND "), seconds(h.since), seconds(h.left), h.held, len(v.nodes))
}

// plainWidth is how wide plain lines are at most.
const plainWidth = 80

// wrap breaks text into lines of at most width characters, between words.
func wrap(text string, width int) (lines []string) {
	for _, word := range strings.Fields(text) {
		if last := len(lines) - 1; last >= 0 && len(lines[last])+1+len(word) <= width {
			lines[last] += " " + word
		} else {
			lines = append(lines, word)
		}
	}
	return lines
}

func (o *lines) close() {}
