package lua

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// A Known is a script that a text was found to be.
type Known struct {
	Script Script
	Guard  *Guard // nil if it is not guarded
	SHA    string
}

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
	guard, body, _ := strings.Cut(text, "\n")
	if k.Guard, ok = readGuard(guard); !ok {
		return Known{}, false
	}
	k.Script, ok = byText[1]()[body]
	return k, ok
}

// readGuard reads what guardLine writes.
func readGuard(line string) (g *Guard, ok bool) {
	before, _, _ := strings.Cut(guardLine, "%d")
	line, ok = strings.CutPrefix(line, before)
	if !ok {
		return nil, false
	}
	digits, rest, _ := strings.Cut(line, ", ")
	quarantine, err := strconv.ParseInt(digits, 10, 64)
	settings := strings.Trim(rest, "'")
	return &Guard{quarantine, settings}, err == nil && rest == "'"+settings+"'"
}

// A Call is a script with what it is called with.
type Call struct {
	Known
	keys, args []any
}

// Call is the script with its KEYS and its ARGV.
func (k Known) Call(keys, args []any) Call { return Call{k, keys, args} }

// Key returns the key of that name, "" if it was not given, or if the script has none of that
// name. It panics if no script has.
func (c Call) Key(name string) string {
	keys, _ := allNames()
	mustBeNamed(name, keys)
	key, _ := named(specs[c.Script].keysOf(c.Guard != nil), c.keys, name).(string)
	return key
}

// Arg returns the argument of that name, nil if it was not given, or if the script has none
// of that name. It panics if no script has.
func (c Call) Arg(name string) any {
	_, args := allNames()
	mustBeNamed(name, args)
	return named(specs[c.Script].args, c.args, name)
}

func named(names []string, values []any, name string) any {
	if i := slices.Index(names, name); i >= 0 && i < len(values) {
		return values[i]
	}
	return nil
}

// allNames are the names of the keys, and of the arguments, of all scripts.
var allNames = sync.OnceValues(func() (keys, args map[string]bool) {
	keys, args = make(map[string]bool), make(map[string]bool)
	for i := range specs {
		s := &specs[i]
		for _, name := range s.keysOf(s.taker) {
			keys[name] = true
		}
		for _, name := range s.args {
			args[name] = true
		}
	}
	return keys, args
})

func mustBeNamed(name string, names map[string]bool) {
	if !names[name] {
		panic(fmt.Sprintf("no script has the key or argument %q", name))
	}
}

// Locks are the call for each of several locks: Key returns the keys of that one.
func (c Call) Locks() (each []Call) {
	spec := &specs[c.Script]
	before := len(spec.keysOf(c.Guard != nil)) - len(spec.keys)
	guard, keys := c.keys[:before], c.keys[before:]
	count, _ := strconv.Atoi(fmt.Sprint(c.Arg("locks"))) // a text, if it came over a connection
	for size := len(keys) / count; len(keys) > 0; keys = keys[size:] {
		each = append(each, c.Call(slices.Concat(guard, keys[:size]), c.args))
	}
	return each
}

// Keys and Args return the keys and the arguments in their order.
func (c Call) Keys() []any { return c.keys }
func (c Call) Args() []any { return c.args }
