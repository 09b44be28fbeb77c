package main

import (
	"encoding/xml"
	"image/color"
	"strings"
	"testing"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
)

func TestEveryContenderHasAColorOfItsOwn(t *testing.T) {
	all := crowdedContenders
	for _, client := range []string{goRedis, redigoClient} {
		on, err := contenders(client)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all[:len(all):len(all)], on...)
	}
	owners := make(map[color.RGBA]string)
	for _, c := range all {
		l, ok := looks[c.lib]
		if !ok {
			t.Errorf("%s has none", c.lib)
			continue
		}
		if owner, taken := owners[l.color]; taken && owner != c.lib {
			t.Errorf("%s and %s share %v", owner, c.lib, l.color)
		}
		owners[l.color] = c.lib
	}
}

func TestACurveWithoutAColorIsNotDrawn(t *testing.T) {
	_, err := drawSVG(plot.New(), []curve{{"a new contender", plotter.XYs{{X: 1, Y: 1}, {X: 2, Y: 2}}}})
	if err == nil || !strings.Contains(err.Error(), `"a new contender" has no color`) {
		t.Errorf("drawn, %v", err)
	}
}

func TestTheLegendIsBelowThePlot(t *testing.T) {
	for _, names := range [][]string{{ours}, {ours, floor, redsyncDefault}, {ours, oursPlain, redsyncDefault, redsyncFailFast, floor, floorTogether}} {
		var curves []curve
		for i, name := range names {
			curves = append(curves, curve{name, plotter.XYs{{X: 1, Y: 1}, {X: 2, Y: float64(i)}}})
		}
		p := plot.New()
		p.X.Label.Text = "the lowest text of the plot"
		picture, err := drawSVG(p, curves)
		if err != nil {
			t.Fatal(err)
		}
		heights := textHeights(t, picture)
		lowest := heights[p.X.Label.Text]
		for _, name := range names {
			if at, ok := heights[name]; !ok || at >= lowest || at <= 0 {
				t.Errorf("%d curves: %q is at height %v, %v, want it in the picture, below %v", len(names), name, at, ok, lowest)
			}
		}
	}
}

// textHeights returns how far above the lower edge of a picture its texts are.
func textHeights(t *testing.T, picture []byte) map[string]float64 {
	t.Helper()
	var svg struct {
		Groups []struct {
			Texts []struct {
				Y    float64 `xml:"y,attr"` // its negative: the texts of the picture are turned over
				Text string  `xml:",chardata"`
			} `xml:"text"`
		} `xml:"g"`
	}
	if err := xml.Unmarshal(picture, &svg); err != nil {
		t.Fatal(err)
	}
	heights := make(map[string]float64)
	for _, g := range svg.Groups {
		for _, text := range g.Texts {
			heights[text.Text] = -text.Y
		}
	}
	return heights
}
