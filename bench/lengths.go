package main

import (
	"bytes"
	"context"
	"fmt"
	"image/color"
	"math"
	"os"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

const shortLength, longLength = 2_000, 200_000 // users, between which memory must not grow

// runLengths asks a fresh process of each side for a list, for each length of it.
func runLengths(ctx context.Context, s *suite, m *measurement) error {
	lengths, repeats := []int{100, shortLength, 20_000, longLength}, 3
	if s.quick {
		lengths, repeats = []int{100, shortLength, 10_000}, 1
	}
	sides := s.available(m, sideOf(primaAPI), sideOf(idiomatic), sideOf(flask))
	for _, users := range lengths {
		some := make([]sideResult, len(sides))
		for repeat := range repeats {
			for turn := range sides {
				i := (turn + repeat) % len(sides)
				figures, err := s.fetchFresh(ctx, sides[i], tableOf(users), users)
				if err != nil {
					return fmt.Errorf("%s: %w", sides[i].name, err)
				}
				some[i].Name, some[i].Users = sides[i].name, users
				some[i].add(figures)
			}
		}
		for _, r := range some {
			s.say("  %7d %-14s %s", users, r.Name, line(medians(r.Figures)))
		}
		m.Sides = append(m.Sides, some...)
	}
	return nil
}

func medians(figures map[string][]float64) map[string]float64 {
	m := map[string]float64{}
	for name, values := range figures {
		m[name] = median(values)
	}
	return m
}

// fetchFresh asks a process that has served nothing before for the list of a table.
func (s *suite) fetchFresh(ctx context.Context, side side, table string, users int) (map[string]float64, error) {
	server, err := s.start(ctx, side, table)
	if err != nil {
		return nil, err
	}
	defer server.end()
	first, last, err := fetch(ctx, server.url+"/users", users)
	if err != nil {
		return nil, err
	}
	peak, err := server.memory("VmHWM")
	if err != nil {
		return nil, err
	}
	return map[string]float64{firstByte: milliseconds(first), total: milliseconds(last), peakMemory: mebibytes(peak)}, nil
}

// The colours of Okabe and Ito, which most people with a colour vision deficiency tell apart.
//
// Source: https://jfly.uni-koeln.de/color/.
var colours = map[string]color.Color{
	primaAPI:  color.RGBA{R: 0, G: 114, B: 178, A: 255},
	idiomatic: color.RGBA{R: 213, G: 94, B: 0, A: 255},
	flask:     color.RGBA{R: 0, G: 158, B: 115, A: 255},
}

// saveChart writes the chart of the lengths as SVG, on white, which is readable in a dark page too.
func saveChart(m *measurement, file string) error {
	const width, height = 22 * vg.Centimeter, 10 * vg.Centimeter
	canvas := vgsvg.New(width, height)
	all := draw.New(canvas)
	all.SetColor(color.White)
	all.Fill(all.Path())

	times, err := panel(m, "Time of one GET /users", "ms", firstByte, total)
	if err != nil {
		return err
	}
	memory, err := panel(m, "Peak memory of one GET /users", "MiB", peakMemory)
	if err != nil {
		return err
	}
	tiles := draw.Tiles{Rows: 1, Cols: 2, PadX: 8 * vg.Millimeter, PadTop: 4 * vg.Millimeter, PadBottom: 3 * vg.Millimeter, PadLeft: 3 * vg.Millimeter, PadRight: 6 * vg.Millimeter}
	plots := [][]*plot.Plot{{times, memory}}
	for i, c := range plot.Align(plots, tiles, all)[0] {
		plots[0][i].Draw(c)
	}
	var svg bytes.Buffer
	if _, err = canvas.WriteTo(&svg); err == nil {
		// Others of the same widths, for those who do not have this one.
		const family = "font-family:Liberation Sans"
		drawn := bytes.ReplaceAll(svg.Bytes(), []byte(family+";"), []byte(family+",Arial,Helvetica,sans-serif;"))
		err = os.WriteFile(file, drawn, 0o644) //nolint:gosec // part of the checkout
	}
	if err != nil {
		return fmt.Errorf("write the chart: %w", err)
	}
	return nil
}

// panel draws figures of each side against the number of users; the first of two is dashed.
func panel(m *measurement, title, unit string, figures ...string) (*plot.Plot, error) {
	p := plot.New()
	for _, style := range []*text.Style{&p.Title.TextStyle, &p.X.Label.TextStyle, &p.Y.Label.TextStyle, &p.X.Tick.Label, &p.Y.Tick.Label, &p.Legend.TextStyle} {
		style.Font.Variant = "Sans"
	}
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, "users", unit
	p.Title.TextStyle.Font.Size, p.Title.Padding = vg.Points(13), vg.Points(8)
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	p.X.Tick.Marker, p.Y.Tick.Marker = decades{}, decades{suffix: "  "} // room for a wider font than this one
	p.Legend.Top, p.Legend.Left, p.Legend.Padding = true, true, vg.Points(3)
	p.Legend.XOffs, p.Legend.YOffs = vg.Points(6), vg.Points(-4)
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = color.Gray{225}, color.Gray{225}
	p.Add(grid)
	dashes := []vg.Length{vg.Points(4), vg.Points(3)}
	for _, side := range []string{primaAPI, idiomatic, flask} {
		for i, figure := range figures {
			var points plotter.XYs
			for _, r := range m.Sides {
				if values := r.Figures[figure]; r.Name == side && len(values) > 0 {
					points = append(points, plotter.XY{X: float64(r.Users), Y: median(values)})
				}
			}
			if len(points) == 0 {
				continue
			}
			line, marks, err := plotter.NewLinePoints(points)
			if err != nil {
				return nil, fmt.Errorf("draw %s of %s: %w", figure, side, err)
			}
			line.Color, line.Width = colours[side], vg.Points(1.8)
			marks.Color, marks.Shape, marks.Radius = colours[side], draw.CircleGlyph{}, vg.Points(2.4)
			if i == 0 && len(figures) > 1 {
				line.Dashes = dashes
				p.Add(line, marks)
				continue
			}
			p.Add(line, marks)
			p.Legend.Add(side, line, marks)
		}
	}
	if len(figures) > 1 {
		p.Legend.Add("dashed: until its first byte", &plotter.Line{LineStyle: draw.LineStyle{Color: color.Gray{90}, Width: vg.Points(1.8), Dashes: dashes}})
	}
	// Whole decades, and room for the legend above what is drawn.
	p.Y.Min = math.Pow(10, math.Floor(math.Log10(p.Y.Min)))
	p.Y.Max = math.Pow(10, math.Ceil(math.Log10(p.Y.Max)))
	p.Y.Max *= math.Pow(p.Y.Max/p.Y.Min, 0.3)
	p.X.Min, p.X.Max = p.X.Min/1.2, p.X.Max*1.2
	return p, nil
}

// Decades marks each power of ten with its number, and what lies between them with a short line.
type decades struct{ suffix string }

// Ticks implements [plot.Ticker].
func (d decades) Ticks(low, high float64) []plot.Tick {
	var ticks []plot.Tick
	for decade := math.Pow(10, math.Floor(math.Log10(low))); decade <= high; decade *= 10 {
		for i := 1.; i < 10; i++ {
			if value := i * decade; value >= low && value <= high {
				tick := plot.Tick{Value: value}
				if i == 1 {
					tick.Label = grouped(value) + d.suffix
				}
				ticks = append(ticks, tick)
			}
		}
	}
	return ticks
}
