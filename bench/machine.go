package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
)

// A machine names what the figures were measured on.
type machine struct {
	CPU      string
	Cores    int
	OS       string
	Kernel   string
	Go       string
	Redis    string
	Versions []string // of the libraries, "path version"
}

func thisMachine() machine {
	return machine{
		CPU:      cpuModel(),
		Cores:    runtime.NumCPU(),
		OS:       runtime.GOOS + "/" + runtime.GOARCH,
		Kernel:   kernelRelease(),
		Go:       runtime.Version(),
		Redis:    redisVersion(),
		Versions: libraryVersions(),
	}
}

func (m machine) String() string {
	return fmt.Sprintf("- %s, %d cores, %s, kernel %s, %s\n- redis-server %s, on loopback, without persistence, on the same cores\n- %s\n",
		m.CPU, m.Cores, m.OS, m.Kernel, m.Go, m.Redis, strings.Join(m.Versions, ", "))
}

func cpuModel() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return "unknown CPU"
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown CPU"
}

func kernelRelease() string {
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return "of unknown version"
	}
	version, _, _ := strings.Cut(strings.TrimSpace(string(release)), "-") // the rest is its builder's
	return version
}

// redisVersion asks the binary that the servers are started from.
func redisVersion() string {
	binary := os.Getenv("REDIS_SERVER")
	if binary == "" {
		binary = "redis-server"
	}
	out, err := exec.Command(binary, "--version").Output()
	if err != nil {
		return "of unknown version"
	}
	for field := range strings.FieldsSeq(string(out)) {
		if version, ok := strings.CutPrefix(field, "v="); ok {
			return version
		}
	}
	return "of unknown version"
}

// peers are the modules under comparison, and the clients.
var peers = []string{
	"github.com/bsm/redislock",
	"github.com/go-redsync/redsync/v4",
	"github.com/gomodule/redigo",
	"github.com/redis/go-redis/v9",
	"github.com/redis/rueidis",
}

func libraryVersions() []string {
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return nil
	}
	var versions []string
	for _, m := range build.Deps {
		if slices.Contains(peers, m.Path) {
			versions = append(versions, m.Path+" "+m.Version)
		}
	}
	return versions
}
