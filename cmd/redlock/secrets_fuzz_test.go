package main

import (
	"fmt"
	"io"
	"log"
	"net/url"
	"strings"
	"testing"
	"unicode"

	"github.com/alecthomas/kong"
)

// marker is a part of every password, and of nothing else.
const marker = "s3cR3t"

// A password never appears, whatever stands around it: not in an error, and not in the
// name of the node. One that is percent-encoded arrives as it was meant.
func FuzzNodeURL(f *testing.F) {
	for _, scheme := range []string{"redis://", "rediss://", "unix://", "http://", "REDIS://", "://", ""} {
		for _, rest := range []string{"127.0.0.1", "r1:port", "r1:65536", "r1:6379/0", "r1/0?nonsense=1", "r1?db=x", "[::1]:1", "/run/redis.sock?db=2", "r1,redis://r2", "r1#x", ""} {
			f.Add(scheme, "user:", "", rest)
		}
		for _, before := range []string{"pa/", "pa?", "pa#", "%zz", "@", "@h/", "@h:1/0?db=", ",", " ", "'", `"`, "\n", "[", "12/"} {
			f.Add(scheme, ":"+before, "", "r1")
			f.Add(scheme, ":"+before, ":@/?#", "r1")
		}
	}
	f.Fuzz(func(t *testing.T, scheme, before, after, rest string) {
		if strings.Contains(scheme+before+after+rest, marker) {
			t.Skip("twice")
		}
		options, err := parseNode(scheme + before + marker + after + "@" + rest)
		if err != nil {
			if strings.Contains(err.Error(), marker) {
				t.Fatalf("%q: %v", scheme+before+marker+after+"@"+rest, err)
			}
		} else {
			n := &nodes{}
			n.add(options)
			defer n.close()
			if name := n.pools[0].String(); strings.Contains(name, marker) {
				t.Fatalf("%q: the node is called %q", scheme+before+marker+after+"@"+rest, name)
			}
		}

		password := before + marker + after
		proper := url.URL{Scheme: "redis", User: url.UserPassword(before, password), Host: "r1", Path: "/3"}
		options, err = parseNode(proper.String())
		if err != nil || options.Addr != "r1:6379" || options.DB != 3 || options.Username != before || options.Password != password {
			t.Fatalf("%q becomes %+v, %v", proper.String(), options, err)
		}
	})
}

// A URL that would be one of a node, in a place where it is none, loses its password
// before anything is said about it, and nothing else is lost.
func FuzzRedact(f *testing.F) {
	for _, text := range []string{"", ":", "user:", "a@", "a/", "a'", "a@b/", "%22", "é", "[user:password@"} {
		f.Add("exec: \"", text, text, "h:1/0\": file not found")
		f.Add("a@b ", text, "", "h, redis://h:1/0 x@y")
	}
	f.Fuzz(func(t *testing.T, front, before, after, back string) {
		given := "redis://" + before + marker + after + "@h:1/0"
		if _, err := parseNode(given); err != nil || strings.Contains(front+before+after+back, marker) {
			return // no URL, or another password: see FuzzNodeURL
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
		if _, err := parseNode(given); err != nil || strings.Contains(words+before, marker) {
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
