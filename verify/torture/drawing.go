package main

import (
	"math"
	"time"
)

// A drawing is what the page's script draws: JSON, kept short. Times are milliseconds.
type drawing struct {
	Length   float64      `json:"length"`
	Calm     float64      `json:"calm"` // when the faults had ended
	Nodes    int          `json:"nodes"`
	Names    []string     `json:"names"`
	Adapters []string     `json:"adapters"`
	Clients  []drawnLane  `json:"clients"`
	Faults   []drawnFault `json:"faults"`
	Tries    [][]any      `json:"tries"` // see lanes.js for the order
	Words    []string     `json:"words"` // that tries refer to
	Marks    []drawnMark  `json:"marks"`
	Late     []drawnLate  `json:"late"`
}

type drawnLane struct {
	Process int    `json:"process"`
	Adapter string `json:"adapter"`
}

type drawnFault struct {
	Kind    kind    `json:"kind"`
	Nodes   []int   `json:"nodes"`
	Process int     `json:"process"`
	Begin   float64 `json:"begin"`
	End     float64 `json:"end"`
	How     string  `json:"how,omitempty"`
	Felt    int     `json:"felt"`
	Error   string  `json:"error,omitempty"`
}

type drawnMark struct {
	At    float64 `json:"at"`
	To    float64 `json:"to"`
	Tries []int   `json:"tries"`
	Text  string  `json:"text"`
}

// A drawnLate is a write that came late: it destroyed an update, or the fence refused it.
type drawnLate struct {
	Client int     `json:"client"`
	At     float64 `json:"at"`
	To     float64 `json:"to"`
	Fenced bool    `json:"fenced"`
	Text   string  `json:"text"`
}

// millis has microseconds after the point: more cannot be seen, and takes space.
func millis(d time.Duration) float64 { return math.Round(d.Seconds()*1e6) / 1e3 }

// draw makes the drawing of a history.
func draw(h *History, verdicts []Verdict) drawing {
	d := drawing{
		Nodes: h.Run.Nodes, Names: h.Run.names(), Adapters: adapters, Calm: millis(h.Calm.Begun),
		Words: []string{""}, Marks: []drawnMark{}, Faults: []drawnFault{}, Tries: [][]any{}, Late: lateWrites(h),
	}
	for _, c := range h.Run.Clients {
		d.Clients = append(d.Clients, drawnLane{c.Process, c.Adapter})
	}
	for _, f := range h.Faults {
		if !f.Fired && f.Err == "" {
			continue // the run ended before
		}
		nodes := f.Nodes
		if nodes == nil {
			nodes = []int{}
		}
		d.Faults = append(d.Faults, drawnFault{f.Kind, nodes, f.Process, millis(f.Begin), millis(f.End), f.How, f.Felt, f.Err})
	}
	known := map[string]int{"": 0}
	word := func(s string) int {
		if len(s) > 300 {
			s = s[:300] + " ..."
		}
		i, ok := known[s]
		if !ok {
			i = len(d.Words)
			known[s], d.Words = i, append(d.Words, s)
		}
		return i
	}
	index := make(map[string]int)
	for i, name := range h.Run.names() {
		index[name] = i
	}
	last := h.Calm.Begun
	for _, t := range h.Tries {
		refused := 0
		for _, w := range t.Writes {
			if w.Refused {
				refused++
			}
		}
		var names []int
		for _, name := range t.names() {
			names = append(names, index[name])
		}
		d.Tries = append(d.Tries, []any{
			t.Client, names, word(t.Mode), millis(t.Call), millis(t.Return), word(t.Err), t.Token,
			millis(t.End), millis(t.Until), word(t.Lost), millis(t.Unlock), millis(t.Unlocked), word(t.Denied), len(t.Writes), refused, millis(t.Killed), millis(t.alone()),
		})
		last = max(last, t.Return, t.Unlocked)
	}
	d.Length = millis(last + last/200)
	for _, v := range verdicts {
		for _, m := range v.Marks {
			tries := m.Tries
			if tries == nil {
				tries = []int{}
			}
			d.Marks = append(d.Marks, drawnMark{millis(m.Begin), millis(m.End), tries, m.Text})
		}
	}
	return d
}

func lateWrites(h *History) []drawnLate {
	all := []drawnLate{}
	for _, m := range twice(h, false) {
		t := h.Tries[m.Tries[1]]
		all = append(all, drawnLate{t.Client, millis(m.Begin), millis(m.End), false, m.Text})
	}
	for _, t := range h.Tries {
		for _, w := range t.Writes {
			if w.Refused {
				end := max(w.Read, w.Done)
				all = append(all, drawnLate{t.Client, millis(w.Begun), millis(end), true, h.clientOf(t) + " came too late with its token, and was refused"})
			}
		}
	}
	return all
}
