package picture

import (
	"math"
	"strings"
	"unicode"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/judge/phrase"
)

// Columns of the text.
const (
	indent     = 2
	labelWidth = 12 // of a chart's label, its indent included
	leastChart = 16
	mostChart  = 64
	besides    = 36 // what stands behind a chart
)

// writer draws text of a width.
type writer struct {
	Options
	b     strings.Builder
	chart int // columns of a chart
	in    span
	drawn bool // there are charts
}

// Text draws a card with a few lines of charts for each signal.
func Text(c belay.Card, o Options) string {
	if o.Width <= 0 {
		o.Width = 80
	}
	if o.Paint == nil {
		o.Paint = func(_ Ink, text string) string { return text }
	}
	w := &writer{Options: o}
	w.chart = min(max(w.Width-indent-labelWidth-2-besides, leastChart), mostChart)
	w.in, w.drawn = spanOf(&c)
	w.flow(0, 2, piece{inkOf(c.Verdict), strings.ToUpper(verdictWord(c.Verdict))}, piece{Dim, " " + headline(&c)})
	if c.Reason != "" {
		w.flow(2, 2, piece{Plain, c.Reason})
	}
	var silent []string
	for _, e := range ordered(&c) {
		if !shown(e) {
			silent = append(silent, e.Signal)
			continue
		}
		w.b.WriteString("\n")
		w.signal(e)
	}
	if w.drawn {
		w.axis(c.FirstBad)
	}
	list := facts(&c)
	if len(silent) > 0 {
		list = append(list, fact{"no sample of", Dim, []string{phrase.And(silent)}})
	}
	for i, f := range list {
		if i == 0 {
			w.b.WriteString("\n")
		}
		w.fact(f)
	}
	return w.b.String()
}

func (w *writer) signal(e *belay.SignalEvidence) {
	pieces := []piece{{Strong, e.Signal}, {Plain, "  "}, {inkOf(e.Verdict), verdictWord(e.Verdict)}, {Dim, standing(e)}}
	if text := effect(e); text != "" {
		pieces = append(pieces, piece{Plain, ", " + text})
	}
	if e.FirstBad != nil {
		pieces = append(pieces, piece{Dim, ", first bad at " + phrase.Seconds(*e.FirstBad)})
	}
	if e.Stratum != "" {
		pieces = append(pieces, piece{Plain, ", worst on " + e.Stratum})
	}
	w.flow(indent, 6, pieces...)
	mine, old := sides(e)
	low, high := bounds(mine, old)
	ink := Accent
	if e.Verdict == belay.VerdictRegressed {
		ink = Bad
	}
	w.line(row{name(w.Candidate, "new"), ink, side(e, e.Candidate, e.N, e.X)}, mine.cells(w.in, w.chart, mean), low, high)
	w.line(row{name(w.Baseline, "old"), Dim, side(e, e.Baseline, e.BaseN, e.BaseX)}, old.cells(w.in, w.chart, mean), low, high)
	if e.Limit <= 1 {
		if e.Threshold != nil {
			w.flow(indent+labelWidth, indent+labelWidth, piece{Dim, "limit " + value(e, *e.Threshold)})
		}
		return
	}
	text := odds(e.EValue) + ", acts at " + odds(e.Limit)
	if e.EValue < 1.5 {
		text = "none, acts at " + odds(e.Limit)
	}
	evidence := Warn
	switch {
	case e.EValue >= e.Limit:
		evidence = Bad
	case e.EValue < math.Sqrt(e.Limit):
		evidence = Dim
	}
	w.line(row{"evidence", evidence, text}, progress(e).cells(w.in, w.chart, math.Max), 0, 1)
	if text := against(e); text != "" {
		w.flow(indent+labelWidth, indent+labelWidth, piece{Dim, text})
	}
}

// row is what stands beside the chart of one line.
type row struct {
	label string
	ink   Ink
	text  string
}

// line draws one chart, unless there is nothing to show.
func (w *writer) line(r row, cells []float64, low, high float64) {
	bars := spark(cells, low, high)
	if strings.TrimSpace(bars) == "" && r.text == "" {
		return
	}
	text := strings.Repeat(" ", indent+2) + w.Paint(Dim, pad(cut(r.label, labelWidth-3), labelWidth-2)) + w.Paint(r.ink, bars)
	if room := w.Width - indent - labelWidth - w.chart - 2; r.text != "" {
		text += "  " + cut(r.text, room)
	}
	w.b.WriteString(strings.TrimRight(text, " ") + "\n")
}

// spark draws values as bars of one row.
func spark(cells []float64, low, high float64) string {
	levels := []rune("▁▂▃▄▅▆▇█")
	var b strings.Builder
	for _, v := range cells {
		if math.IsNaN(v) {
			b.WriteByte(' ')
			continue
		}
		share := math.Min(1, math.Max(0, (v-low)/(high-low)))
		b.WriteRune(levels[int(math.Round(share*float64(len(levels)-1)))])
	}
	return b.String()
}

