package house_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// These programs use the lock through one client only.
const onRedigo = `package main

import (
	"context"
	"fmt"

	"github.com/gomodule/redigo/redis"
	"github.com/quorumlock/quorumlock/fence"
	"github.com/quorumlock/quorumlock/pool"
	"github.com/quorumlock/quorumlock/pool/redigo"
	"github.com/quorumlock/quorumlock/redlock"
)

func main() {
	locker, err := redlock.New([]pool.Pool{redigo.New(&redis.Pool{})})
	fmt.Println(err, locker.Close(context.Background()), fence.ErrStale)
}
`

const onGoRedis = `package main

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"
	"github.com/quorumlock/quorumlock/fence"
	"github.com/quorumlock/quorumlock/pool"
	"github.com/quorumlock/quorumlock/pool/goredis"
	"github.com/quorumlock/quorumlock/redlock"
)

func main() {
	locker, err := redlock.New([]pool.Pool{goredis.New(redis.NewClient(&redis.Options{}))})
	panic(errors.Join(err, locker.Close(context.Background()), fence.ErrStale))
}
`

// go get of one adapter must not fail because another's client cannot be had. What the
// tests and examples of a package import counts: go mod tidy looks at them.
func TestAUserOfOneAdapterDownloadsNoOtherClientAndNoTestServer(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a module with an empty module cache")
	}
	for name, user := range map[string]struct {
		program, client, other string
	}{
		"redigo":   {onRedigo, "gomodule/redigo", "redis/go-redis"},
		"go-redis": {onGoRedis, "redis/go-redis", "gomodule/redigo"},
	} {
		t.Run(name, func(t *testing.T) {
			cache, sums := build(t, name, user.program)
			if !extracted(t, cache, user.client) {
				t.Errorf("no %s in the cache: this test looks in the wrong place", user.client)
			}
			for _, unwanted := range []string{user.other, "alicebob/miniredis", "yuin/gopher-lua", "go.uber.org/goleak", "honnef.co"} {
				if extracted(t, cache, unwanted) {
					t.Errorf("a user of %s downloads %s", name, unwanted)
				}
				for line := range strings.Lines(sums) {
					if strings.Contains(line, unwanted) && !strings.Contains(line, "/go.mod ") {
						t.Errorf("the go.sum of a user of %s has the code of %s: %s", name, unwanted, line)
					}
				}
			}
		})
	}
}

// build tidies and builds a user's program in a module of its own with an empty module
// cache. It returns that cache and the go.sum.
func build(t *testing.T, name, program string) (cache, gosum string) {
	t.Helper()
	here, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	dir, cache := t.TempDir(), t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	write("main.go", program)
	write("go.sum", string(sums)) // what is downloaded is checked against our own sums
	write("go.mod", "module example.com/service\n\ngo 1.26.0\n\nrequire "+module+" v0.0.0\n\nreplace "+module+" => "+here+"\n")

	run := func(args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOMODCACHE="+cache, "GOFLAGS=-modcacherw", "GOWORK=off", "GOSUMDB=off", "GOPROXY="+proxies(t))
		out, err := cmd.CombinedOutput()
		switch {
		case err == nil:
		case offline(string(out)) && os.Getenv("CI") == "":
			t.Skipf("skipped: needs modules that are neither in the module cache nor to be had: go %s: %s", strings.Join(args, " "), out)
		default:
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	run("mod", "tidy")
	if name == "redigo" { // go-redis is compiled for half a minute
		run("build", "-o", os.DevNull, ".")
	}
	users, err := os.ReadFile(filepath.Join(dir, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	return cache, string(users)
}

// proxies asks the module cache of this machine first, and then the proxy that is
// asked as a rule.
func proxies(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "env", "GOMODCACHE", "GOPROXY").Output()
	if err != nil {
		t.Fatal(err)
	}
	cache, proxy, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return "file://" + filepath.ToSlash(filepath.Join(cache, "cache", "download")) + "," + proxy
}

func offline(output string) bool {
	for _, sign := range []string{"dial tcp", "no such host", "i/o timeout", "connection refused", "proxyconnect", "module lookup disabled"} {
		if strings.Contains(output, sign) {
			return true
		}
	}
	return false
}

// extracted reports whether the code of a module is in the cache. Its
// cache/download folder may hold the go.mod of modules whose code is not.
func extracted(t *testing.T, cache, part string) bool {
	t.Helper()
	found := false
	err := filepath.WalkDir(cache, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := filepath.ToSlash(strings.TrimPrefix(path, cache))
		if entry.IsDir() && strings.HasPrefix(name, "/cache/download") {
			return filepath.SkipDir
		}
		if entry.IsDir() && strings.Contains(name, part) {
			found = true
			return filepath.SkipAll
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
