package house_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// read returns the files one after the other.
func read(t *testing.T, files ...string) (text string) {
	t.Helper()
	for _, file := range files {
		content, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		text += string(content)
	}
	return text
}

// What the README and the recipes show is part of an example that compiles and runs.
func TestCodeInTheReadmeAndTheRecipesIsThatOfTheExamples(t *testing.T) {
	examples := read(t, "redlock/example_test.go", "redlock/example_recipes_test.go", "board/example_test.go", "election/example_test.go", "pool/goredis/example_test.go", "test/quorum/example_fencing_test.go")
	for _, page := range []string{"README.md", "docs/recipes.md"} {
		parts := strings.Split(read(t, page), "```go\n")[1:]
		for _, part := range parts {
			code, _, _ := strings.Cut(part, "```")
			if !strings.Contains(examples, code) {
				t.Errorf("%s shows what is in no example:\n%s", page, code)
			}
		}
		if len(parts) == 0 {
			t.Errorf("%s shows no code", page)
		}
	}
}

func TestTheReadmeIsShortAndItsCommandsWork(t *testing.T) {
	readme := read(t, "README.md")
	// A program that is built onto a folder's name lands in that folder.
	_, output, found := strings.Cut(readme, "go build -o ")
	if output, _, _ = strings.Cut(output, " "); !found {
		t.Error("the README does not say how the command is built")
	} else if info, err := os.Stat(filepath.Join(root, output)); err == nil && info.IsDir() && !strings.HasSuffix(output, "/") {
		t.Errorf("go build -o %s: that is a folder", output)
	}
	if lines := strings.Count(readme, "\n"); lines > 170 {
		t.Errorf("the README has %d lines, want 170 at most", lines)
	}
}

func TestEveryLinkOfADocumentLeadsToAFile(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
	pages, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil || len(pages) < 5 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	for _, page := range append(pages, filepath.Join(root, "README.md"), filepath.Join(root, "CONTRIBUTING.md")) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, to := range link.FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), to[1])); err != nil {
				t.Errorf("%s: %v", page, err)
			}
		}
	}
}
