package main

import (
	"bytes"
	"image/color"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// chart returns the time and the memory of GET /users by the number of users, as SVG.
func (b *bench) chart() ([]byte, error) {
	plot.DefaultFont = font.Font{Typeface: "Liberation", Variant: "Sans"}
	canvas := vgsvg.New(22*vg.Centimeter, 10*vg.Centimeter)
	all := draw.New(canvas)
	all.SetColor(color.White) // readable on a dark page too
	all.Fill(all.Path())
	const pad = vg.Centimeter / 2
	tiles := draw.Tiles{Rows: 1, Cols: 2, PadX: pad, PadRight: pad, PadTop: pad, PadBottom: pad, PadLeft: pad}
	for i, figure := range []string{latencyP50, peakMemory} {
		p := plot.New()
		p.Title.Text, p.X.Label.Text = []string{"Time, ms", "Peak memory, MiB"}[i], "users in the list"
		p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
		p.X.Tick.Marker, p.Y.Tick.Marker = plot.LogTicks{Prec: -1}, plot.LogTicks{Prec: -1}
		p.Legend.Top, p.Legend.Left = true, true
		var lines []any
		for _, s := range b.sides[:len(b.sides)-1] { // without the loop
			points := make(plotter.XYs, len(lengths))
			for i, users := range lengths {
				points[i] = plotter.XY{X: float64(users), Y: median(b.measured[key{lengthName(users), s.name, figure}])}
			}
			lines = append(lines, s.name, points)
		}
		if err := plotutil.AddLinePoints(p, lines...); err != nil {
			return nil, err
		}
		p.Y.Max *= 10 // room for the legend
		p.Draw(tiles.At(all, i, 0))
	}
	var svg bytes.Buffer
	_, err := canvas.WriteTo(&svg)
	return svg.Bytes(), err
}
