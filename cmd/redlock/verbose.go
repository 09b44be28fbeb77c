package main

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// A journal prints what the library reports, for --verbose: changes only. A lock that is
// waited for meets the same several times a second; what differs are a count, times that run
// down, and which nodes of several were the first to answer. Such records are counted, and
// the number is printed with the next that says something new.
type journal struct {
	say *log.Logger

	mu   sync.Mutex // protects the rest
	last map[string]*repeated
}

// repeated is a record that was printed, and those like it since.
type repeated struct {
	gist string
	more int
}

func newJournal(say *log.Logger) *journal {
	return &journal{say: say, last: make(map[string]*repeated)}
}

// Enabled is a method of slog.Handler, as are the next three.
func (j *journal) Enabled(context.Context, slog.Level) bool { return true }

func (j *journal) Handle(_ context.Context, record slog.Record) error {
	what := strings.TrimPrefix(record.Message, "redlock: ")
	var about []string
	end, node := "", ""
	record.Attrs(func(a slog.Attr) bool {
		switch value := a.Value.Resolve().String(); a.Key {
		case "err", "cause":
			end = ": " + strings.TrimPrefix(value, "redlock: ")
		default:
			if a.Key == "node" {
				node = value
			}
			about = append(about, a.Key+"="+value)
		}
		return true
	})
	text := what
	if len(about) > 0 {
		text += " (" + strings.Join(about, ", ") + ")"
	}
	text = flagWords.Replace(text + end)

	j.mu.Lock()
	defer j.mu.Unlock()
	last := j.last[what]
	if last == nil {
		last = new(repeated)
		j.last[what] = last
	}
	if gist := node + gistOf(text); gist == last.gist {
		last.more++
	} else {
		j.repeat(what, last)
		last.gist = gist
		j.say.Print(text)
	}
	return nil
}

func (j *journal) WithAttrs([]slog.Attr) slog.Handler { return j } // the library calls neither
func (j *journal) WithGroup(string) slog.Handler      { return j }

// repeat prints how often a record was repeated. The mutex is held.
func (j *journal) repeat(what string, r *repeated) {
	if r.more > 0 {
		j.say.Printf("%s: %d more like the last one", what, r.more)
	}
	r.more = 0
}

// end prints what was counted.
func (j *journal) end() {
	j.mu.Lock()
	defer j.mu.Unlock()
	for what, r := range j.last {
		j.repeat(what, r)
	}
}

var (
	figures = regexp.MustCompile(`\d+(\.\d+)?(ns|[nµm]?s)?`)
	ofNode  = regexp.MustCompile(`^ ?node \S+: `)
)

// gistOf is what a record says without figures, and without which nodes of several said it
// and how many: those that answer after the outcome are not counted. What one node meets
// has a record of its own.
func gistOf(text string) string {
	first, rest, _ := strings.Cut(text, "; node ")
	if rest == "" {
		return figures.ReplaceAllString(first, "0")
	}
	var parts []string
	for part := range strings.SplitSeq("node "+rest, "; ") {
		parts = append(parts, figures.ReplaceAllString(ofNode.ReplaceAllString(part, ""), "0"))
	}
	slices.Sort(parts)
	return fmt.Sprint(figures.ReplaceAllString(first, "0"), slices.Compact(parts))
}
