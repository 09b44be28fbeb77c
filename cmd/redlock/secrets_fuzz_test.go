package main

import (
	"fmt"
	"io"
	"log"
	"strings"
	"testing"
	"unicode"

	"github.com/alecthomas/kong"

	"github.com/quorumlock/quorumlock/pool/direct"
)

// marker is a part of every password, and of nothing else.
const marker = "s3cR3t"

// A URL that would be one of a node, in a place where it is none, loses its password
// before anything is said about it, and nothing else is lost.
func FuzzRedact(f *testing.F) {
	for _, text := range []string{"", ":", "user:", "a@", "a/", "a'", "a@b/", "%22", "é", "[user:password@"} {
		f.Add("exec: \"", text, text, "h:1/0\": file not found")
		f.Add("a@b ", text, "", "h, redis://h:1/0 x@y")
	}
	f.Fuzz(func(t *testing.T, front, before, after, back string) {
		given := "redis://" + before + marker + after + "@h:1/0"
		if _, err := direct.FromURL(given); err != nil || strings.Contains(front+before+after+back, marker) {
			return // no URL, or another password: see FuzzFromURL of package direct
		}
		said := redact(front + given + back)
		if strings.Contains(said, marker) {
			t.Fatalf("of %q it says %q", front+given+back, said)
		}
		if !strings.Contains(front, "://") && (!strings.HasPrefix(said, front+"redis://***@") || !strings.HasSuffix(said, "h:1/0"+back) && !strings.Contains(back, "@")) {
			t.Fatalf("of %q it keeps %q", front+given+back, said)
		}
		if again := redact(said); again != said {
			t.Fatalf("%q becomes %q", said, again)
		}
	})
}

// Arguments are parsed, or refused in one line after which comes where to look: no
// panic, and no password. Nothing is run.
func FuzzArguments(f *testing.F) {
	for _, args := range []string{"", "run", "run --name x --embedded -- echo", "run --name x --node URL -- echo", "run --nodes URL", "run --ttl URL", "run --name x --embedded URL", "status URL", "status --prefix", "URL", "watch --node URL x --node-timeout 5", "demo --URL", "run --ttl=5 -v -v -- -- --", "--version", "run --help"} {
		f.Add(args, "user:")
	}
	f.Fuzz(func(t *testing.T, words, before string) {
		given := "redis://" + before + marker + "@h:1/0"
		if _, err := direct.FromURL(given); err != nil || strings.Contains(words+before, marker) {
			return
		}
		args := strings.Fields(words)
		for i := range args {
			args[i] = strings.ReplaceAll(args[i], "URL", given)
		}
		var c cli
		var said strings.Builder
		say := log.New(redacting{&said}, "redlock: ", 0)
		parser, err := kong.New(&c, kong.Name("redlock"), kong.Writers(io.Discard, io.Discard), kong.Vars{"version": "x"}, kong.Exit(func(int) {}))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parser.Parse(args); err != nil {
			say.Print(parserWords(err))
		}
		if strings.Contains(said.String(), marker) {
			t.Fatalf("of %q it says %q", args, said.String())
		}
		if strings.Contains(strings.TrimSuffix(said.String(), "\n"), "\n") && !strings.ContainsFunc(words, unicode.IsControl) {
			t.Fatalf("of %q it says %q", args, said.String())
		}
		// What the library says about options stays one sentence per option.
		if text := optionWords(fmt.Errorf("redlock: WithOwner(%.40q): must be", words)).Error(); !strings.HasSuffix(text, ": must be") || strings.Contains(text, "WithOwner") && !strings.Contains(words, "WithOwner") {
			t.Fatalf("of the owner %q it says %q", words, text)
		}
	})
}
