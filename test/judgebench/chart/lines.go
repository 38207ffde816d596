package chart

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Line is a value for each of the places on the horizontal axis; +Inf and NaN are none.
type Line struct {
	Name   string
	Values []float64
	Kind   Kind
}

// Axis is the horizontal axis, and the ends of the vertical one.
type Axis struct {
	Places    []string
	Low, High float64
	Unit      string
	Below     string // what the places are
}

// Lines draws lines over places that are equally far apart, on a logarithmic vertical scale, each named at its end.
func Lines(title, sub string, axis Axis, lines []Line) string {
	const left, right, top, bottom, width = 70.0, 150.0, 70.0, 400.0, 860.0
	s := scale{low: axis.Low, high: axis.High, from: bottom, to: top}
	c := begin(width, bottom+56, title, sub)
	for _, v := range s.ticks() {
		c.line(left, s.at(v), width-right, s.at(v), "grid")
		c.anchored(left-8, s.at(v)+4, "end", "dim small", fmt.Sprintf("%g %s", v, axis.Unit))
	}
	place := func(i int) float64 {
		return left + 20 + (width-right-left-40)*float64(i)/float64(len(axis.Places)-1)
	}
	for i, p := range axis.Places {
		c.anchored(place(i), bottom+20, "middle", "dim small", p)
	}
	c.anchored((left+width-right)/2, bottom+42, "middle", "dim small", axis.Below)
	type label struct {
		y    float64
		line Line
	}
	var labels []label
	for _, l := range lines {
		var points []string
		y := math.NaN()
		for i, v := range l.Values {
			if !math.IsInf(v, 0) && !math.IsNaN(v) {
				y = s.at(v)
				points = append(points, fmt.Sprintf("%.1f,%.1f", place(i), y))
			}
		}
		if len(points) == 0 {
			continue
		}
		fmt.Fprintf(&c.b, `<polyline class="line %s" points="%s"/>`+"\n", l.Kind, strings.Join(points, " "))
		labels = append(labels, label{y, l})
	}
	slices.SortStableFunc(labels, func(a, b label) int { return cmp.Compare(a.y, b.y) })
	low := top - 20
	for _, l := range labels { // each name below the one above it
		low = math.Max(low+15, l.y+4)
		c.text(width-right+8, low, "small "+string(l.line.Kind), l.line.Name)
	}
	return c.end()
}
