package node

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/quorumlock/quorumlock/pool"
)

// Servers repeat the arguments of a command that they do not know, and of some that they
// refuse. The arguments of a renamed AUTH are the password; those of a renamed EVALSHA are the
// value that releases a lock. So an error is redacted where it comes in, before anything else
// sees it: what users log, or find with errors.As, has no argument in it.

const (
	maxText = 300 // bytes of an error reply; some servers send long explanations
	cutOff  = "..."
)

var (
	// unknownCommand comes before the name of the command, and the name before the arguments.
	unknownCommand = regexp.MustCompile(`(?i)\bun(?:known|supported|recogni[sz]ed)(?: or \w+| redis| redict| valkey)? command\b[:,]?\s*`)
	commandName    = regexp.MustCompile("^(?:['\"`][A-Za-z][\\w.|-]{0,39}['\"`]|[A-Za-z][\\w.|-]{0,39})")
	argsBegin      = regexp.MustCompile(`(?i)\barg(?:ument)?s beginning with`)
	lockValue      = regexp.MustCompile("rl1:[0-9a-f]*[^\\s'\"`]*") // or the beginning of one
)

// harmless are the quoted words that are no arguments, or no secrets: names of commands (and so
// those of subcommands) and of settings.
var harmless = func() map[string]bool {
	words := make(map[string]bool)
	for _, r := range rights {
		words[strings.ToLower(r.args[0].(string))] = true
	}
	for _, word := range []string{"auth", "hello", "select", "client", "config", "acl", "script", "command", "pubsub", "delifeq", "delex", "maxmemory", "lua", "no", "yes"} {
		words[word] = true
	}
	return words
}()

// shorten leaves the code and the message of an error reply and the name of the command, and
// removes what may be an argument.
func shorten(text string) string {
	if front, command, ok := cutArguments(text); ok {
		text = hideNonce(hideQuoted(front)) + command
	} else {
		text = hideNonce(hideQuoted(text))
	}
	if len(text) > maxText {
		end := maxText
		for end > 0 && !utf8.RuneStart(text[end]) {
			end--
		}
		text = text[:end] + cutOff
	}
	return text
}

// cutArguments finds the name of an unknown command, and cuts off what follows it.
func cutArguments(text string) (front, command string, ok bool) {
	first, _ := quoted(text)
	if at := unknownCommand.FindStringIndex(text); at != nil && (first < 0 || first > at[0]) { // not of an argument
		rest := text[at[1]:]
		name := commandName.FindString(rest)
		if !strings.EqualFold(name, "called") && !strings.EqualFold(name, "or") { // "called from script"
			if name != rest {
				name += cutOff
			}
			return text[:at[0]], text[at[0]:at[1]] + name, true
		}
	}
	if at := argsBegin.FindStringIndex(text); at != nil {
		if first >= 0 && first < at[0] { // these may be words of an argument
			return text[:first], cutOff, true
		}
		return text[:at[0]], cutOff, true
	}
	return text, "", false
}

// hideQuoted hides all from the first quotation mark to the last: an argument may contain some.
func hideQuoted(text string) string {
	first, last := quoted(text)
	if first < 0 {
		return text
	}
	if last < 0 {
		return text[:first+1] + cutOff
	}
	word, _, _ := strings.Cut(text[first+1:last], "|")
	if harmless[strings.ToLower(word)] && commandName.FindString(text[first:last+1]) == text[first:last+1] {
		return text
	}
	return text[:first+1] + cutOff + text[last:]
}

// quoted finds the first quotation mark that opens a quotation, and the last that closes one;
// -1 if there is none.
func quoted(text string) (first, last int) {
	const marks = "'\"`"
	within := func(i int) bool { // a word, as the apostrophe in "can't" is
		return i >= 0 && i < len(text) && (text[i]|0x20 >= 'a' && text[i]|0x20 <= 'z' || text[i] >= '0' && text[i] <= '9' || text[i] >= utf8.RuneSelf)
	}
	first, last = -1, -1
	for i := range len(text) {
		switch {
		case !strings.Contains(marks, text[i:i+1]):
		case first < 0 && !within(i-1):
			first = i
		case first >= 0 && !within(i+1):
			last = i
		}
	}
	return first, last
}

// hideNonce hides what releases a lock.
func hideNonce(text string) string { return lockValue.ReplaceAllString(text, "rl1:"+cutOff) }

// sentinels are what a redacted error still matches.
var sentinels = []error{pool.ErrNotSent, pool.ErrNoConn, pool.ErrClosed, context.DeadlineExceeded, context.Canceled}

// usual are errors of nodes that do not answer, which come by the thousand. They contain no
// word of a server.
var usual = map[string]bool{
	context.DeadlineExceeded.Error():                                  true,
	context.Canceled.Error():                                          true,
	pool.ErrNotSent.Error() + ": " + context.DeadlineExceeded.Error(): true,
	pool.ErrNotSent.Error() + ": " + context.Canceled.Error():         true,
}

// redact returns err without the arguments that a server repeated. If there are some, the
// errors around them are dropped, since their text has the arguments, too.
func redact(err error) error {
	if err == nil {
		return nil
	}
	if usual[err.Error()] {
		if _, ok := errors.AsType[pool.Error](err); !ok {
			return err
		}
	}
	said := replies(err, nil)
	if e := pool.Error(""); errors.As(err, &e) && !slices.Contains(said, e) {
		said = append(said, e)
	}
	text := err.Error()
	front, command, _ := cutArguments(text)
	short := hideNonce(front) + command
	if short == text && !slices.ContainsFunc(said, func(e pool.Error) bool { return shorten(string(e)) != string(e) }) {
		return err
	}
	var left []error
	for _, s := range sentinels {
		if errors.Is(err, s) {
			left = append(left, s)
		}
	}
	for _, e := range said {
		left = append(left, pool.Error(shorten(string(e))))
	}
	if len(said) == 0 { // a client, or a hook of it, made a text of the reply
		left = append(left, errors.New(short))
	}
	return &shortened{left}
}

// replies appends the error replies that err is made of.
func replies(err error, to []pool.Error) []pool.Error {
	if e, ok := err.(pool.Error); ok {
		return append(to, e)
	}
	switch err := err.(type) {
	case interface{ Unwrap() error }:
		if inner := err.Unwrap(); inner != nil {
			to = replies(inner, to)
		}
	case interface{ Unwrap() []error }:
		for _, inner := range err.Unwrap() {
			if inner != nil {
				to = replies(inner, to)
			}
		}
	}
	return to
}

// shortened is an error of which only what is known to be harmless is left.
type shortened struct{ left []error }

func (s *shortened) Error() string {
	var parts []string
	for _, err := range s.left {
		parts = append(parts, err.Error())
	}
	return strings.Join(parts, ": ")
}

func (s *shortened) Unwrap() []error { return s.left }
