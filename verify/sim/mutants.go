package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
)

// A suite that finds nothing has to prove that it would. So the code is broken on purpose,
// in ways that locks have been broken in before, and each has to be found by the rule that
// forbids what follows from it. The broken code exists in an overlay of the build only
// (go build -overlay).

var mutants = slices.Concat(lockMutants, valueMutants, sharedMutants, slotMutants)

// A mutant is one way to break the code.
type mutant struct {
	name  string
	edits []edit
	rule  string // by which it is found
	or    string // or by this one, whichever comes first
	runs  uint64 // within so many
	real  bool   // with real clients and scripts
	value bool   // in schedules with an election or a board only
	share bool   // in schedules with sets and readers only
	slots bool   // in schedules with slots only
}

// An edit replaces a text that a file contains exactly once.
type edit struct{ file, old, new string }

// wants reports whether a mutant is selected by --only.
func (o options) wants(m mutant) bool { return strings.Contains(m.name, o.only) }

// killMutants runs the schedules against every mutant. It fails if one lives, or if its
// text is not found any more.
func killMutants(ctx context.Context, o options, out io.Writer) error {
	root, err := moduleRoot(ctx)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "sim-mutants-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var alive []error
	for _, m := range mutants {
		if !o.wants(m) {
			continue
		}
		f, err := m.run(ctx, o, root, dir)
		switch {
		case err != nil:
			err = fmt.Errorf("mutant %q: %w", m.name, err)
		case f.Rule == "":
			err = fmt.Errorf("mutant %q lives after %d schedules; %q should have been broken", m.name, f.Tally.Runs, m.rule)
		case f.Rule != m.rule && f.Rule != m.or:
			err = fmt.Errorf("mutant %q breaks %q at seed %d, not %q", m.name, f.Rule, f.Seed, m.rule)
		default:
			fmt.Fprintf(out, "%-58s found after %5d schedules (seed %d): %s\n", m.name, f.Tally.Runs, f.Seed, f.Rule)
		}
		if err != nil {
			fmt.Fprintln(out, err)
			alive = append(alive, err)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(alive...)
}

// moduleRoot is the folder of the library.
func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-f", "{{.Dir}}", "-m", "github.com/quorumlock/quorumlock").Output()
	if err != nil {
		return "", fmt.Errorf("find the library (run this in the folder verify): %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

func (m mutant) run(ctx context.Context, o options, root, dir string) (f finding, err error) {
	overlay, err := m.overlay(root, dir)
	if err != nil {
		return f, err
	}
	program := filepath.Join(dir, "mutant")
	build := exec.CommandContext(ctx, "go", "build", "-overlay", overlay, "-o", program, "./sim")
	build.Dir = filepath.Join(root, "verify")
	if text, err := build.CombinedOutput(); err != nil {
		return f, fmt.Errorf("%w\n%s", err, text)
	}
	return hire(ctx, program, options{runs: m.runs, seed: o.seed, workers: 1, brief: true, real: m.real, values: m.value, shared: m.share, slots: m.slots, without: o.without}, 0, new(atomic.Int64))
}

// overlay writes the broken files, and what go build wants to know about them.
func (m mutant) overlay(root, dir string) (file string, err error) {
	replace := make(map[string]string)
	var texts []string
	for i, e := range m.edits {
		original := filepath.Join(root, filepath.FromSlash(e.file))
		from := original
		if broken, again := replace[original]; again {
			from = broken
		}
		text, err := os.ReadFile(from)
		if err != nil {
			return "", err
		}
		if n := strings.Count(string(text), e.old); n != 1 {
			return "", fmt.Errorf("%s has this %d times, not once:\n%s", e.file, n, e.old)
		}
		broken := filepath.Join(dir, fmt.Sprintf("%d-%s", i, filepath.Base(original)))
		if err := os.WriteFile(broken, []byte(strings.Replace(string(text), e.old, e.new, 1)), 0o600); err != nil {
			return "", err
		}
		replace[original] = broken
		texts = append(texts, broken)
	}
	if len(slices.Compact(texts)) == 0 {
		return "", errors.New("it changes nothing")
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	file = filepath.Join(dir, "overlay.json")
	return file, os.WriteFile(file, text, 0o600)
}
