package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Help is the part of "redlock completion --help" after the flags.
func (*completionCommand) Help() string {
	return `It writes a script to the standard output. Where shells look for it:

  redlock completion bash >/etc/bash_completion.d/redlock
  redlock completion zsh >/usr/local/share/zsh/site-functions/_redlock
  redlock completion fish >/etc/fish/completions/redlock.fish

Or for one session: source <(redlock completion bash)`
}

// Run writes the script. It is made from the flags as they are, and calls nothing when it is
// used: a list of names is all that it needs.
func (c *completionCommand) Run(parsed *kong.Context, s *streams) error {
	write := map[string]func(io.Writer, []subcommand){"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion}[c.Shell]
	var script strings.Builder
	write(&script, subcommands(parsed.Model))
	_, err := io.WriteString(s.stdout, script.String())
	return err
}

// A subcommand is what a shell has to know about one.
type subcommand struct {
	name, help string
	flags      []flag
	words      []string // that its argument may be
	runs       bool     // a command follows
}

type flag struct {
	long, help string
	short      rune
	value      bool // it has one
	file       bool // which is a file
}

func subcommands(model *kong.Application) (all []subcommand) {
	var names []string
	for _, node := range model.Children {
		if !node.Hidden {
			names = append(names, node.Name)
		}
	}
	for _, node := range model.Children {
		if node.Hidden {
			continue
		}
		c := subcommand{name: node.Name, help: firstSentence(node.Help)}
		for _, group := range node.AllFlags(true) {
			for _, f := range group {
				c.flags = append(c.flags, flag{f.Name, firstSentence(f.Help), f.Short, !f.IsBool(), f.PlaceHolder == "FILE"})
			}
		}
		for _, argument := range node.Positional {
			c.runs = c.runs || argument.Passthrough
			if argument.Enum != "" {
				c.words = strings.Split(argument.Enum, ",")
			}
		}
		if node.Name == "help" {
			c.words = names
		}
		all = append(all, c)
	}
	return all
}

// firstSentence is a help text in one line.
func firstSentence(help string) string {
	text, _, _ := strings.Cut(help, ". ")
	return strings.TrimSuffix(text, ".")
}

// quoted is text as one word of a shell.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// namesOf are the flags of a sub-command, perhaps only some of them.
func namesOf(c subcommand, which func(flag) bool) (names []string) {
	for _, f := range c.flags {
		if which(f) {
			names = append(names, "--"+f.long)
			if f.short != 0 {
				names = append(names, "-"+string(f.short))
			}
		}
	}
	return names
}

func bashCompletion(w io.Writer, all []subcommand) {
	var names, runners []string
	for _, c := range all {
		if names = append(names, c.name); c.runs {
			runners = append(runners, c.name+"/--")
		}
	}
	fmt.Fprintf(w, `# bash completion of redlock
_redlock() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command= i
	COMPREPLY=()
	for ((i = 1; i < COMP_CWORD; i++)); do
		case $command/${COMP_WORDS[i]} in
		%s)
			if declare -F _command_offset >/dev/null; then
				_command_offset $((i + 1))
			elif ((i + 1 == COMP_CWORD)); then
				COMPREPLY=($(compgen -c -- "$cur"))
			fi
			return
			;;
		/%s) command=${COMP_WORDS[i]} ;;
		esac
	done
	case $command in
	'') COMPREPLY=($(compgen -W %s -- "$cur")) ;;
`, strings.Join(runners, "|"), strings.Join(names, "|/"), quoted(strings.Join(names, " ")+" --help --version"))
	for _, c := range all {
		fmt.Fprintf(w, "\t%s)\n\t\tcase $prev in\n", c.name)
		if files := namesOf(c, func(f flag) bool { return f.file }); len(files) > 0 {
			fmt.Fprintf(w, "\t\t%s) COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n", strings.Join(files, "|"))
		}
		if values := namesOf(c, func(f flag) bool { return f.value && !f.file }); len(values) > 0 {
			fmt.Fprintf(w, "\t\t%s) return ;;\n", strings.Join(values, "|"))
		}
		words := append(c.words, namesOf(c, func(flag) bool { return true })...)
		fmt.Fprintf(w, "\t\tesac\n\t\tCOMPREPLY=($(compgen -W %s -- \"$cur\"))\n\t\t;;\n", quoted(strings.Join(words, " ")))
	}
	fmt.Fprint(w, "\tesac\n}\ncomplete -o default -F _redlock redlock\n")
}

func zshCompletion(w io.Writer, all []subcommand) {
	special := strings.NewReplacer(`\`, `\\`, "[", `\[`, "]", `\]`, ":", `\:`)
	fmt.Fprint(w, "#compdef redlock\n\n_redlock() {\n\tlocal -a commands=(\n")
	for _, c := range all {
		fmt.Fprintf(w, "\t\t%s\n", quoted(c.name+":"+c.help))
	}
	fmt.Fprint(w, "\t)\n\tif ((CURRENT == 2)); then\n\t\t_describe command commands\n\t\treturn\n\tfi\n\tlocal command=$words[2]\n\tshift words\n\t((CURRENT--))\n\tcase $command in\n")
	for _, c := range all {
		fmt.Fprintf(w, "\t%s)\n\t\t_arguments -s -S", c.name)
		for _, f := range c.flags {
			about := "[" + special.Replace(f.help) + "]"
			switch {
			case f.file:
				about += ":file:_files"
			case f.value:
				about += ":value:"
			}
			if f.short != 0 {
				fmt.Fprintf(w, " \\\n\t\t\t%s", quoted("-"+string(f.short)+about))
			}
			fmt.Fprintf(w, " \\\n\t\t\t%s", quoted("--"+f.long+about))
		}
		switch {
		case c.runs:
			fmt.Fprint(w, " \\\n\t\t\t'*::command:_normal'")
		case c.words != nil:
			fmt.Fprintf(w, " \\\n\t\t\t%s", quoted("1:word:("+strings.Join(c.words, " ")+")"))
		}
		fmt.Fprint(w, "\n\t\t;;\n")
	}
	fmt.Fprint(w, "\tesac\n}\n\nif [[ $funcstack[1] == _redlock ]]; then\n\t_redlock \"$@\"\nelse\n\tcompdef _redlock redlock\nfi\n")
}

func fishCompletion(w io.Writer, all []subcommand) {
	fmt.Fprint(w, "# fish completion of redlock\n")
	special := strings.NewReplacer(`\`, `\\`, "'", `\'`)
	for _, c := range all {
		fmt.Fprintf(w, "complete -c redlock -n __fish_use_subcommand -f -a %s -d '%s'\n", c.name, special.Replace(c.help))
		seen := fmt.Sprintf("-n '__fish_seen_subcommand_from %s'", c.name)
		if len(c.words) > 0 {
			fmt.Fprintf(w, "complete -c redlock %s -f -a '%s'\n", seen, strings.Join(c.words, " "))
		}
		for _, f := range c.flags {
			fmt.Fprintf(w, "complete -c redlock %s -l %s", seen, f.long)
			if f.short != 0 {
				fmt.Fprintf(w, " -s %c", f.short)
			}
			switch {
			case f.file:
				fmt.Fprint(w, " -r -F")
			case f.value:
				fmt.Fprint(w, " -x")
			}
			fmt.Fprintf(w, " -d '%s'\n", special.Replace(f.help))
		}
	}
}
