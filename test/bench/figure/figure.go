// Package figure turns measured values into what a reader can judge: order statistics and Markdown tables. It
// measures nothing.
package figure

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Series is one measured quantity, a value for each run.
type Series []float64

// Add appends a value.
func (s *Series) Add(v float64) { *s = append(*s, v) }

// Quantile returns the smallest value that at least the share q of the values do not exceed (nearest rank): always
// one that was measured. NaN when nothing was.
func (s Series) Quantile(q float64) float64 {
	if len(s) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(s))
	rank := int(math.Ceil(q * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// Median is the middle value; of an even number of values the mean of the middle two.
func (s Series) Median() float64 {
	n := len(s)
	if n == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(s))
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// Min is the smallest value.
func (s Series) Min() float64 { return s.Quantile(0) }

// Max is the largest value.
func (s Series) Max() float64 { return s.Quantile(1) }

// Table is a Markdown table.
type Table struct {
	head []string
	rows [][]string
}

// NewTable begins a table with these columns.
func NewTable(head ...string) *Table { return &Table{head: head} }

// Row adds a row. Cells that are missing stay empty.
func (t *Table) Row(cells ...string) *Table {
	row := make([]string, len(t.head))
	copy(row, cells)
	t.rows = append(t.rows, row)
	return t
}

// Spread adds a row of a quantity: its name, then runs, median, p90, minimum and maximum as show writes them, then
// the rest.
func (t *Table) Spread(name string, s Series, show func(float64) string, rest ...string) *Table {
	cells := []string{name, fmt.Sprint(len(s)), show(s.Median()), show(s.Quantile(0.9)), show(s.Min()), show(s.Max())}
	return t.Row(append(cells, rest...)...)
}

// String writes the table.
func (t *Table) String() string {
	var b strings.Builder
	line := func(cells []string) {
		for _, c := range cells {
			fmt.Fprintf(&b, "| %s ", strings.ReplaceAll(c, "|", "\\|"))
		}
		b.WriteString("|\n")
	}
	line(t.head)
	rule := make([]string, len(t.head))
	for i := range rule {
		rule[i] = "---"
	}
	line(rule)
	for _, r := range t.rows {
		line(r)
	}
	return b.String()
}

// Seconds writes a time given in seconds with three significant digits, in the unit that suits it.
func Seconds(v float64) string {
	if math.IsNaN(v) {
		return "-"
	}
	d := time.Duration(v * float64(time.Second))
	unit, name := time.Second, "s"
	switch a := d.Abs(); {
	case a < time.Microsecond:
		unit, name = time.Nanosecond, "ns"
	case a < time.Millisecond:
		unit, name = time.Microsecond, "µs"
	case a < time.Second:
		unit, name = time.Millisecond, "ms"
	}
	return digits(float64(d)/float64(unit)) + " " + name
}

// Count writes a number of things.
func Count(v float64) string {
	if math.IsNaN(v) {
		return "-"
	}
	return fmt.Sprintf("%.0f", v)
}

// Megabytes writes bytes as MiB.
func Megabytes(v float64) string {
	if math.IsNaN(v) {
		return "-"
	}
	return digits(v/(1<<20)) + " MiB"
}

// Percent writes a share.
func Percent(v float64) string {
	if math.IsNaN(v) {
		return "-"
	}
	return digits(100*v) + " %"
}

// Ratio writes how many times as much something is.
func Ratio(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "-"
	}
	return digits(v) + "×"
}

// digits writes three significant digits, and never an exponent.
func digits(v float64) string {
	switch a := math.Abs(v); {
	case a == 0:
		return "0"
	case a >= 99.95:
		return fmt.Sprintf("%.0f", v)
	case a >= 9.995:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// Met says whether a value is below its limit.
func Met(v, limit float64) string {
	switch {
	case math.IsNaN(v):
		return "not measured"
	case v < limit:
		return "met"
	}
	return "**missed**"
}