// axis names the ends of the charts' time, and the first bad moment.
func (w *writer) axis(first *float64) {
	row := []rune(strings.Repeat(" ", w.chart))
	put := func(at int, text string) bool {
		letters := []rune(text)
		if at < 0 || at+len(letters) > len(row) {
			return false
		}
		for i := max(0, at-1); i < min(len(row), at+len(letters)+1); i++ {
			if row[i] != ' ' {
				return false
			}
		}
		copy(row[at:], letters)
		return true
	}
	if first != nil {
		at := min(int(w.in.at(*first)*float64(w.chart)), w.chart-1)
		for _, label := range []string{"first bad moment " + phrase.Seconds(*first), "first bad " + phrase.Seconds(*first), ""} {
			if put(at, strings.TrimSpace("▲ "+label)) || put(at-width(label)-1, label+" ▲") {
				break
			}
		}
	}
	end := moment(w.in.to)
	put(w.chart-len(end), end)
	put(0, moment(w.in.from))
	text := strings.TrimRight(string(row), " ")
	w.b.WriteString(strings.Repeat(" ", indent+labelWidth) + w.Paint(Dim, text) + "\n")
}

func (w *writer) fact(f fact) {
	const column = indent + 14
	for i, l := range f.lines {
		label := ""
		if i == 0 {
			label = f.label
		}
		ink := Plain
		if f.ink == Dim {
			ink = Dim
		}
		labelInk := f.ink
		if labelInk == Plain {
			labelInk = Dim
		}
		w.flow(indent, column, piece{labelInk, pad(label, column-indent)}, piece{ink, l})
	}
}

// piece is text of one ink.
type piece struct {
	ink  Ink
	text string
}

// flow writes pieces as one paragraph, broken between words; later lines begin at column hang.
func (w *writer) flow(first, hang int, pieces ...piece) {
	w.b.WriteString(strings.Repeat(" ", first))
	column, begun := first, false
	for _, u := range units(pieces) {
		room := w.Width - column
		if begun && width(u.text()) > room {
			w.b.WriteString("\n" + strings.Repeat(" ", hang))
			column = hang
			u[0].text = strings.TrimLeft(u[0].text, " ")
		}
		for _, p := range u {
			for width(p.text) > w.Width-column && w.Width-column > 0 && width(p.text) > w.Width-hang { // longer than a line
				head := cutAt(p.text, w.Width-column)
				w.b.WriteString(w.ink(p.ink, head) + "\n" + strings.Repeat(" ", hang))
				column, p.text = hang, strings.TrimPrefix(p.text, head)
			}
			w.b.WriteString(w.ink(p.ink, p.text))
			column += width(p.text)
		}
		begun = true
	}
	w.b.WriteString("\n")
}

// unit is what a line is not broken in: a word, and whatever follows it without a space.
type unit []piece

func (u unit) text() string {
	var b strings.Builder
	for _, p := range u {
		b.WriteString(p.text)
	}
	return b.String()
}

func units(pieces []piece) []unit {
	var out []unit
	for _, p := range pieces {
		for _, word := range words(p.text) {
			if n := len(out); n > 0 && !strings.HasPrefix(word, " ") {
				out[n-1] = append(out[n-1], piece{p.ink, word})
				continue
			}
			out = append(out, unit{{p.ink, word}})
		}
	}
	return out
}

func (w *writer) ink(ink Ink, text string) string {
	if ink == Plain || text == "" {
		return text
	}
	return w.Paint(ink, text)
}

// words splits text before its spaces; a number stays with its unit.
func words(text string) []string {
	var out []string
	from, word := 0, 0 // where what is not broken, and where the last word of it, begins
	for i := 1; i < len(text); i++ {
		if text[i] != ' ' || text[i-1] == ' ' {
			continue
		}
		after, _, _ := strings.Cut(text[i+1:], " ")
		if !Together(strings.TrimLeft(text[word:i], " "), after) {
			out = append(out, text[from:i])
			from = i
		}
		word = i
	}
	return append(out, text[from:])
}

// width is how many columns text takes.
func width(text string) int {
	n := 0
	for _, r := range text {
		switch {
		case unicode.Is(unicode.Mn, r):
		case r >= 0x1100 && (r <= 0x115f || r >= 0x2e80 && r <= 0xa4cf || r >= 0xac00 && r <= 0xd7a3 || r >= 0xf900 && r <= 0xfaff ||
			r >= 0xfe30 && r <= 0xfe6f || r >= 0xff00 && r <= 0xff60 || r >= 0x1f300 && r <= 0x1faff || r >= 0x20000 && r <= 0x3fffd):
			n += 2
		default:
			n++
		}
	}
	return n
}

func pad(text string, n int) string {
	return text + strings.Repeat(" ", max(0, n-width(text)))
}

// cut shortens text to n columns.
func cut(text string, n int) string {
	if width(text) <= n {
		return text
	}
	return cutAt(text, n-1) + "…"
}

// cutAt is the beginning of text that takes at most n columns, and at least one letter.
func cutAt(text string, n int) string {
	used := 0
	for i, r := range text {
		if used += width(string(r)); used > n && i > 0 {
			return text[:i]
		}
	}
	return text
}
