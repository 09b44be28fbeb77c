package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestHelpIsASubcommandToo(t *testing.T) {
	t.Parallel()
	for _, args := range [][2][]string{
		{{"help"}, {"--help"}},
		{{"help", "run"}, {"run", "--help"}},
		{{"version"}, {"--version"}},
	} {
		got, want := start(t, args[0]...).expectCode(0), start(t, args[1]...).expectCode(0)
		if got != want || got == "" {
			t.Errorf("%v says\n%s\nand %v\n%s", args[0], got, args[1], want)
		}
	}
	start(t, "help", "nonsense").expectCode(exitUsage)
}

func TestCompletionsParse(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"bash", "zsh", "fish"} {
		script := start(t, "completion", shell).expectCode(0)
		file := filepath.Join(t.TempDir(), "redlock")
		if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
			t.Fatal(err)
		}
		path, err := exec.LookPath(shell)
		if err != nil && shell == "bash" {
			skip(t, "needs bash")
		}
		if err != nil {
			continue // few machines have it
		}
		if out, err := exec.Command(path, "-n", file).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %v\n%s", shell, err, out)
		}
	}
	start(t, "completion", "tcsh").expectCode(exitUsage)
}

func TestBashCompletesSubcommandsFlagsAndFiles(t *testing.T) {
	t.Parallel()
	bash, err := exec.LookPath("bash")
	if err != nil {
		skip(t, "needs bash")
	}
	script := start(t, "completion", "bash").expectCode(0)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "ca.pem"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	complete := func(words ...string) []string {
		t.Helper()
		cmd := exec.Command(bash, "--norc", "-c", script+`
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _redlock; printf '%s\n' "${COMPREPLY[@]}"`, "bash")
		cmd.Args = append(cmd.Args, append([]string{"redlock"}, words...)...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%v: %s", err, out)
		}
		return strings.Fields(string(out))
	}
	for _, c := range []struct {
		words []string
		want  []string
	}{
		{[]string{"ru"}, []string{"run"}},
		{[]string{"run", "--tls-c"}, []string{"--tls-ca", "--tls-cert"}},
		{[]string{"release", "--js"}, []string{"--json"}},
		{[]string{"run", "--tls-ca", "c"}, []string{"ca.pem"}},
		{[]string{"run", "--name", ""}, nil},
		{[]string{"completion", "z"}, []string{"zsh"}},
		{[]string{"help", "sta"}, []string{"status"}},
		{[]string{"run", "--name", "x", "--", "bas"}, []string{"bash", "basename"}},
	} {
		got := complete(c.words...)
		slices.Sort(got)
		for _, want := range c.want {
			if !slices.Contains(got, want) {
				t.Errorf("%q becomes %q, without %q", c.words, got, want)
			}
		}
		if c.want == nil && len(got) > 0 {
			t.Errorf("%q becomes %q", c.words, got)
		}
	}
}
