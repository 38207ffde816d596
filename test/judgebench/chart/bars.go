package chart

import "fmt"

// Bar is one value by name.
type Bar struct {
	Name  string
	Value float64 // not above 0: there is none, and Note says why
	Note  string  // after the bar
	Kind  Kind
}

// Bars draws one bar under the other on a logarithmic scale, with a mark at the limit.
func Bars(title, sub string, bars []Bar, limit float64, limitText string) string {
	const left, right, top, step, width = 130.0, 190.0, 78.0, 24.0, 860.0
	bottom := top + step*float64(len(bars))
	s := scale{low: 1, high: 10, from: left, to: width - right}
	for _, b := range bars {
		for s.high < b.Value {
			s.high *= 10
		}
	}
	c := begin(width, bottom+36, title, sub)
	for _, v := range s.ticks() {
		x := s.at(v)
		c.line(x, top-6, x, bottom, "grid")
		c.anchored(x, bottom+18, "middle", "dim small", fmt.Sprintf("%g", v))
	}
	for i, b := range bars {
		y := top + step*float64(i)
		class := ""
		if b.Kind == Own {
			class = "own strong"
		}
		c.anchored(left-10, y+14, "end", class, b.Name)
		x := left
		if b.Value > 0 {
			x = s.at(b.Value)
			c.rect(left, y+3, max(1, x-left), step-8, fmt.Sprintf(`class="%s" rx="2"`, b.Kind))
		}
		c.text(x+8, y+14, "small "+class, b.Note)
	}
	if limit > 0 {
		x := s.at(limit)
		c.line(x, top-8, x, bottom, "mark")
		c.anchored(x, top-12, "middle", "small limit", limitText)
	}
	return c.end()
}
