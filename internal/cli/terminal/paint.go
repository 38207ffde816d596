package terminal

import (
	"fmt"
	"io"
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// Control sequences.
const (
	hideCursor = "\x1b[?25l"
	showCursor = "\x1b[?25h"
	beginSync  = "\x1b[?2026h" // terminals that know it show the frame at once; others pass it over
	endSync    = "\x1b[?2026l"
	toLineEnd  = "\x1b[K"
	toEnd      = "\x1b[J"
)

// Painter redraws one block of lines at the bottom of what was printed. Lines that did not change are not written
// again, so that nothing flickers and text can be selected with the mouse. It is not for concurrent use.
type Painter struct {
	t     *Terminal
	drawn []string // the lines on the screen
}

// Paint replaces the block by what frame draws for the present size. A block higher than the screen is cut: lines
// that have scrolled away could never be drawn over.
func (p *Painter) Paint(frame func(columns, lines int) string) {
	w, h, _ := p.t.size()
	lines := strings.Split(strings.TrimRight(frame(w, h-1), "\n"), "\n")
	lines = lines[:min(len(lines), max(1, h-1))]
	for i, l := range lines {
		lines[i] = ansi.Truncate(l, w, "…")
	}
	first, changed := p.difference(lines, w)
	if !changed {
		return
	}
	var b strings.Builder
	b.WriteString(beginSync)
	if p.drawn == nil {
		b.WriteString(hideCursor)
	}
	p.rise(&b, first, w)
	for i := first; i < len(lines); i++ {
		if i < len(p.drawn) && p.drawn[i] == lines[i] && p.rows(i, w) == 1 {
			b.WriteString("\n")
			continue
		}
		b.WriteString(lines[i])
		if ansi.StringWidth(lines[i]) < w { // at the last column this would erase the last letter
			b.WriteString(toLineEnd)
		}
		b.WriteString("\n")
	}
	b.WriteString(toEnd + endSync)
	p.drawn = lines
	_, _ = io.WriteString(p.t.Out, b.String())
}

// Finish replaces the block by text that stays, however long it is, and gives the cursor back.
func (p *Painter) Finish(text string) {
	w, _, _ := p.t.size()
	var b strings.Builder
	b.WriteString(beginSync)
	p.rise(&b, 0, w)
	// Line by line: terminals keep a whole screen that is cleared at once in their history.
	for l := range strings.Lines(text) {
		b.WriteString(strings.TrimSuffix(l, "\n") + toLineEnd + "\n")
	}
	b.WriteString(toEnd)
	b.WriteString(showCursor + endSync)
	p.drawn = nil
	_, _ = io.WriteString(p.t.Out, b.String())
}

// difference finds the first line from which on to draw: the first that changed, or the first that a narrower
// terminal has broken in two.
func (p *Painter) difference(lines []string, w int) (first int, changed bool) {
	for i := range min(len(lines), len(p.drawn)) {
		if lines[i] != p.drawn[i] || p.rows(i, w) > 1 {
			return i, true
		}
	}
	return min(len(lines), len(p.drawn)), len(lines) != len(p.drawn)
}

// rows is how many rows a drawn line takes at the present width: a terminal that was made narrower broke it.
func (p *Painter) rows(i, w int) int {
	if w <= 0 {
		return 1
	}
	return max(1, (ansi.StringWidth(p.drawn[i])+w-1)/w)
}

// rise moves from below the block to the start of line first.
func (p *Painter) rise(b *strings.Builder, first, w int) {
	n := 0
	for i := first; i < len(p.drawn); i++ {
		n += p.rows(i, w)
	}
	b.WriteString("\r")
	if n > 0 {
		fmt.Fprintf(b, "\x1b[%dA", n)
	}
}
