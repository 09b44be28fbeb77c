package lua

import (
	"regexp"
	"slices"
	"strconv"
	"sync"
)

// A Known is a script that a text was found to be.
type Known struct {
	Script Script
	Guard  *Guard // nil if it is not guarded
	SHA    string
}

var guardHeader = regexp.MustCompile(`^local quarantine, settings = (\d+), '([^']*)'\n`)

// byText are the scripts by their text, with and without guard.
var byText = [2]func() map[string]Script{
	sync.OnceValue(func() map[string]Script { return index(plain()) }),
	sync.OnceValue(func() map[string]Script { return index(guarded()) }),
}

func index(texts [Count]string) map[string]Script {
	m := make(map[string]Script)
	for s, text := range texts {
		if text != "" {
			m[text] = Script(s)
		}
	}
	return m
}

// Find returns which script a text is.
func Find(text string) (k Known, ok bool) {
	k.SHA = sha(text)
	if k.Script, ok = byText[0]()[text]; ok {
		return k, true
	}
	header := guardHeader.FindStringSubmatch(text)
	if header == nil {
		return Known{}, false
	}
	quarantine, err := strconv.ParseInt(header[1], 10, 64)
	k.Guard = &Guard{quarantine, header[2]}
	k.Script, ok = byText[1]()[text[len(header[0]):]]
	return k, ok && err == nil
}

// A Call is a script with what it is called with.
type Call struct {
	Known
	keys, args []any
}

// Call is the script with its KEYS and its ARGV.
func (k Known) Call(keys, args []any) Call { return Call{k, keys, args} }

// Key returns the key of that name, "" if it was not given. A name that the script does not
// have is not given.
func (c Call) Key(name string) string {
	key, _ := named(specs[c.Script].keysOf(c.Guard != nil), c.keys, name).(string)
	return key
}

// Arg returns the argument of that name, nil if it was not given. A name that the script
// does not have is not given.
func (c Call) Arg(name string) any { return named(specs[c.Script].args, c.args, name) }

func named(names []string, values []any, name string) any {
	if i := slices.Index(names, name); i >= 0 && i < len(values) {
		return values[i]
	}
	return nil
}

// Keys and Args return the keys and the arguments in their order.
func (c Call) Keys() []any { return c.keys }
func (c Call) Args() []any { return c.args }
