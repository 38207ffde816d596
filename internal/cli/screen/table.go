package screen

import (
	"strings"

	"github.com/belaydev/belay/internal/cli/screen/figure"
)

// Table draws rows, the first of which names the columns. All columns but the last are as wide as their widest cell; a
// cell may have colours.
func (s Style) Table(rows [][]string) string {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], columns(cell))
		}
	}
	var b strings.Builder
	for n, row := range rows {
		line := ""
		for i, cell := range row[:len(row)-1] {
			line += pad(cell, widths[i]+2)
		}
		line += row[len(row)-1]
		if n == 0 {
			line = s.paint(dim, line)
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	return s.cutAll(b.String())
}

// Tables draws rows as Table does, in as many tables below each other as the width asks for. Each begins with the
// first keys columns.
func (s Style) Tables(rows [][]string, keys int) string {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], columns(cell)+2)
		}
	}
	var out []string
	for from := keys; from < len(widths) || len(out) == 0; {
		room := s.width() + 2
		for _, w := range widths[:keys] {
			room -= w
		}
		to := from
		for to < len(widths) && (to == from || widths[to] <= room) {
			room -= widths[to]
			to++
		}
		part := make([][]string, len(rows))
		for i, row := range rows {
			part[i] = append(append([]string{}, row[:keys]...), row[from:to]...)
		}
		out = append(out, s.Table(part))
		from = to
	}
	return strings.Join(out, "\n")
}

// Good paints what is well.
func (s Style) Good(text string) string { return s.paint(good, text) }

// Bad paints what is not.
func (s Style) Bad(text string) string { return s.paint(bad, text) }

// Dim paints what matters less.
func (s Style) Dim(text string) string { return s.paint(dim, text) }

// Strong paints a heading.
func (s Style) Strong(text string) string { return s.paint(strong, text) }

// Wrap breaks a long line at words; the lines after the first begin at column indent. It ends with a line end.
func (s Style) Wrap(line string, indent int) string { return s.hang(line, indent) }

// Count writes a whole number with thousands set apart.
func Count(n float64) string { return figure.Count(n) }
