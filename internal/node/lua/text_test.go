package lua

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// texts are all scripts, with and without guard.
func texts() map[string]string {
	all := make(map[string]string)
	for s := range Count {
		all[s.String()] = plain()[s]
		if specs[s].taker {
			all["guarded "+s.String()] = Texts(&Guard{9, "3 8 9"})[s].Text.(string)
		}
	}
	return all
}

// Commands of the scripts that have no key. (A channel is none.)
var keyless = []string{"TIME", "INFO", "PUBLISH"}

// Servers and proxies that look for keys which were not declared read the text: every key
// is KEYS and a number, and no variable, argument or text of its own.
func TestEveryKeyThatAScriptTouchesIsOneOfItsKEYS(t *testing.T) {
	call := regexp.MustCompile(`redis\.p?call\(\s*(?:'(\w+)'|"(\w+)")\s*(?:,\s*([^,)]+))?`)
	key := regexp.MustCompile(`^KEYS\[\d+\]$`)
	for name, text := range texts() {
		calls := call.FindAllStringSubmatch(text, -1)
		if len(calls) == 0 || len(calls) != strings.Count(text, "redis.call")+strings.Count(text, "redis.pcall") {
			t.Errorf("%s: of %d calls the command can be read\n%s", name, len(calls), text)
		}
		for _, c := range calls {
			command := strings.ToUpper(c[1] + c[2])
			first := strings.TrimSpace(c[3])
			given := key.MatchString(first)
			if list, several := strings.CutPrefix(first, "unpack("); several { // of the keys of all locks
				given = list == "keys" || regexp.MustCompile(`^every\(\d+$`).MatchString(list)
			}
			if !slices.Contains(keyless, command) && !given {
				t.Errorf("%s: %q is no key that was given", name, c[0])
			}
		}
	}
}

func TestNoNameIsLeftInATextAndNoNumberStandsInAFile(t *testing.T) {
	named := regexp.MustCompile(`(KEYS|EVERY|ARGV|CODE)\.|return \{\w+ =`)
	for name, text := range texts() {
		if left := named.FindAllString(text, -1); left != nil {
			t.Errorf("%s has %q", name, left)
		}
	}
	byHand := regexp.MustCompile(`ARGV\[|KEYS\[|#ARGV|= -[234]\b`)
	entries, err := files.ReadDir(".")
	if err != nil || len(entries) < 12 {
		t.Fatalf("%d files, %v", len(entries), err)
	}
	for _, entry := range entries {
		source, err := files.ReadFile(entry.Name())
		if err != nil {
			t.Fatal(err)
		}
		if found := byHand.FindAllString(string(source), -1); found != nil {
			t.Errorf("%s has %q", entry.Name(), found)
		}
	}
}

func TestEveryScriptThatTakesALockHasTheGuardAndNoOtherHas(t *testing.T) {
	for s := range Count {
		if has := strings.Contains(guarded()[s], "GUARDQUARANTINE"); has != specs[s].taker {
			t.Errorf("%s has the guard: %t", s, has)
		}
	}
}

// What is in a spec is used: a name that no script reads would be sent for nothing.
func TestEveryNameOfASpecIsUsedByItsScript(t *testing.T) {
	for s := range Count {
		var source strings.Builder
		for _, part := range slices.Concat(specs[s].each, specs[s].files) {
			if part != "findings" {
				text, err := files.ReadFile(part + ".lua")
				if err != nil {
					t.Fatal(err)
				}
				for line := range strings.Lines(string(text)) {
					if !strings.HasPrefix(line, "--") {
						source.WriteString(line)
					}
				}
			}
		}
		for table, names := range map[string][]string{"KEYS": specs[s].keys, "ARGV": specs[s].args} {
			for _, name := range names {
				if name != "locks" && !regexp.MustCompile(table+`\.`+name+`\b`).MatchString(source.String()) {
					t.Errorf("%s does not use %s.%s", s, table, name)
				}
			}
		}
	}
}

func TestANameThatIsNotInTheSpecIsRefused(t *testing.T) {
	one := &spec{keys: words("lock wait"), args: words("value"), reply: words("holder left")}
	for line, want := range map[string]string{
		"redis.call('GET', KEYS.lock)\n":                          "redis.call('GET', KEYS[1])\n",
		"return ARGV.value == KEYS.wait and CODE.free\n":          "return ARGV[1] == KEYS[2] and -2\n",
		"  return {holder = f(1, 2), left = {3, 4}}\n":            "  return {f(1, 2), {3, 4}}\n",
		"return {holder = '', left = 1, largest = n, micros = m}": "return {'', 1, n, m}",
		"KEYS.locks":                    "",
		"ARGV.lock":                     "",
		"CODE.none":                     "",
		"return {left = 1, holder = 2}": "",
		"return {holder = 1}":           "",
		"return {holder = 1, 2}":        "",
	} {
		got, err := one.number(line, one.keys)
		if got != want || (err != nil) != (want == "") {
			t.Errorf("%q becomes %q, %v, want %q", line, got, err, want)
		}
	}
}

func TestFindKnowsEveryTextWithItsGuardAndNoOther(t *testing.T) {
	for _, guard := range []*Guard{nil, {9, "3 8 9"}} {
		for s, text := range Texts(guard) {
			script := Script(s)
			k, ok := Find(text.Text.(string))
			if !ok || k.Script != script || k.SHA != text.SHA {
				t.Errorf("%s is found to be %+v, %t", script, k, ok)
			}
			if want := guard != nil && specs[s].taker; (k.Guard != nil) != want || want && *k.Guard != *guard {
				t.Errorf("%s has the guard %+v", script, k.Guard)
			}
		}
	}
	for _, text := range []string{"", "return 1", plain()[AcquireOrFlag] + " ", fmt.Sprintf(guardLine, 9, "3 8 9") + plain()[AcquireOrFlag]} {
		if k, ok := Find(text); ok {
			t.Errorf("%q is found to be %+v", text, k)
		}
	}
}

// A model that asks for a name with a slip would read "not given" for ever.
func TestANameThatNoScriptHasPanics(t *testing.T) {
	c := Known{Script: Extend}.Call([]any{"k"}, []any{"v", int64(1)})
	if c.Key("lock") != "k" || c.Arg("ttl") != int64(1) || c.Key("fence") != "" || c.Arg("retake") != nil {
		t.Errorf("%+v is read wrongly", c)
	}
	for _, ask := range []func(){func() { c.Key("values") }, func() { c.Arg("lock") }} {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("it is taken for one that was not given")
				}
			}()
			ask()
		}()
	}
}
