package lua

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// A Text is a script as it is sent, boxed for the argument list once.
type Text struct{ Text, SHA any }

// A Guard is the settings in front of a script that is guarded against restarts.
type Guard struct {
	Quarantine int64  // in milliseconds
	Settings   string // that all clients have to agree on, in digits and blanks
}

// guardLine is how they are written.
const guardLine = "local quarantine, settings = %d, '%s'\n"

// Texts returns all scripts as they are sent, those that take the lock with the guard, if
// there is one.
func Texts(guard *Guard) (all [Count]Text) {
	for s := range Count {
		text := plain()[s]
		if guard != nil && specs[s].taker {
			text = fmt.Sprintf(guardLine, guard.Quarantine, guard.Settings) + guarded()[s]
		}
		all[s] = Text{text, sha(text)}
	}
	return all
}

// sha is what EVALSHA asks for, not a protection.
func sha(text string) string {
	sum := sha1.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}

var (
	plain   = sync.OnceValue(func() [Count]string { return build(false) })
	guarded = sync.OnceValue(func() [Count]string { return build(true) }) // without the settings
)

func build(guarded bool) (texts [Count]string) {
	for s := range Count {
		spec := &specs[s]
		if guarded && !spec.taker {
			continue
		}
		var b strings.Builder
		keys := spec.keysOf(guarded)
		if guarded {
			b.WriteString(spec.part(s, "guard", keys))
		}
		if spec.many {
			spec.separate(&b, guarded)
			for _, part := range spec.each {
				b.WriteString(spec.part(s, part, spec.keys))
			}
			if spec.each != nil {
				b.WriteString("end\n")
			}
			keys = spec.keys // KEYS are those of one lock from here on, in a loop; else those that come once
		}
		for _, part := range spec.files {
			b.WriteString(spec.part(s, part, keys))
		}
		texts[s] = b.String()
	}
	return texts
}

// separate makes every(n), a list of the n-th key of each lock; keys, the list of the first ones; and
// lock(i), the KEYS of one lock. That is made when it is asked for: a table costs a server more than
// most commands do. It begins the function that has spec.each for its body.
func (s *spec) separate(b *strings.Builder, guarded bool) {
	before := len(s.keysOf(guarded)) - len(s.keys)
	fmt.Fprintf(b, `local size = (#KEYS - %[1]d) / ARGV[%[2]d]
local function every(n)
  local list, all = {}, KEYS
  for i = %[1]d + n, #all, size do list[#list + 1] = all[i] end
  return list
end
local keys, made = every(1), {}
local function lock(i)
  made[i] = made[i] or {unpack(KEYS, %[1]d + 1 + (i - 1) * size, %[1]d + i * size)}
  return made[i]
end
`, before, slices.Index(s.args, "locks")+1)
	if s.each != nil {
		b.WriteString("local function each(KEYS)\n")
	}
}

// part is a file as it is sent. There is no file of "findings": that is the line which declares
// what fence.lua finds out, for the scripts that have a variant without a fencing token.
func (s *spec) part(script Script, part string, keys []string) string {
	source := "local largest, micros, granted, refusal, remember\n"
	if part != "findings" {
		file, err := files.ReadFile(part + ".lua")
		if err != nil {
			panic(err)
		}
		source = string(file)
	}
	text, err := s.number(source, keys)
	if err != nil {
		panic(fmt.Sprintf("%s.lua, in the script %q: %v", part, script, err))
	}
	return text
}

// number replaces names by numbers. It leaves out the lines that are comments: they are for
// readers of this project, not for the memory of every server.
func (s *spec) number(source string, keys []string) (text string, err error) {
	var b strings.Builder
	for line := range strings.Lines(source) {
		if strings.HasPrefix(line, "--") {
			continue
		}
		if line, err = s.unnameReply(line); err != nil {
			return "", err
		}
		for {
			at := strings.IndexFunc(line, func(r rune) bool { return strings.ContainsRune("KACE", r) })
			if at < 0 {
				break
			}
			b.WriteString(line[:at])
			line = line[at:]
			done, n, err := s.reference(line, keys)
			if err != nil {
				return "", err
			}
			b.WriteString(done)
			line = line[n:]
		}
		b.WriteString(line)
	}
	return b.String(), nil
}

// reference is what a line begins with if that is a name, with its length, or else its first
// byte.
func (s *spec) reference(line string, keys []string) (text string, n int, err error) {
	table, rest, ok := strings.Cut(line, ".")
	if !ok {
		return line[:1], 1, nil
	}
	name := rest[:identifier(rest)]
	n = len(table) + 1 + len(name)
	switch table {
	case "KEYS", "ARGV":
		names := keys
		if table == "ARGV" {
			names = s.args
		}
		i := slices.Index(names, name)
		if once := slices.Index(s.once, name); table == "KEYS" && i < 0 && once >= 0 {
			i = once
		}
		if i < 0 {
			return "", 0, fmt.Errorf("%s.%s is not in its spec", table, name)
		}
		return table + "[" + strconv.Itoa(i+1) + "]", n, nil
	case "EVERY":
		i := slices.Index(s.keys, name)
		if !s.many || i < 0 {
			return "", 0, fmt.Errorf("EVERY.%s is no key of each lock in its spec", name)
		}
		return "every(" + strconv.Itoa(i+1) + ")", n, nil
	case "CODE":
		code, ok := codes[name]
		if !ok {
			return "", 0, fmt.Errorf("there is no CODE.%s", name)
		}
		return strconv.FormatInt(code, 10), n, nil
	}
	return line[:1], 1, nil
}

// unnameReply makes {x, y} of a line that returns {holder = x, left = y}.
func (s *spec) unnameReply(line string) (string, error) {
	before, list, ok := strings.Cut(line, "return {")
	if !ok {
		return line, nil
	}
	var names []string
	var b strings.Builder
	for depth := 0; list != ""; {
		if depth == 0 && (len(names) == 0 || strings.HasSuffix(b.String(), ", ")) {
			n := identifier(list)
			value, named := strings.CutPrefix(list[n:], " = ")
			if !named {
				return "", fmt.Errorf("a reply without a name: %s", line)
			}
			names, list = append(names, list[:n]), value
		}
		switch list[0] {
		case '(', '{':
			depth++
		case ')', '}':
			depth--
		}
		b.WriteByte(list[0])
		list = list[1:]
	}
	if !slices.Equal(names, s.reply) && !slices.Equal(names, append(slices.Clone(s.reply), Findings...)) {
		return "", fmt.Errorf("its reply has %q, its spec %q", names, s.reply)
	}
	return before + "return {" + b.String(), nil
}

// identifier is the length of the name that a text begins with.
func identifier(text string) int {
	for i, r := range text {
		if r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') {
			return i
		}
	}
	return len(text)
}
