package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// apt fetches packages of all releases of Debian without a change to the system: it
// has its own lists, its own cache, and believes that nothing is installed, so it
// fetches the libc that a package was built with as well.
type apt struct{ dir string }

var releases = []string{"bullseye", "bookworm", "trixie", "trixie-backports", "forky", "sid", "experimental"}

const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"

// newAPT reads the lists of all releases from where the system has its own from.
func newAPT(dir string) (*apt, error) {
	targets, err := exec.Command("apt-get", "indextargets", "--format", "$(LABEL) $(REPO_URI)", "Created-By: Packages").Output()
	if err != nil {
		return nil, fmt.Errorf("this system has no apt: %w", err)
	}
	var source string
	for line := range strings.Lines(string(targets)) {
		if label, uri, _ := strings.Cut(strings.TrimSpace(line), " "); label == "Debian" {
			source = uri
			break
		}
	}
	if source == "" {
		return nil, errors.New("apt has no source of Debian's packages")
	}
	a := &apt{dir}
	for _, folder := range []string{"state/lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(dir, folder), 0o755); err != nil {
			return nil, err
		}
	}
	signed := ""
	if _, err := os.Stat(keyring); err == nil {
		signed = "[signed-by=" + keyring + "] "
	}
	var list strings.Builder
	for _, release := range releases {
		fmt.Fprintf(&list, "deb %s%s %s main\n", signed, source, release)
	}
	err = errors.Join(
		os.WriteFile(filepath.Join(dir, "sources.list"), []byte(list.String()), 0o600),
		os.WriteFile(filepath.Join(dir, "status"), nil, 0o600))
	if err != nil {
		return nil, err
	}
	_, err = a.run("apt-get", "update", "-qq")
	return a, err
}

func (a *apt) run(program string, args ...string) (string, error) {
	options := []string{
		"-o", "Dir::State=" + filepath.Join(a.dir, "state"),
		"-o", "Dir::State::status=" + filepath.Join(a.dir, "status"),
		"-o", "Dir::Cache=" + filepath.Join(a.dir, "cache"),
		"-o", "Dir::Etc::sourcelist=" + filepath.Join(a.dir, "sources.list"),
		"-o", "Dir::Etc::sourceparts=/dev/null",
		"-o", "Dir::Etc::preferencesparts=/dev/null",
		"-o", "Acquire::Languages=none",
		"-o", "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
		"-o", "APT::Sandbox::User=root",
	}
	command := exec.Command(program, append(options, args...)...)
	command.Dir = a.dir
	var words strings.Builder
	command.Stderr = &words
	out, err := command.Output()
	if err != nil {
		err = fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, strings.TrimSpace(words.String()))
	}
	return string(out), err
}

// version returns the newest version of a package that begins with what is wanted.
func (a *apt) version(pkg, wanted string) (string, error) {
	found, err := a.run("apt-cache", "madison", pkg) // newest first
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(found) {
		fields := strings.Split(line, "|")
		if len(fields) < 2 {
			continue
		}
		version := strings.TrimSpace(fields[1])
		_, upstream, epoch := strings.Cut(version, ":")
		if !epoch {
			upstream = version
		}
		if strings.HasPrefix(upstream, wanted+".") {
			return version, nil
		}
	}
	return "", fmt.Errorf("no release of Debian has it")
}

// fetch unpacks a server with all that it needs and returns a program that starts it.
func (a *apt) fetch(family, wanted string) (program, version string, err error) {
	version, err = a.version(family+"-server", wanted)
	if err != nil {
		return "", "", err
	}
	archives := filepath.Join(a.dir, "cache", "archives")
	root := filepath.Join(a.dir, family+"-"+wanted)
	if err := errors.Join(os.RemoveAll(archives), os.MkdirAll(filepath.Join(archives, "partial"), 0o755), os.MkdirAll(root, 0o755)); err != nil {
		return "", "", err
	}
	// The tools need every library that the server needs, and no init system.
	small := []string{}
	if family != "redis" {
		small = []string{"systemd-standalone-sysusers", "systemd-standalone-tmpfiles"}
	}
	args := append([]string{"install", "-y", "-qq", "--no-install-recommends", "--download-only", family + "-tools=" + version}, small...)
	if _, err := a.run("apt-get", args...); err != nil {
		return "", "", err
	}
	if _, err := a.run("apt-get", "download", "-qq", family+"-server="+version); err != nil {
		return "", "", err
	}
	packages, err := filepath.Glob(filepath.Join(archives, "*.deb"))
	if err != nil {
		return "", "", err
	}
	own, err := filepath.Glob(filepath.Join(a.dir, "*.deb"))
	if err != nil {
		return "", "", err
	}
	for _, file := range append(packages, own...) {
		if out, err := exec.Command("dpkg", "-x", file, root).CombinedOutput(); err != nil {
			return "", "", fmt.Errorf("unpack %s: %w: %s", filepath.Base(file), err, out)
		}
	}
	for _, file := range own {
		if err := os.Remove(file); err != nil {
			return "", "", err
		}
	}
	program, err = wrap(root, family)
	return program, version, err
}

// wrap writes a program that starts the server with its own loader and libraries.
func wrap(root, family string) (string, error) {
	var loader string
	for _, pattern := range []string{"lib*/ld-linux*.so.*", "lib*/*/ld-linux*.so.*", "usr/lib*/ld-linux*.so.*", "usr/lib/*/ld-linux*.so.*"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			return "", err
		}
		for _, f := range found {
			if target, err := filepath.EvalSymlinks(f); err == nil && strings.HasPrefix(target, root) {
				loader = target
			}
		}
	}
	if loader == "" {
		return "", errors.New("its libc has no loader")
	}
	var libraries []string
	for _, pattern := range []string{"lib/*-linux-gnu*", "usr/lib/*-linux-gnu*"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			return "", err
		}
		libraries = append(libraries, found...)
	}
	script := fmt.Sprintf("#!/bin/sh\nexec %s --library-path %s %s \"$@\"\n", loader, strings.Join(libraries, ":"),
		filepath.Join(root, "usr/bin", family+"-server"))
	program := filepath.Join(root, family+"-server")
	return program, os.WriteFile(program, []byte(script), 0o755)
}
