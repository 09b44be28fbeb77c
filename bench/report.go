package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// A report is Markdown, printed as it grows, and the plots that belong to it.
type report struct {
	io.Writer
	plots
	text bytes.Buffer
	dir  string
}

// createReport begins a report that write puts into a folder: results.md, and the
// plots in results beside it. Without a folder it is only printed.
func createReport(dir string, printed io.Writer) (*report, error) {
	r := &report{dir: dir}
	r.Writer = io.MultiWriter(printed, &r.text)
	if dir == "" {
		return r, nil
	}
	r.plots = plots{folder: filepath.Join(dir, "results"), report: r, drawn: make(map[string][]byte)}
	if err := os.MkdirAll(r.folder, 0o755); err != nil {
		return nil, err
	}
	return r, nil
}

// write writes results.md and the plots. It comes last: what was there stays, and stays
// together, if a run is cut short.
func (r *report) write() error {
	if r.dir == "" {
		return nil
	}
	if err := r.plots.write(); err != nil {
		return err
	}
	file := filepath.Join(r.dir, "results.md")
	if err := os.WriteFile(file, r.text.Bytes(), 0o644); err != nil {
		return err
	}
	_, err := fmt.Fprintf(os.Stderr, "written to %s\n", file)
	return err
}
