package main

import (
	"io"
	"regexp"
	"strings"
)

// credentials matches the user and password of a URL. An apostrophe is no end: it may be
// a part of either, as it is.
var credentials = regexp.MustCompile(`://[^\s"@]*(?:@[^\s"/@]*)*@`)

// placeholder stands in messages of parseNode in place of a user and a password.
const placeholder = "://[user:password@"

// redact removes user names and passwords of URLs. It is the second line of
// defence: nothing that redlock says is made from a URL that was given to it.
// But a URL put in the wrong place is taken for a command's name, for instance,
// and then it stands in an error message.
func redact(text string) string {
	return credentials.ReplaceAllStringFunc(text, func(found string) string {
		if found == placeholder {
			return found // our own text, not a password
		}
		return "://***@"
	})
}

// redacting redacts what is written to it, a whole line at a time.
type redacting struct{ io.Writer }

func (r redacting) Write(p []byte) (int, error) {
	if _, err := io.WriteString(r.Writer, redact(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// trimmed returns the text of an error in the words of the command line, without the prefix that
// the messages of this command have anyway.
func trimmed(err error) string {
	text := err.Error()
	for _, library := range []string{"redlock: ", "board: ", "election: "} {
		text = strings.TrimPrefix(text, library)
	}
	return flagWords.Replace(text)
}
