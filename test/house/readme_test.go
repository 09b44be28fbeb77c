package house_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What the README shows is part of an example that compiles and runs.
func TestCodeInTheReadmeIsThatOfTheExamples(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var examples string
	for _, file := range []string{"redlock/example_test.go", "pool/goredis/example_test.go", "test/quorum/example_fencing_test.go"} {
		code, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		examples += string(code)
	}
	blocks := 0
	for _, part := range strings.Split(string(readme), "```go\n")[1:] {
		code, _, _ := strings.Cut(part, "```")
		blocks++
		if !strings.Contains(examples, code) {
			t.Errorf("in no example:\n%s", code)
		}
	}
	if blocks == 0 {
		t.Error("the README shows no code")
	}
	// A program that is built onto a folder's name lands in that folder.
	_, output, found := strings.Cut(string(readme), "go build -o ")
	if output, _, _ = strings.Cut(output, " "); !found {
		t.Error("the README does not say how the command is built")
	} else if info, err := os.Stat(filepath.Join(root, output)); err == nil && info.IsDir() && !strings.HasSuffix(output, "/") {
		t.Errorf("go build -o %s: that is a folder", output)
	}
	if lines := strings.Count(string(readme), "\n"); lines > 150 {
		t.Errorf("the README has %d lines; nobody reads more than 150", lines)
	}
}
