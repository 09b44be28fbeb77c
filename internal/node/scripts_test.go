package node

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

var scriptsOfAll = map[string]*Scripts{"unguarded": unguarded, "guarded": Guard{Nodes: 3, Longest: 8, Quarantine: 9}.Scripts()}

// Commands of the scripts that have no key. (A channel is none.)
var keyless = []string{"TIME", "INFO", "PUBLISH"}

// Servers and proxies that look for keys which were not declared read the text: every key
// is KEYS and a number, and no variable, argument or text of its own.
func TestEveryKeyThatAScriptTouchesIsOneOfItsKEYS(t *testing.T) {
	call := regexp.MustCompile(`redis\.p?call\(\s*(?:'(\w+)'|"(\w+)")\s*(?:,\s*([^,)]+))?`)
	key := regexp.MustCompile(`^KEYS\[\d+\]$`)
	for name, scripts := range scriptsOfAll {
		for i, s := range scripts.all {
			text := s.text.(string)
			calls := call.FindAllStringSubmatch(text, -1)
			if len(calls) == 0 || len(calls) != strings.Count(text, "redis.call")+strings.Count(text, "redis.pcall") {
				t.Errorf("%s, script %d: of %d calls the command can be read\n%s", name, i, len(calls), text)
			}
			for _, c := range calls {
				command := strings.ToUpper(c[1] + c[2])
				if !slices.Contains(keyless, command) && !key.MatchString(strings.TrimSpace(c[3])) {
					t.Errorf("%s, script %d: %q is no key that was given", name, i, c[0])
				}
			}
		}
	}
}

// A name in KEYS that has no number would be nil.
func TestEveryNameOfAKeyHasItsNumber(t *testing.T) {
	named := regexp.MustCompile(`KEYS\[[^\d\]]*\]`)
	for name, scripts := range scriptsOfAll {
		for i, s := range scripts.all {
			if left := named.FindAllString(s.text.(string), -1); left != nil {
				t.Errorf("%s, script %d: %q", name, i, left)
			}
		}
	}
}

// A release that nobody waits for is the command that is sent most.
func TestReleasingALockNamesNoMoreKeysThanItNeeds(t *testing.T) {
	for what, c := range map[string]struct {
		mark Mark
		keys int64
	}{
		"alone":               {Mark{}, 1},
		"nobody is in line":   {Mark{Self: "me"}, 2},
		"others are in line":  {Mark{Self: "me", Line: Line{Lease: 1}}, 4},
		"it was in line":      {Mark{Self: "me", Line: Line{Ticket: 7, Lease: 1}}, 4},
		"it goes out of line": {Mark{Self: "me", Line: Line{Ticket: 7}}, 4},
	} {
		args := NewRequest(Release, NewLease("key", "value"), 0, c.mark).first
		if args[2] != c.keys {
			t.Errorf("%s: %v", what, args)
		}
	}
}
