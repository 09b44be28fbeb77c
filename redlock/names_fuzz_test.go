package redlock

import (
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/quorumlock/quorumlock/internal/node"
)

// A value is the secret that releases the lock. Of one that is ours the label is shown,
// if it can be shown; of all others a hash. What is shown is printable.
func FuzzHolder(f *testing.F) {
	nonce := strings.Repeat("0a", nonceDigits/2)
	for _, value := range []string{"", "x", valuePrefix, valuePrefix + nonce, valuePrefix + nonce + ":", valuePrefix + nonce + ":web-1:42",
		valuePrefix + nonce + "::", valuePrefix + strings.ToUpper(nonce) + ":web", valuePrefix + nonce[1:] + "g:web", valuePrefix + nonce + "0:web",
		valuePrefix + nonce + ":a\nb", valuePrefix + nonce + ":\x9b2J", valuePrefix + nonce + ":caf\xc3", valuePrefix + nonce + ":\u202egnol", valuePrefix + nonce + ":\u00a0",
		valuePrefix + nonce + ":" + strings.Repeat("x", maxLabel), valuePrefix + nonce + ":" + strings.Repeat("x", maxLabel+1), "rl2:" + nonce + ":web"} {
		f.Add(value)
	}
	form := regexp.MustCompile(`^rl1:([0-9a-fA-F]{32}):((?s).+)$`)
	foreign := regexp.MustCompile(`^foreign holder #[0-9a-f]{8}$`)
	printable := func(s string) bool {
		return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
	}
	showable := func(s string) bool { return s != "" && len(s) <= 128 && printable(s) }
	f.Fuzz(func(t *testing.T, value string) {
		shown := holderOf(value)
		if parts := form.FindStringSubmatch(value); parts != nil && showable(parts[2]) {
			if shown != parts[2] {
				t.Fatalf("the holder of %q is %q", value, shown)
			}
		} else if !foreign.MatchString(shown) {
			t.Fatalf("the holder of %q is %q", value, shown)
		}
		q := &QuorumError{Op: "lock", Name: value, Needed: 1, Total: 1, kind: ErrTaken}
		q.addHolder(shown, "")
		state := State{Name: value, Holder: shown, Nodes: 1, Total: 1, TTL: -1, value: value}
		for _, text := range []string{q.Error(), state.String(), state.Holder} {
			if !printable(text) {
				t.Fatalf("%q is not printable", text)
			}
		}
		// An owner that New takes is what the others see.
		if isLabel(value) != showable(value) {
			t.Fatalf("%q as a label: %t", value, isLabel(value))
		}
		if isLabel(value) && holderOf(newValue(value)) != value {
			t.Fatalf("the owner %q is shown as %q", value, holderOf(newValue(value)))
		}
	})
}

// A name is refused, or its key is prefix and name, and what belongs to that key cannot
// be the key of another lock.
func FuzzKey(f *testing.F) {
	for _, name := range []string{"", "job", "{a}:fence", "{a}:queue:", "{a{b}}:wait", "{}:wake", "}:wake", "node", "redlock:quarantine", "a\nb", "\xff"} {
		f.Add("", name)
		f.Add("redlock:", name)
		f.Add("{", name)
	}
	f.Fuzz(func(t *testing.T, prefix, name string) {
		key, err := keyOf(prefix, name)
		switch {
		case err != nil:
			if name != "" && !node.IsSideKey(prefix+name) || !strings.HasPrefix(err.Error(), "redlock: ") || strings.Contains(err.Error(), "\n") {
				t.Fatalf("%q and %q: %v", prefix, name, err)
			}
			return
		case key != prefix+name || name == "":
			t.Fatalf("the key of %q and %q is %q", prefix, name, key)
		}
		for _, what := range []string{"fence", "lease", "queue", "wait", "wake"} {
			if side := node.SideKey(key, what); side != key {
				if _, err := keyOf("", side); err == nil {
					t.Fatalf("%q belongs to %q and can be the key of a lock", side, key)
				}
			}
		}
	})
}
