package main

import (
	"bytes"
	"fmt"
	"image/color"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// A curve is one contender's line in a picture.
type curve struct {
	name   string
	points plotter.XYs
}

// A look is how a contender's line looks in every picture.
type look struct {
	color  color.RGBA
	dashed bool
}

// looks has one for each contender. A library's settings are of one family, the second
// one dashed. The colors are those of Okabe and Ito without the yellow, which is too light
// on white, and a gray and a wine red: a reader that sees no red, no green or no blue can tell
// apart what stands in one picture.
var looks = map[string]look{
	ours:            {color: rgb(0x0072B2)},
	oursPlain:       {color: rgb(0x56B4E9), dashed: true},
	oursFair:        {color: rgb(0x009E73), dashed: true},
	redsyncDefault:  {color: rgb(0xD55E00)},
	redsyncFailFast: {color: rgb(0xE69F00), dashed: true},
	floor:           {color: rgb(0x000000)},
	floorTogether:   {color: rgb(0x888888), dashed: true},
	redislocks:      {color: rgb(0xCC79A7)},
	rueidis3:        {color: rgb(0x882255)},
}

func rgb(c uint32) color.RGBA {
	return color.RGBA{R: uint8(c >> 16), G: uint8(c >> 8), B: uint8(c), A: 0xFF}
}

func (c curve) line() (*plotter.Line, error) {
	l, ok := looks[c.name]
	if !ok {
		return nil, fmt.Errorf("%q has no color of its own: give it one in looks", c.name)
	}
	line, err := plotter.NewLine(c.points)
	if err != nil {
		return nil, err
	}
	line.Color, line.Width = l.color, vg.Points(1.5)
	if l.dashed {
		line.Dashes = []vg.Length{vg.Points(5), vg.Points(2)}
	}
	return line, nil
}

const (
	plotWidth  = 16 * vg.Centimeter
	plotHeight = 9 * vg.Centimeter
	plotMargin = 3 * vg.Millimeter // half of a tick's label may stand out
)

func init() { plot.DefaultFont.Variant = "Sans" }

// fontElsewhere is as wide, where a reader does not have the font that the text was
// measured with.
var fontHere, fontElsewhere = []byte("font-family:Liberation Sans"), []byte("font-family:Liberation Sans,Arial,Helvetica,sans-serif")

// drawSVG draws a plot of these curves, and the legend below it, where it cannot cover
// any of them.
func drawSVG(p *plot.Plot, curves []curve) ([]byte, error) {
	var columns [2]plot.Legend
	for i := range columns {
		l := plot.NewLegend()
		l.Top, l.Left, l.Padding, l.ThumbnailWidth = true, true, vg.Points(3), vg.Points(26)
		l.TextStyle.Font.Size = vg.Points(9)
		columns[i] = l
	}
	for i, c := range curves {
		line, err := c.line()
		if err != nil {
			return nil, err
		}
		p.Add(line)
		columns[i/((len(curves)+1)/2)].Add(c.name, line) // the first half on the left
	}
	if y := &p.Y; y.Min == y.Max { // a logarithm needs room below that is not zero
		y.Min, y.Max = y.Min/2, 2*y.Max+1e-9
	}

	// Of the two, the left one is as high or higher.
	legend := columns[0].Rectangle(draw.Canvas{}).Size().Y + 2*plotMargin
	svg := vgsvg.New(plotWidth, plotHeight+legend)
	all := draw.New(svg)
	all.SetColor(color.White) // a page may be dark
	all.Fill(all.Rectangle.Path())
	p.Draw(draw.Crop(all, plotMargin, -plotMargin, legend, -plotMargin))
	for i := range columns {
		left := plotMargin + vg.Length(i)*plotWidth/2
		columns[i].Draw(draw.Crop(all, left, 0, 0, -plotHeight-plotMargin))
	}

	var text bytes.Buffer
	if _, err := svg.WriteTo(&text); err != nil {
		return nil, err
	}
	return bytes.ReplaceAll(text.Bytes(), fontHere, fontElsewhere), nil
}
