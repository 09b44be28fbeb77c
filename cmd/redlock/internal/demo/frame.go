package demo

import (
	"fmt"
	"strings"
	"time"
)

// A canvas is what there is to draw on.
type canvas struct {
	width, height int
	colours       bool
	glyphs        glyphs
}

// glyphs are what bars are made of. All are one column wide.
type glyphs struct{ full, empty, yes, no string }

var (
	unicodeGlyphs = glyphs{"█", "░", "■", "□"}
	asciiGlyphs   = glyphs{"#", ".", "#", "-"}
)

const (
	sideBySide = 78 // columns from which on nodes and workers stand side by side
	nodeColumn = 42
)

// fewEvents is how many events are shown at least. The table of the workers is left out
// if the events do not fit otherwise.
const fewEvents = 3

// frame draws a view, in at most c.height lines of at most c.width columns. What
// does not fit is left out: first the workers, then from the bottom up.
func frame(v view, c canvas) []line {
	lines := header(v, c)
	lines = append(lines, nil)
	lines = append(lines, holder(v, c)...)
	lines = append(lines, queue(v, c), nil)
	nodes, workers := nodeTable(v), workerTable(v)
	switch room := c.height - len(lines) - 1 - fewEvents; {
	case c.width >= sideBySide && max(len(nodes), len(workers)) <= room:
		lines = append(lines, beside(nodes, workers, nodeColumn)...)
	case len(nodes)+1+len(workers) <= room:
		lines = append(lines, nodes...)
		lines = append(lines, nil)
		lines = append(lines, workers...)
	default:
		lines = append(lines, nodes...)
	}
	lines = append(lines, nil)
	lines = append(lines, lastEvents(v, max(c.height-len(lines), fewEvents))...)
	if len(lines) > c.height {
		lines = lines[:c.height]
	}
	for i := range lines {
		lines[i] = lines[i].cut(c.width)
	}
	return lines
}

func header(v view, c canvas) []line {
	left := line{}.add(bold, "redlock demo").add(dim, "  "+setting(v))
	clock := fmt.Sprintf("%.1f of %s", v.elapsed.Seconds(), seconds(v.total))
	if c.width < sideBySide {
		left = line{}.add(bold, "redlock demo  ")
	}
	return []line{left.pad(min(c.width, 100)-len(clock)).add(dim, clock), verdict(v)}
}

// setting is what is shown.
func setting(v view) string {
	return fmt.Sprintf("%d workers, %d masters, one lock, TTL %s", len(v.workers), len(v.nodes), seconds(v.ttl))
}

// verdict is the result of the referee so far.
func verdict(v view) line {
	l := text(fmt.Sprintf("%d granted, %d lost, %d regained   ", v.tally.granted, v.tally.lost, v.tally.regained))
	if v.overlaps > 0 {
		return l.add(reverse, fmt.Sprintf("%d %s WITH TWO HOLDERS", v.overlaps, plural(v.overlaps, "MOMENT", "MOMENTS")))
	}
	return l.add(green, "0 moments with two holders")
}

// holder shows the holder, for how long it certainly holds the lock, and how many nodes agree.
func holder(v view, c canvas) []line {
	if len(v.holders) == 0 {
		agree := countUp(v)
		free := line{}.add(dim, "nobody")
		if agree < majority {
			free = free.add(red, fmt.Sprintf("   %d of %d nodes answer, %d needed", agree, len(v.nodes), majority))
		}
		return []line{
			append(text("held by   "), free...),
			text("valid     ").add(dim, bar(0, c)),
			text("agreed    ").add(dim, strings.Repeat(c.glyphs.no+" ", len(v.nodes))),
		}
	}
	h := v.holders[0]
	names := text("held by   ")
	for i, other := range v.holders {
		if i > 0 {
			names = names.add(reverse, " AND ")
		}
		names = names.add(workerStyle(other.worker), v.workers[other.worker].name)
	}
	names = names.add(dim, " for "+seconds(h.since))

	share := float64(h.left) / float64(v.ttl)
	colour := green
	switch {
	case share < 0.25:
		colour = red
	case share < 0.5:
		colour = yellow
	}
	agreed := text("agreed    ").add(green, strings.Repeat(c.glyphs.yes+" ", h.held)).
		add(dim, strings.Repeat(c.glyphs.no+" ", max(len(v.nodes)-h.held, 0))).
		add(plain, fmt.Sprintf("  %d of %d nodes", h.held, len(v.nodes))).
		add(dim, fmt.Sprintf(", %d needed", majority))
	return []line{
		names,
		text("valid     ").add(colour, bar(share, c)).add(plain, "  "+seconds(h.left)),
		agreed,
	}
}

