package quorumlock_test

import (
	"os"
	"strings"
	"testing"
)

// What the README shows is part of an example that compiles and runs.
func TestCodeInTheReadmeIsThatOfTheExamples(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	examples, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	blocks := 0
	for _, part := range strings.Split(string(readme), "```go\n")[1:] {
		code, _, _ := strings.Cut(part, "```")
		blocks++
		if !strings.Contains(string(examples), code) {
			t.Errorf("not in example_test.go:\n%s", code)
		}
	}
	if blocks == 0 {
		t.Error("the README shows no code")
	}
	if lines := strings.Count(string(readme), "\n"); lines > 150 {
		t.Errorf("the README has %d lines; nobody reads more than 150", lines)
	}
}
