package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestAPlotShowsEveryLibraryAndIsNamedInTheReport(t *testing.T) {
	dir := t.TempDir()
	var printed bytes.Buffer
	r, err := createReport(dir, &printed)
	if err != nil {
		t.Fatal(err)
	}
	round := measurement{Cycles: 3, Elapsed: time.Second, Lock: latenciesOf([]time.Duration{1, 20 * time.Microsecond, 3 * time.Millisecond})}
	all := []*entry{
		{contender: contender{lib: ours, client: goRedis}, rounds: []measurement{round, round}},
		{contender: contender{lib: redsyncDefault, client: goRedis}, rounds: []measurement{round}},
		{contender: contender{lib: floor, client: goRedis}, rounds: []measurement{{Elapsed: time.Second}}}, // nothing succeeded
	}
	s := scenario{Nodes: 3, Workers: 1}
	other := scenario{Nodes: 3, Workers: 64}
	if err := r.latency(s, all); err != nil {
		t.Fatal(err)
	}
	if err := r.throughput(3, []int{1, 64}, map[scenario][]*entry{s: all, other: all}); err != nil {
		t.Fatal(err)
	}
	crowded := map[string][]crowdedResult{ours: {{Workers: []crowdedWorker{{Waits: []time.Duration{time.Millisecond}}}}}}
	if err := r.waits(crowdedScenario{3, 32, 4}, crowded); err != nil {
		t.Fatal(err)
	}
	if err := r.write(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "results.md"))
	if err != nil || string(text) != printed.String() {
		t.Errorf("results.md differs from what was printed: %q, %v", text, err)
	}
	for name, want := range map[string][]string{
		"lock-go-redis-1-of-3":  {ours, redsyncDefault, "3ms", "percentile"},
		"throughput-go-redis-3": {ours, redsyncDefault, "64", "cycles/s"},
		"waits-4":               {ours, "4 processes"},
	} {
		if !strings.Contains(string(text), "(results/"+name+".svg)") {
			t.Errorf("results.md does not show %s", name)
		}
		svg, err := os.ReadFile(filepath.Join(dir, "results", name+".svg"))
		if err != nil {
			t.Error(err)
			continue
		}
		words := charData(t, svg)
		for _, w := range want {
			if !strings.Contains(words, w) {
				t.Errorf("%s: no %q in %q", name, w, words)
			}
		}
	}
}

func TestAReportReplacesThePlotsOfAnEarlierRunWhenItIsWritten(t *testing.T) {
	dir := t.TempDir()
	old := filepath.Join(dir, "results", "old.svg")
	draw := func(name string) *report {
		r, err := createReport(dir, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.picture(name, "", []curve{percentileCurve(ours, []time.Duration{1, 2})}, percentileAxes("")); err != nil {
			t.Fatal(err)
		}
		return r
	}
	if err := draw("old").write(); err != nil {
		t.Fatal(err)
	}
	r := draw("new")
	if _, err := os.Stat(old); err != nil {
		t.Error("results.md lost its plot before there is another one:", err)
	}
	if err := r.write(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(old); !errors.Is(err, os.ErrNotExist) {
		t.Error("a plot that results.md does not show is there, or", err)
	}
}

// charData returns the text in an XML file.
func charData(t *testing.T, file []byte) string {
	t.Helper()
	var words strings.Builder
	for d := xml.NewDecoder(bytes.NewReader(file)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return words.String()
		}
		if err != nil {
			t.Fatal(err)
		}
		if text, ok := token.(xml.CharData); ok {
			words.Write(text)
		}
	}
}
