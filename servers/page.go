package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

const (
	page  = "docs/servers.md"
	begin = "<!-- written by go run ./servers --write -->"
	over  = "<!-- end -->"
)

// update replaces what an earlier run wrote.
func update(text string) error {
	old, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	before, rest, there := strings.Cut(string(old), begin)
	_, after, closed := strings.Cut(rest, over)
	if !there || !closed {
		return errors.New(page + " has lost the lines between which the tables stand")
	}
	return os.WriteFile(page, []byte(before+begin+"\n"+text+over+after), 0o644)
}

// tables are what the run found.
func tables(all []*server, fronts []front, begun time.Time) string {
	var b strings.Builder
	commit, err := exec.Command("git", "describe", "--always", "--dirty").Output()
	if err != nil {
		commit = []byte("an unknown commit")
	}
	fmt.Fprintf(&b, "Run on %s at %s.\n\n", begun.UTC().Format("2006-01-02"), strings.TrimSpace(string(commit)))
	fmt.Fprintf(&b, "## Servers\n\n| Server | From | Tests | `redlock doctor` on three |\n|---|---|---|---|\n")
	var tried []*server
	for _, s := range all {
		switch {
		case s.skipped != "":
			fmt.Fprintf(&b, "| %s | skipped: %s | | |\n", s.name, cell(s.skipped))
			continue
		case s.name == "miniredis":
			fmt.Fprintf(&b, "| %s | %s | most tests of the lock run on it | %s |\n", s.name, s.from, cell(s.doctor))
		default:
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", s.name, s.from, s.suite, cell(s.doctor))
		}
		tried = append(tried, s)
	}
	fmt.Fprintf(&b, "\n## In front of a server\n\n| Front | Tests | `redlock doctor` through it |\n|---|---|---|\n")
	for _, f := range fronts {
		if f.skipped != "" {
			fmt.Fprintf(&b, "| %s | skipped: %s | |\n", f.name, cell(f.skipped))
			continue
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", f.name, f.suite, cell(f.doctor))
	}
	fmt.Fprintf(&b, "\n## Replies\n\n| Asked | Reply | By |\n|---|---|---|\n")
	for i, q := range questions {
		about := q.about
		for _, same := range groups(tried, i) {
			fmt.Fprintf(&b, "| %s | %s | %s |\n", about, code(same.reply), same.by)
			about = ""
		}
	}
	return b.String()
}

type group struct{ reply, by string }

// groups lists the replies to a question, each with its servers.
func groups(tried []*server, question int) (found []group) {
	var order []string
	by := make(map[string][]string)
	for _, s := range tried {
		reply := s.replies[question]
		if reply == notTried {
			continue
		}
		if by[reply] == nil {
			order = append(order, reply)
		}
		by[reply] = append(by[reply], s.name)
	}
	for _, reply := range order {
		names := strings.Join(by[reply], ", ")
		if len(order) == 1 && len(by[reply]) > 1 {
			names = "all"
		}
		found = append(found, group{reply, names})
	}
	return found
}

// cell makes a text fit for a table.
func cell(text string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(text), " "), "|", `\|`)
}

func code(text string) string {
	if len(text) > 300 {
		text = text[:300] + " ..."
	}
	return "`" + strings.ReplaceAll(cell(text), "`", "'") + "`"
}
