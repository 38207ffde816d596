// Package chart draws the charts of the report as SVG: bars, lines and a table of colours. They bring their own
// background and follow the reader's choice of light or dark.
package chart

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// Kind says how something is drawn.
type Kind string

// The kinds.
const (
	Own     Kind = "own"     // what the chart is about
	Other   Kind = "other"   // what it is compared with
	Invalid Kind = "invalid" // the same, but it breaks a promise that the others keep
	Limit   Kind = "limit"   // what nothing can pass
)

const style = `<style>
text { font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #1f2328 }
.title { font-weight: 600; font-size: 15px } .dim { fill: #59636e } .small { font-size: 11px } .strong { font-weight: 600 }
.bg { fill: #ffffff } .grid { stroke: #d1d9e0 } .axis { stroke: #59636e }
.own { fill: #0969da } .other { fill: #8c959f } .invalid { fill: none; stroke: #8c959f; stroke-dasharray: 3 2 }
.line { fill: none; stroke-width: 2 } .line.own { stroke: #0969da; stroke-width: 3; fill: none } .line.other { stroke: #8c959f; fill: none }
.line.invalid { stroke-dasharray: 3 3 } .line.limit { stroke: #1a7f37; stroke-dasharray: 6 3 } .mark { stroke: #1a7f37; stroke-width: 2; stroke-dasharray: 6 3 }
.wrong { fill: #cf222e } .right { fill: #1a7f37 } text.own { fill: #0969da } text.other, text.invalid { fill: #59636e; stroke: none } text.limit { fill: #1a7f37 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .dim { fill: #9198a1 } .bg { fill: #0d1117 } .grid { stroke: #3d444d } .axis { stroke: #9198a1 }
.own { fill: #4493f8 } .other { fill: #6e7681 } .invalid { fill: none; stroke: #6e7681 }
.line.own { stroke: #4493f8 } .line.other { stroke: #6e7681 } .line.invalid { stroke: #6e7681 } .line.limit { stroke: #3fb950 } .mark { stroke: #3fb950 }
.wrong { fill: #f85149 } .right { fill: #3fb950 } text.own { fill: #4493f8 } text.other, text.invalid { fill: #9198a1 } text.limit { fill: #3fb950 }
}
</style>
`

// canvas collects the elements of a picture.
type canvas struct{ b strings.Builder }

// begin writes the frame and the two lines of text above a chart.
func begin(width, height float64, title, sub string) *canvas {
	c := &canvas{}
	fmt.Fprintf(&c.b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" width="%.0f" height="%.0f" role="img" aria-label="%s">`+"\n",
		width, height, width, height, html.EscapeString(title))
	c.b.WriteString(style)
	fmt.Fprintf(&c.b, `<rect class="bg" width="%.0f" height="%.0f" rx="8"/>`+"\n", width, height)
	c.text(16, 26, "title", title)
	c.text(16, 46, "dim", sub)
	return c
}

func (c *canvas) end() string { return c.b.String() + "</svg>\n" }

func (c *canvas) text(x, y float64, class, text string) {
	fmt.Fprintf(&c.b, `<text x="%.1f" y="%.1f" class="%s">%s</text>`+"\n", x, y, class, html.EscapeString(text))
}

func (c *canvas) anchored(x, y float64, anchor, class, text string) {
	fmt.Fprintf(&c.b, `<text x="%.1f" y="%.1f" text-anchor="%s" class="%s">%s</text>`+"\n", x, y, anchor, class, html.EscapeString(text))
}

func (c *canvas) line(x1, y1, x2, y2 float64, class string) {
	fmt.Fprintf(&c.b, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" class="%s"/>`+"\n", x1, y1, x2, y2, class)
}

func (c *canvas) rect(x, y, w, h float64, attributes string) {
	fmt.Fprintf(&c.b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" %s/>`+"\n", x, y, w, h, attributes)
}

// scale maps values to places, by their logarithms.
type scale struct{ low, high, from, to float64 }

func (s scale) at(v float64) float64 {
	v = math.Min(math.Max(v, s.low), s.high)
	return s.from + (s.to-s.from)*math.Log(v/s.low)/math.Log(s.high/s.low)
}

// ticks are round values on a logarithmic scale: 1, 10, 100 and so on.
func (s scale) ticks() []float64 {
	var all []float64
	for v := math.Pow(10, math.Ceil(math.Log10(s.low)-1e-9)); v <= s.high*(1+1e-9); v *= 10 {
		all = append(all, v)
	}
	return all
}
