package main

import (
	"strings"
	"testing"
)

func TestPasswordsAreNotPrinted(t *testing.T) {
	t.Parallel()
	const secret = "s3cret"
	for _, args := range [][]string{
		{"--node", "redis://user:" + secret + "@127.0.0.1:1"},              // no server
		{"--node", "redis://user:" + secret + "@127.0.0.1:port"},           // not a port
		{"--node", "redis://user:pa/" + secret + "@127.0.0.1"},             // not escaped
		{"--node", "redis://user:12/" + secret + "@127.0.0.1"},             // not escaped, and yet a URL
		{"--node", "redis://user:12?" + secret + "@127.0.0.1"},             //
		{"--node", "redis://user:%zz" + secret + "@127.0.0.1"},             // badly escaped
		{"--node", "redis://user:" + secret + "@127.0.0.1/0?nonsense=1"},   // unknown option
		{"--node", "http://user:" + secret + "@127.0.0.1"},                 // no Redis
		{"--node", "unix://user:" + secret + "@/no/such/socket"},           // no server
		{"--embedded", "redis://user:" + secret + "@127.0.0.1"},            // taken for the command
		{"--embedded", "--nodes", "redis://user:" + secret + "@127.0.0.1"}, // a flag that is none
		{"--node", "redis://user:" + secret + "@127.0.0.1:1", "--node", "redis://u:" + secret + "@127.0.0.1:1"},
	} {
		p := start(t, append(append([]string{"run", "--verbose", "--name", "x"}, args...), "--", "echo")...)
		code, out := p.end()
		if code == 0 {
			t.Errorf("%v: exit code 0", args)
		}
		if said := p.stderr.String(); said == "" || strings.Contains(out+said, secret) {
			t.Errorf("%v: stderr %q", args, said)
		}
	}
}

func TestRedactKeepsTheRest(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"dial redis://u:p@h:1 failed":    "dial redis://***@h:1 failed",
		"redis://:p@ss@h/0 and a@b":      "redis://***@h/0 and a@b",
		"a redis://h:1/0, b redis://x:2": "a redis://h:1/0, b redis://x:2",
		"want redis://[user:password@]h": "want redis://[user:password@]h",
		"redis://[user:password@]s3c@h":  "redis://***@h",
		"exec: redis://u:p's3c@h:1: no":  "exec: redis://***@h:1: no",
	} {
		if got := redact(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}
