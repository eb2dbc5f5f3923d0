package picture

import (
	"bytes"
	"fmt"
	"image/color"
	"math"
	"strings"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// Point is a value at a time.
type Point struct {
	At    time.Time
	Value float64
}

// Series is a line with its name.
type Series struct {
	Name   string
	Points []Point
}

// Chart is what a picture shows.
type Chart struct {
	Title string
	// Series in the order of the legend.
	Series []Series
	// Threshold is drawn as a line where Limited is set.
	Threshold float64
	Limited   bool
	// Began is when the incident began; drawn as a line unless zero.
	Began time.Time
}

// Size of a picture: as wide as Slack shows pictures, and high enough to read.
const (
	width  = 20 * vg.Centimeter
	height = 8 * vg.Centimeter
	// maxName is how many characters of a name are shown.
	maxName = 60
)

// colors of the lines, distinguishable by people who see fewer colours (Okabe and Ito,
// https://jfly.uni-koeln.de/color).
var colors = []color.Color{
	color.RGBA{R: 0, G: 114, B: 178, A: 255}, color.RGBA{R: 230, G: 159, B: 0, A: 255}, color.RGBA{R: 0, G: 158, B: 115, A: 255},
	color.RGBA{R: 204, G: 121, B: 167, A: 255}, color.RGBA{R: 86, G: 180, B: 233, A: 255},
}

// Render draws a chart as PNG. The same chart gives the same picture.
func Render(c Chart) ([]byte, error) {
	p := plot.New()
	p.Title.Text = name(c.Title)
	p.X.Tick.Marker = plot.TickerFunc(clockTicks)
	p.X.Label.Text = "UTC"
	p.Legend.Top = true
	p.Add(plotter.NewGrid())
	for i, s := range c.Series {
		points := make(plotter.XYs, len(s.Points))
		for j, at := range s.Points {
			points[j] = plotter.XY{X: float64(at.At.UnixMilli()) / 1000, Y: at.Value}
		}
		line, err := plotter.NewLine(points)
		if err != nil {
			return nil, fmt.Errorf("draw series %d: %w", i, err)
		}
		line.Color, line.Width = colors[i%len(colors)], vg.Points(1.5)
		p.Add(line)
		if s.Name != "" {
			p.Legend.Add(name(s.Name), line)
		}
	}
	if c.Limited {
		limit := plotter.NewFunction(func(float64) float64 { return c.Threshold })
		limit.Color, limit.Dashes = color.RGBA{R: 213, G: 94, B: 0, A: 255}, []vg.Length{vg.Points(4), vg.Points(3)}
		p.Add(limit)
		p.Legend.Add(fmt.Sprintf("threshold %.4g", c.Threshold), limit)
		p.Y.Min, p.Y.Max = min(p.Y.Min, c.Threshold), max(p.Y.Max, c.Threshold)
	}
	if span := p.Y.Max - p.Y.Min; span > 0 { // room for the legend above, and none of the lines on the frame
		p.Y.Min, p.Y.Max = p.Y.Min-span/20, p.Y.Max+span/3
	}
	if !c.Began.IsZero() {
		at := float64(c.Began.Unix())
		began, err := plotter.NewLine(plotter.XYs{{X: at, Y: p.Y.Min}, {X: at, Y: p.Y.Max}})
		if err != nil {
			return nil, fmt.Errorf("draw the beginning: %w", err)
		}
		began.Color, began.Dashes = color.Gray{Y: 110}, []vg.Length{vg.Points(2), vg.Points(2)}
		p.Add(began)
		p.Legend.Add("began", began)
	}
	out, err := p.WriterTo(width, height, "png")
	if err != nil {
		return nil, fmt.Errorf("draw: %w", err)
	}
	var b bytes.Buffer
	if _, err := out.WriteTo(&b); err != nil {
		return nil, fmt.Errorf("encode the picture: %w", err)
	}
	return b.Bytes(), nil
}

// clockTicks marks every ten minutes, by which people read the time.
func clockTicks(from, to float64) []plot.Tick {
	const every = 600
	var ticks []plot.Tick
	for at := math.Ceil(from/every) * every; at <= to && len(ticks) < 50; at += every {
		ticks = append(ticks, plot.Tick{Value: at, Label: time.Unix(int64(at), 0).UTC().Format("15:04")})
	}
	return ticks
}

// name is a text from the cluster as far as the picture has place and letters for it.
func name(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r > '\u024F' {
			return ' '
		}
		return r
	}, text)
	if runes := []rune(text); len(runes) > maxName {
		return string(runes[:maxName]) + "..."
	}
	return text
}
