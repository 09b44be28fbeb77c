package main

import (
	"embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"time"
)

//go:embed page
var pageFiles embed.FS

// A pageView is what the page's template shows. What is drawn is in Data.
type pageView struct {
	Run       Run
	Headline  string
	Spoken    string // the same in some more words
	Grants    string // of each kind
	Broken    bool
	Length    time.Duration
	Processes int
	Tiles     []tile
	Adapters  []string
	Verdicts  []verdictRow
	Kinds     []kindCount
	Clients   []clientRow
	Troubles  []string
	Style     template.CSS
	Script    template.JS
	Data      drawing
}

// A tile is a figure that one sees first.
type tile struct{ Figure, Text, Tone string }

type verdictRow struct {
	Verdict
	Class string
	Shown []markRow
	More  int
}

type markRow struct {
	At, To float64
	When   string
	Text   string
}

type clientRow struct {
	clientCount
	Number  int
	Adapter string
	Color   int
	Held    time.Duration
}

const marksShown = 8 // of one claim, in the table

// writePage writes a page that needs nothing else: no network, no other file.
func writePage(w io.Writer, h *History, verdicts []Verdict) error {
	page, err := template.ParseFS(pageFiles, "page/page.html")
	if err != nil {
		return err
	}
	style, err1 := pageFiles.ReadFile("page/page.css")
	lanes, err2 := pageFiles.ReadFile("page/lanes.js")
	moves, err3 := pageFiles.ReadFile("page/moves.js")
	for _, err := range []error{err1, err2, err3} {
		if err != nil {
			return err
		}
	}
	v := pageView{
		Run: h.Run, Length: h.Run.Length.Round(time.Second), Processes: len(byProcess(h.Run.Clients)), Adapters: adapters,
		Kinds: countKinds(h.Faults), Troubles: troubles(h.Faults),
		Style: template.CSS(style), Script: template.JS(string(lanes) + string(moves)), Data: draw(h, verdicts),
	}
	v.Headline, v.Broken = headline(verdicts)
	v.Tiles, v.Grants = tiles(h), grantsByKind(h)
	for _, t := range v.Tiles {
		v.Spoken += t.Figure + " " + t.Text + ". "
	}
	for _, verdict := range verdicts {
		v.Verdicts = append(v.Verdicts, row(verdict))
	}
	for i, c := range countClients(h) {
		adapter := h.Run.Clients[i].Adapter
		v.Clients = append(v.Clients, clientRow{c, i + 1, adapter, slices.Index(adapters, adapter), c.Held.Round(10 * time.Millisecond)})
	}
	return page.Execute(w, v)
}

func row(v Verdict) verdictRow {
	r := verdictRow{Verdict: v, Class: string(v.State)}
	if v.State == unclear {
		r.Class = "unchecked"
	}
	for _, m := range v.Marks[:min(marksShown, len(v.Marks))] {
		r.Shown = append(r.Shown, markRow{millis(m.Begin), millis(m.End), fmt.Sprintf("%.3f s", m.Begin.Seconds()), m.Text})
	}
	r.More = len(v.Marks) - len(r.Shown)
	return r
}

// headline is the whole run in one sentence.
func headline(verdicts []Verdict) (text string, broken bool) {
	var claims []string
	for _, v := range verdicts {
		if v.State != violated {
			continue
		}
		claims = append(claims, v.Claim)
		switch v.Claim {
		case "I1":
			text = "Two held the lock at once"
		case "E1":
			text = "Two led at once"
		case "S1":
			text = "Two held a slot at once"
		case "S3":
			text = "More held a permit than there are slots"
		}
	}
	switch {
	case len(claims) == 0:
		return "Never two holders", false
	case text == "":
		text = "A claim does not hold: " + strings.Join(claims, ", ")
	}
	return text, true
}

func tiles(h *History) []tile {
	var sum clientCount
	for _, c := range countClients(h) {
		sum.Grants += c.Grants
		sum.Refusals += c.Refusals
		sum.Losses += c.Losses
	}
	fired, felt := 0, 0
	for _, k := range countKinds(h.Faults) {
		fired, felt = fired+k.Fired, felt+k.Felt
	}
	writes := countWrites(h)
	unfenced, fenced := writes.lost(h.Finals, false), writes.lost(h.Finals, true)
	tone := func(bad bool, which string) string {
		if bad {
			return which
		}
		return "good"
	}
	all := []tile{
		{fmt.Sprint(sum.Grants), "grants", ""},
		{fmt.Sprint(sum.Refusals), "requests not granted", ""},
		{fmt.Sprint(sum.Losses), "ended before Unlock", ""},
		{fmt.Sprint(fired), fmt.Sprintf("faults fired, %d felt", felt), ""},
		{fmt.Sprint(unfenced), fmt.Sprintf("of %d updates lost without a fence", writes.total().unfenced), tone(unfenced > 0, "warn")},
	}
	if h.Run.Fencing {
		all = append(all, tile{fmt.Sprint(fenced), fmt.Sprintf("of %d lost with one, %d late ones refused", writes.total().fenced, writes.total().refused), tone(fenced > 0, "bad")})
	}
	return append(all, tile{h.Calm.Slowest.Round(time.Millisecond).String(), "until every client had every lock again", tone(len(h.Calm.Missing) > 0, "bad")})
}
