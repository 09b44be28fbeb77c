// Command servers runs the library's tests on every available server. It lists their answers to the
// questions that the library depends on.
//
//	go run ./servers --write
//
// It fetches Debian's packages of all releases into a temporary folder, each with its own
// libc, and starts them with their own loader: nothing is installed. A server that no
// release has is skipped by name, unless it is given:
//
//	go run ./servers --also 'Redis 7.2=/opt/redis-7.2/redis-server' --write
//
// Everything uses the loopback interface, and ends with the command.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// server is a row of the matrix.
type server struct {
	family, version string // as its packages are named
	name            string

	program string
	from    string
	skipped string // the reason why it was not tried

	suite   suite
	doctor  string
	replies []string // in the order of questions
}

func rows() []*server {
	var all []*server
	for _, line := range []string{
		"Redis 6.2", "Redis 7.0", "Redis 7.2", "Redis 8.0", "Redis 8.6", "Redis 8.12",
		"Valkey 8.0", "Valkey 8.1", "Valkey 9.1", "Redict 7.3", "KeyDB 6.3",
	} {
		family, version, _ := strings.Cut(line, " ")
		all = append(all, &server{family: strings.ToLower(family), version: version, name: line})
	}
	return all
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "servers:", err)
		os.Exit(1)
	}
}

type programs map[string]string

func (p programs) String() string { return "" }

func (p programs) Set(text string) error {
	name, path, _ := strings.Cut(text, "=")
	if path == "" {
		return errors.New("want 'Redis 7.2=/path/to/redis-server'")
	}
	path, err := exec.LookPath(path)
	if err != nil {
		return err
	}
	p[name], err = filepath.Abs(path) // the tests run in a folder of their own
	return err
}

func run() error {
	also := programs{}
	flag.Var(also, "also", "a server that no package has, as 'Redis 7.2=/path/to/redis-server'; may be repeated")
	only := flag.String("only", "", "try only servers and proxies whose name contains this")
	write := flag.Bool("write", false, "write the tables to "+page)
	flag.Parse()
	if _, err := os.Stat(page); err != nil {
		return fmt.Errorf("run it in the root of the project: %w", err)
	}
	dir, err := os.MkdirTemp("", "servers-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)

	all := rows()
	packages, noPackages := newAPT(filepath.Join(dir, "apt"))
	for _, s := range all {
		switch {
		case !strings.Contains(s.name, *only):
			s.skipped = "not asked for"
		case also[s.name] != "":
			s.program, s.from = also[s.name], "given"
		case noPackages != nil:
			s.skipped = noPackages.Error()
		default:
			var version string
			if s.program, version, err = packages.fetch(s.family, s.version); err != nil {
				s.skipped = err.Error()
			}
			s.from = "package " + version
		}
	}
	tools, err := build(dir)
	if err != nil {
		return err
	}
	begun := time.Now()
	for _, s := range all {
		if s.skipped != "" {
			fmt.Printf("%-12s skipped: %s\n", s.name, s.skipped)
			continue
		}
		if err := tools.try(s); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		fmt.Printf("%-12s %s; doctor: %s\n", s.name, s.suite, s.doctor)
	}
	memory, err := inMemory(tools)
	if err != nil {
		return err
	}
	fronts := tools.fronts(dir, *only)
	text := tables(append(all, memory), fronts, begun)
	if !*write {
		fmt.Println(text)
		return nil
	}
	return update(text)
}
