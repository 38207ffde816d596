package chart

import (
	"fmt"
	"math"
)

// Table is a table of shares, by row and column; NaN is none.
type Table struct {
	Columns, Rows []string
	Share         [][]float64
}

// Shares draws a table, each cell the redder the larger, with everything up to the promise in green. The first row is
// what it is about.
func Shares(title, sub string, t Table, promise float64) string {
	const left, top, step, cell = 120.0, 96.0, 24.0, 68.0
	width := left + cell*float64(len(t.Columns)) + 24
	c := begin(width, top+step*float64(len(t.Rows))+20, title, sub)
	for k, name := range t.Columns {
		c.anchored(left+cell*(float64(k)+0.5), top-10, "middle", "dim small", name)
	}
	for i, name := range t.Rows {
		y := top + step*float64(i)
		class := ""
		if i == 0 {
			class = "own strong"
		}
		c.anchored(left-10, y+16, "end", class, name)
		for k, v := range t.Share[i] {
			if math.IsNaN(v) {
				continue
			}
			kind, depth := "right", 0.18
			if v > promise {
				kind, depth = "wrong", 0.15+0.6*math.Sqrt(v)
			}
			c.rect(left+cell*float64(k)+1, y+1, cell-2, step-2, fmt.Sprintf(`class="%s" fill-opacity="%.2f" rx="2"`, kind, depth))
			c.anchored(left+cell*(float64(k)+0.5), y+16, "middle", "small", percent(v))
		}
	}
	return c.end()
}

func percent(v float64) string {
	switch v *= 100; {
	case v == 0:
		return "0"
	case v < 9.95:
		return fmt.Sprintf("%.1f %%", v)
	}
	return fmt.Sprintf("%.0f %%", v)
}
