package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
)

// plots draws what was measured as SVG files for a folder, and puts them into the
// report. Without a folder nothing is drawn.
type plots struct {
	folder string
	report io.Writer
	drawn  map[string][]byte // by name of the file
}

// picture draws the curves that have points as the file name.svg.
func (p plots) picture(name, title string, curves []curve, axes func(*plot.Plot)) error {
	if p.folder == "" {
		return nil
	}
	picture := plot.New()
	picture.Title.Text = title
	axes(picture)
	curves = slices.DeleteFunc(curves, func(c curve) bool { return len(c.points) == 0 })
	svg, err := drawSVG(picture, curves)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	p.drawn[name+".svg"] = svg
	// A code host shows it where results.md stands, so the path is relative to that.
	_, err = fmt.Fprintf(p.report, "\n![%s](%s/%s.svg)\n", title, filepath.Base(p.folder), name)
	return err
}

// write puts the pictures into the folder, in place of those of an earlier run.
func (p plots) write() error {
	old, err := filepath.Glob(filepath.Join(p.folder, "*.svg"))
	if err != nil {
		return err
	}
	for _, file := range old {
		if err := os.Remove(file); err != nil {
			return err
		}
	}
	for name, svg := range p.drawn {
		if err := os.WriteFile(filepath.Join(p.folder, name), svg, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// percentileCurve has the percentiles 1 to 99 of a duration.
func percentileCurve(name string, durations []time.Duration) curve {
	c := curve{name: name}
	for i, d := range durations {
		// Below a microsecond there is nothing to see, and a logarithm needs more
		// than zero.
		c.points = append(c.points, plotter.XY{X: float64(i + 1), Y: max(d, time.Microsecond).Seconds()})
	}
	return c
}

func percentileAxes(of string) func(*plot.Plot) {
	return func(p *plot.Plot) {
		p.X.Label.Text, p.Y.Label.Text = "percentile", of
		var ticks plot.ConstantTicks
		for _, percent := range []int{1, 10, 25, 50, 75, 90, 99} {
			ticks = append(ticks, plot.Tick{Value: float64(percent), Label: fmt.Sprint(percent)})
		}
		p.X.Tick.Marker = ticks
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.TickerFunc(durationTicks)
		p.Add(plotter.NewGrid())
	}
}

// durationTicks marks powers of ten, and between them.
func durationTicks(low, high float64) (ticks []plot.Tick) {
	for power := math.Floor(math.Log10(low)); power <= math.Ceil(math.Log10(high)); power++ {
		for digit := 1.0; digit < 10; digit++ {
			value := digit * math.Pow(10, power)
			if value < low || value > high {
				continue
			}
			tick := plot.Tick{Value: value}
			if digit == 1 || digit == 3 {
				tick.Label = time.Duration(math.Round(value * 1e9)).String()
			}
			ticks = append(ticks, tick)
		}
	}
	return ticks
}

// typical is the median over the rounds, percentile by percentile.
func typical(rounds [][]time.Duration) (all []time.Duration) {
	for i := range 99 {
		var values []time.Duration
		for _, r := range rounds {
			if len(r) > i {
				values = append(values, r[i])
			}
		}
		if len(values) == 0 {
			return nil
		}
		all = append(all, median(values))
	}
	return all
}

// latency draws how long Lock took in a scenario, one picture for each client.
func (p plots) latency(s scenario, all []*entry) error {
	for _, client := range clientsOf(all) {
		var curves []curve
		for _, e := range all {
			if e.client == client && !e.healthy {
				curves = append(curves, percentileCurve(e.lib, typical(each(e.rounds, func(m measurement) []time.Duration { return m.Lock.Percentiles }))))
			}
		}
		name := fmt.Sprintf("lock-%s-%d-of-%d", client, s.Workers, s.Nodes)
		if s.Frozen {
			name += "-frozen"
		}
		if s.Away > 0 {
			name += "-away"
		}
		if err := p.picture(name, fmt.Sprintf("Lock on %s: %v", client, s), curves, percentileAxes("time of a Lock")); err != nil {
			return err
		}
	}
	return nil
}

// waits draws how long the workers of a crowd waited.
func (p plots) waits(s crowdedScenario, results map[string][]crowdedResult) error {
	var curves []curve
	for _, c := range crowdedContenders {
		var rounds [][]time.Duration
		for _, r := range results[c.lib] {
			if waits := r.waits(); len(waits) > 0 {
				rounds = append(rounds, percentiles(waits))
			}
		}
		curves = append(curves, percentileCurve(c.lib, typical(rounds)))
	}
	return p.picture(fmt.Sprintf("waits-%d", s.Processes), fmt.Sprintf("Waiting for one lock: %v", s), curves, percentileAxes("time of a Lock"))
}

// throughput draws cycles/s over the number of workers, one picture for each client
// and number of nodes.
func (p plots) throughput(nodes int, workers []int, results map[scenario][]*entry) error {
	if len(workers) < 2 {
		return nil
	}
	first := results[scenario{Nodes: nodes, Workers: workers[0]}]
	for _, client := range clientsOf(first) {
		var curves []curve
		for _, e := range first {
			if e.client != client {
				continue
			}
			c := curve{name: e.lib}
			for _, w := range workers {
				for _, again := range results[scenario{Nodes: nodes, Workers: w}] {
					if again.client == client && again.lib == e.lib {
						c.points = append(c.points, plotter.XY{X: float64(w), Y: median(each(again.rounds, measurement.rate)) / 1000})
					}
				}
			}
			curves = append(curves, c)
		}
		err := p.picture(fmt.Sprintf("throughput-%s-%d", client, nodes), fmt.Sprintf("Cycles per second on %s: n=%d", client, nodes), curves, func(picture *plot.Plot) {
			picture.X.Label.Text, picture.Y.Label.Text = "workers, each with a key of its own", "thousand cycles/s"
			picture.X.Scale = plot.LogScale{}
			var ticks plot.ConstantTicks
			for _, w := range workers {
				ticks = append(ticks, plot.Tick{Value: float64(w), Label: fmt.Sprint(w)})
			}
			picture.X.Tick.Marker, picture.Y.Min = ticks, 0
			picture.Add(plotter.NewGrid())
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func clientsOf(all []*entry) (clients []string) {
	for _, e := range all {
		if !slices.Contains(clients, e.client) {
			clients = append(clients, e.client)
		}
	}
	return clients
}