// queue shows the waiters by their position, as many as fit.
func queue(v view, c canvas) line {
	l := text("waiting   ")
	if len(v.waiting) == 0 {
		return l.add(dim, "nobody")
	}
	for n, i := range v.waiting {
		position, name, rest := fmt.Sprintf("%d ", n+1), v.workers[i].name, len(v.waiting)-n
		more := 0 // columns for how many are left out, unless this is the last
		if rest > 1 {
			more = len(fmt.Sprintf("+%d", rest-1))
		}
		if l.width()+len(position+name)+2+more > c.width {
			return l.add(dim, fmt.Sprintf("+%d", rest))
		}
		l = l.add(dim, position).add(workerStyle(i), name).add(plain, "  ")
	}
	return l
}

func countUp(v view) int {
	n := 0
	for _, node := range v.nodes {
		if node.state == up {
			n++
		}
	}
	return n
}

// bar shows a share of a whole.
func bar(share float64, c canvas) string {
	size := min(max(c.width-20, 4), 60)
	n := min(max(int(share*float64(size)+0.5), 0), size)
	return strings.Repeat(c.glyphs.full, n) + strings.Repeat(c.glyphs.empty, size-n)
}

func nodeTable(v view) []line {
	lines := []line{line{}.add(dim, "NODE    STATE    ITS KEY NAMES")}
	for i, n := range v.nodes {
		l := text(fmt.Sprintf("node %d  ", i+1))
		switch n.state {
		case up:
			l = l.add(green, "up       ")
		case stopped:
			l = l.add(red, "stopped  ")
		case frozen:
			l = l.add(cyan, "frozen   ")
		}
		lines = append(lines, append(l, named(v, n)...))
	}
	return lines
}

// named shows the holder in the key on a node.
func named(v view, n nodeView) line {
	if n.holder == "" {
		return line{}.add(dim, "-")
	}
	note := line{}
	if n.state != up {
		note = note.add(dim, " (in its data)")
	}
	for i, w := range v.workers {
		if w.name == n.holder {
			return append(line{{workerStyle(i), n.holder}}, note...)
		}
	}
	return append(text(n.holder), note...)
}

func workerTable(v view) []line {
	lines := []line{line{}.add(dim, "WORKER     NOW    ASKED  GRANTED  LOST")}
	holding := map[int]bool{}
	for _, h := range v.holders {
		holding[h.worker] = true
	}
	for i, w := range v.workers {
		l := line{}.add(workerStyle(i), fmt.Sprintf("%-9s", w.name)).add(plain, "  ")
		switch {
		case holding[i]:
			l = l.add(bold, "holds")
		case w.now == waits:
			l = l.add(dim, "waits")
		default:
			l = l.add(dim, "rests")
		}
		l = l.add(plain, fmt.Sprintf("  %5d  %7d", w.asked, w.granted))
		lost := dim
		if w.lost > 0 {
			lost = yellow
		}
		lines = append(lines, l.add(lost, fmt.Sprintf("  %4d", w.lost)))
	}
	return lines
}

func workerStyle(i int) style { return workerStyles[i%len(workerStyles)] }

var eventStyles = map[eventKind]style{
	faultEvent: bold, troubleEvent: dim, lossEvent: yellow, gainEvent: green, alarmEvent: reverse,
}

func lastEvents(v view, n int) []line {
	events := v.events[max(len(v.events)-n, 0):]
	var lines []line
	for _, e := range events {
		lines = append(lines, eventLine(e))
	}
	return lines
}

func eventLine(e event) line {
	l := line{}.add(dim, stamp(e.at)+"  ").add(eventStyles[e.kind], e.text)
	if e.times > 1 {
		l = l.add(dim, fmt.Sprintf(" (%d times)", e.times))
	}
	return l
}

// stamp is the time since the beginning.
func stamp(d time.Duration) string { return fmt.Sprintf("%5.1f s", d.Seconds()) }
