package picture

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/judge/phrase"
)

// The grid of the picture.
const (
	svgWidth  = 860.0
	margin    = 24.0
	valueFrom = 268.0
	valueTo   = 498.0
	proofFrom = 600.0
	proofTo   = 760.0
	rowHeight = 92.0
	chartTop  = 14.0 // below the top of a row
	chartHigh = 54.0
	mostRows  = 8   // with charts
	mostText  = 400 // letters of one sentence
	mostFacts = 6   // sentences of one kind
)

const style = `<style>
text { font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #1f2328 }
.strong { font-weight: 600 } .name { font-weight: 600; font-size: 14px } .reason { font-size: 14px } .dim { fill: #59636e } .small { font-size: 11.5px }
.end { text-anchor: end } .mid { text-anchor: middle } .on { fill: #ffffff; font-weight: 600; font-size: 14px }
.bg { fill: #ffffff; stroke: #d1d9e0 } .rule { stroke: #d1d9e0 } .base { stroke: #d1d9e0 }
.healthy { fill: #1a7f37 } .regressed { fill: #cf222e } .blind { fill: #9a6700 } .insufficient { fill: #59636e }
.mark { fill: none; stroke: #ffffff; stroke-width: 2; stroke-linecap: round; stroke-linejoin: round }
.line { fill: none; stroke-width: 2; stroke-linejoin: round } .line.old { stroke: #8c959f; stroke-width: 1.5 } .line.new { stroke: #0969da } .line.worse { stroke: #cf222e } .line.proof { stroke: #9a6700 }
.area { fill-opacity: .12 } .area.old { fill-opacity: 0 } .area.new { fill: #0969da } .area.worse { fill: #cf222e } .area.proof { fill: #9a6700 }
.halo { paint-order: stroke; stroke: #ffffff; stroke-width: 5px; stroke-linejoin: round }
.dot.new { fill: #0969da } .dot.worse { fill: #cf222e } .dot.old { fill: #8c959f } .dot.proof { fill: #9a6700 }
.limit { stroke: #59636e; stroke-dasharray: 4 3 } .first { stroke: #cf222e; stroke-dasharray: 2 3 } .tri { fill: #cf222e }
text.newt { fill: #0969da; font-weight: 600 } text.worset { fill: #cf222e; font-weight: 600 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .dim { fill: #9198a1 } .on { fill: #ffffff }
.bg { fill: #0d1117; stroke: #3d444d } .rule { stroke: #3d444d } .base { stroke: #3d444d }
.healthy { fill: #3fb950 } .regressed { fill: #f85149 } .blind { fill: #d29922 } .insufficient { fill: #9198a1 }
.badge.healthy { fill: #238636 } .badge.regressed { fill: #da3633 } .badge.blind { fill: #9e6a03 } .badge.insufficient { fill: #6e7681 }
.line.old { stroke: #6e7681 } .line.new { stroke: #4493f8 } .line.worse { stroke: #f85149 } .line.proof { stroke: #d29922 } .halo { stroke: #0d1117 }
.area.new { fill: #4493f8 } .area.worse { fill: #f85149 } .area.proof { fill: #d29922 }
.dot.new { fill: #4493f8 } .dot.worse { fill: #f85149 } .dot.old { fill: #6e7681 } .dot.proof { fill: #d29922 }
.limit { stroke: #9198a1 } .first { stroke: #f85149 } .tri { fill: #f85149 }
text.newt { fill: #4493f8 } text.worset { fill: #f85149 }
}
</style>
`

// canvas collects the elements of a picture, from the top down.
type canvas struct {
	Options
	b   strings.Builder
	y   float64
	in  span
	bad *float64 // first bad moment, to be marked in the charts
}

// SVG draws a card as a picture of 15 KB or so, 100 KB at most, that needs nothing from elsewhere and follows the reader's choice of
// light or dark.
func SVG(c belay.Card, o Options) []byte {
	v := &canvas{Options: o, y: margin}
	in, drawn := spanOf(&c)
	v.in = in
	v.head(&c)
	var rows []*belay.SignalEvidence
	var rest []string
	for _, e := range ordered(&c) {
		if len(rows) < mostRows && shown(e) {
			rows = append(rows, e)
			continue
		}
		rest = append(rest, e.Signal)
	}
	if len(rows) > 0 {
		v.columns()
		if drawn && c.FirstBad != nil {
			v.bad = c.FirstBad
		}
		for _, e := range rows {
			v.row(e)
		}
		v.first(valueFrom, valueTo, v.y-8)
		if drawn {
			v.axis(c.FirstBad)
		}
	}
	list := facts(&c)
	if len(rest) > 0 {
		list = append(list, fact{"without a chart", Dim, []string{phrase.And(rest[:min(len(rest), 20)])}})
	}
	v.facts(list)
	body := v.b.String()
	height := v.y + margin - 8
	label := "Decision card: " + verdictWord(c.Verdict) + ". " + shorten(c.Reason)
	var out strings.Builder
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" width="%.0f" height="%.0f" role="img" aria-label="%s">`+"\n",
		svgWidth, height, svgWidth, height, escape(label))
	fmt.Fprintf(&out, "<title>%s</title>\n%s", escape(label), style)
	fmt.Fprintf(&out, `<rect class="bg" x="0.5" y="0.5" width="%.0f" height="%.0f" rx="10"/>`+"\n", svgWidth-1, height-1)
	out.WriteString(body + "</svg>\n")
	return []byte(out.String())
}

// head draws the badge, the title and the reason.
func (v *canvas) head(c *belay.Card) {
	word := verdictWord(c.Verdict)
	class := string(c.Verdict)
	if c.Verdict == belay.VerdictNone {
		class = string(belay.VerdictInsufficient)
	}
	wide := textWidth(word, 14)*1.06 + 48
	fmt.Fprintf(&v.b, `<rect class="badge %s" x="%.0f" y="%.0f" width="%.0f" height="30" rx="15"/>`+"\n", class, margin, v.y, wide)
	v.mark(c.Verdict, margin+20, v.y+15)
	v.text(margin+34, v.y+20, "on", word)
	when := cut(headline(c), 80)
	v.text(margin+wide+12, v.y+20, "dim", when)
	title := cut(name(v.Candidate, "new release"), 32) + " against " + cut(name(v.Baseline, "old release"), 32)
	if textWidth(title, 13)+textWidth(when, 13)+wide+60 < svgWidth-2*margin {
		v.text(svgWidth-margin, v.y+20, "strong end", title)
	}
	v.y += 54
	for _, l := range wrap(shorten(c.Reason), svgWidth-2*margin, 14) {
		v.text(margin, v.y, "reason", l)
		v.y += 20
	}
	v.y += 6
}

// mark draws the sign in the badge.
func (v *canvas) mark(verdict belay.Verdict, x, y float64) {
	path := ""
	switch verdict {
	case belay.VerdictHealthy:
		path = fmt.Sprintf("M%.0f %.0fl4 4l7 -8", x-5, y)
	case belay.VerdictRegressed:
		path = fmt.Sprintf("M%.0f %.0fl9 9m0 -9l-9 9", x-4.5, y-4.5)
	case belay.VerdictBlind:
		path = fmt.Sprintf("M%.0f %.0fv7m0 4v.5", x, y-6)
	case belay.VerdictInsufficient, belay.VerdictNone:
		path = fmt.Sprintf("M%.0f %.0fh9m-9 0h0", x-4.5, y)
	}
	fmt.Fprintf(&v.b, `<path class="mark" d="%s"/>`+"\n", path)
}

// columns draws what the columns are.
func (v *canvas) columns() {
	v.rule()
	v.y += 22
	v.text(margin, v.y-4, "small dim", "signal")
	x := valueFrom
	for _, key := range []struct{ class, label string }{{"new", shortName(v.Candidate, "new release")}, {"old", shortName(v.Baseline, "old release")}} {
		fmt.Fprintf(&v.b, `<circle class="dot %s" cx="%.1f" cy="%.1f" r="4"/>`+"\n", key.class, x+4, v.y-8)
		v.text(x+13, v.y-4, "small dim", key.label)
		x += textWidth(key.label, 11.5) + 34
	}
	v.text(proofFrom, v.y-4, "small dim", "evidence that it is worse")
}

func (v *canvas) rule() {
	fmt.Fprintf(&v.b, `<path class="rule" d="M%.0f %.1fH%.0f"/>`+"\n", margin, v.y, svgWidth-margin)
}

// row draws one signal.
func (v *canvas) row(e *belay.SignalEvidence) {
	bad := e.Verdict == belay.VerdictRegressed
	y := v.y + 22
	v.text(margin, y, "name", cut(e.Signal, 26))
	class := string(e.Verdict)
	if e.Verdict == belay.VerdictNone {
		class = "dim"
	}
	standingText := standing(e)
	if e.GoodIn != nil && e.Verdict == belay.VerdictInsufficient && *e.GoodIn < 1e5 {
		standingText = ": about " + phrase.Seconds(*e.GoodIn) + " more"
	}
	fmt.Fprintf(&v.b, `<text x="%.1f" y="%.1f" class="small"><tspan class="%s strong">%s</tspan><tspan class="dim">%s</tspan></text>`+"\n",
		margin, y+18, class, escape(verdictWord(e.Verdict)), escape(cut(standingText, 40)))
	lines := []string{}
	if text := effect(e); text != "" {
		lines = append(lines, text)
	}
	switch {
	case e.Stratum != "":
		lines = append(lines, "worst on "+e.Stratum)
	case against(e) != "":
		lines = append(lines, against(e))
	}
	for i, l := range lines {
		v.text(margin, y+34+16*float64(i), "small dim", cut(l, 40))
	}
	v.values(e, bad)
	v.proof(e)
	v.y += rowHeight
}

// values draws the lines of both sides.
func (v *canvas) values(e *belay.SignalEvidence, bad bool) {
	mine, old := sides(e)
	low, high := bounds(mine, old)
	drawLimit := e.Threshold != nil && *e.Threshold > low && *e.Threshold < 3*high
	if drawLimit {
		high = math.Max(high, *e.Threshold)
	}
	f := frame{valueFrom, valueTo, v.y + chartTop, v.y + chartTop + chartHigh, low, high, v.in}
	v.base(f)
	v.first(f.left, f.right, f.top)
	if drawLimit {
		fmt.Fprintf(&v.b, `<path class="limit" d="M%.1f %.1fH%.1f"/>`+"\n", f.left, f.y(*e.Threshold), f.right)
	}
	class := "new"
	if bad {
		class = "worse"
	}
	v.path(f, old, "old", false)
	v.path(f, mine, class, low == 0)
	a, b := f.lastY(mine), f.lastY(old)
	textA, textB := plainSide(e, e.Candidate, e.N, e.X), plainSide(e, e.Baseline, e.BaseN, e.BaseX)
	a, b = apart(a, b, f.top+6, f.bottom)
	if textA != "" {
		v.text(f.right+8, a+4, class+"t", textA)
	}
	if textB != "" {
		v.text(f.right+8, b+4, "dim", textB)
	}
	if sizes := sizes(e); sizes != "" {
		v.text(f.left, f.bottom+15, "small dim halo", sizes)
	}
}

// proof draws the evidence on its way to the bound.
func (v *canvas) proof(e *belay.SignalEvidence) {
	top, bottom := v.y+chartTop, v.y+chartTop+chartHigh
	if e.Limit <= 1 {
		text := "shown only"
		if e.Threshold != nil {
			text = "limit " + value(e, *e.Threshold)
		}
		v.text(proofFrom, (top+bottom)/2+4, "small dim", text)
		return
	}
	f := frame{proofFrom, proofTo, top + 6, bottom, 0, 1, v.in}
	v.base(f)
	v.first(f.left, f.right, f.top-6)
	fmt.Fprintf(&v.b, `<path class="limit" d="M%.1f %.1fH%.1f"/>`+"\n", f.left, f.top, f.right)
	v.text(f.right+8, f.top+4, "small dim", "acts at")
	v.text(f.right+8, f.top+18, "small dim", odds(e.Limit))
	class, ink, text := "proof", "strong", odds(e.EValue)
	switch {
	case e.EValue >= e.Limit:
		class, ink = "worse", "worset"
	case e.EValue < 1.5:
		class, ink, text = "old", "dim", "no evidence"
	}
	v.path(f, progress(e), class, true)
	v.text(f.left, f.bottom+15, "small halo "+ink, text)
}

// first marks the first bad moment in a chart with that top; below all of them, with a sign.
func (v *canvas) first(left, right, top float64) {
	if v.bad == nil {
		return
	}
	at := left + v.in.at(*v.bad)*(right-left)
	if top < v.y {
		fmt.Fprintf(&v.b, `<path class="tri" d="M%.1f %.1fl-5 8h10z"/>`+"\n", at, top)
		return
	}
	fmt.Fprintf(&v.b, `<path class="first" d="M%.1f %.1fV%.1f"/>`+"\n", at, top, top+chartHigh)
}

// axis draws the times below the charts.
func (v *canvas) axis(first *float64) {
	from, to := moment(v.in.from), moment(v.in.to)
	for _, x := range [][2]float64{{valueFrom, valueTo}, {proofFrom, proofTo}} {
		v.text(x[0], v.y+12, "small dim halo", from)
		v.text(x[1], v.y+12, "small dim end halo", to)
	}
	if first != nil {
		at := valueFrom + v.in.at(*first)*(valueTo-valueFrom)
		label := "first bad moment " + phrase.Seconds(*first)
		half := textWidth(label, 11.5) / 2
		at = math.Min(math.Max(at, valueFrom+half), valueTo-half)
		v.y += 16
		v.text(at, v.y+12, "small mid regressed", label)
	}
	v.y += 26
}

func (v *canvas) facts(list []fact) {
	if len(list) == 0 {
		return
	}
	v.rule()
	v.y += 22
	for _, f := range list {
		v.text(margin, v.y, "small dim", f.label)
		lines := f.lines
		if len(lines) > mostFacts {
			lines = append(slices.Clone(lines[:mostFacts]), fmt.Sprintf("and %d more", len(lines)-mostFacts))
		}
		for _, line := range lines {
			for _, l := range wrap(shorten(line), svgWidth-2*margin-96, 11.5) {
				class := "small"
				if f.ink == Dim {
					class = "small dim"
				}
				v.text(margin+96, v.y, class, l)
				v.y += 16
			}
		}
		v.y += 4
	}
}

// frame maps times and values to places.
type frame struct {
	left, right, top, bottom float64
	low, high                float64
	in                       span
}

func (f frame) x(t float64) float64 { return f.left + f.in.at(t)*(f.right-f.left) }

func (f frame) y(v float64) float64 {
	share := math.Min(1, math.Max(0, (v-f.low)/(f.high-f.low)))
	return f.bottom - 1 - share*(f.bottom-f.top-2)
}

// lastY is where a line ends; NaN when it has no point.
func (f frame) lastY(s series) float64 {
	for i := len(s.v) - 1; i >= 0; i-- {
		if !math.IsNaN(s.v[i]) {
			return f.y(s.v[i])
		}
	}
	return math.NaN()
}

// apart moves two labels so that both can be read.
func apart(a, b, top, bottom float64) (float64, float64) {
	const least = 15
	if math.IsNaN(a) {
		a = (top + bottom) / 2
	}
	if math.IsNaN(b) {
		b = a + least
	}
	if d := math.Abs(a - b); d < least {
		move := (least - d) / 2
		if a > b {
			move = -move
		}
		a, b = a-move, b+move
	}
	for _, y := range []*float64{&a, &b} {
		*y = math.Min(math.Max(*y, top), bottom)
	}
	if d := math.Abs(a - b); d < least {
		if a <= b {
			if b >= bottom {
				a = b - least
			} else {
				b = a + least
			}
		} else if a >= bottom {
			b = a - least
		} else {
			a = b + least
		}
	}
	return a, b
}

func (v *canvas) base(f frame) {
	fmt.Fprintf(&v.b, `<path class="base" d="M%.1f %.1fH%.1f"/>`+"\n", f.left, f.bottom, f.right)
}

// path draws a line, broken where there are no values; filled also the area below it.
func (v *canvas) path(f frame, s series, class string, filled bool) {
	var line, area strings.Builder
	var begun bool
	var first, last float64
	points := 0
	end := func() {
		if begun && points > 1 {
			fmt.Fprintf(&area, "L%.1f %.1fL%.1f %.1fZ", last, f.bottom, first, f.bottom)
		}
		begun, points = false, 0
	}
	for i, t := range s.t {
		if math.IsNaN(s.v[i]) {
			end()
			continue
		}
		x, y := f.x(t), f.y(s.v[i])
		verb := "L"
		if !begun {
			verb, first, begun = "M", x, true
		}
		points++
		last = x
		fmt.Fprintf(&line, "%s%.1f %.1f", verb, x, y)
		fmt.Fprintf(&area, "%s%.1f %.1f", verb, x, y)
	}
	end()
	if line.Len() == 0 {
		return
	}
	if filled && area.Len() > line.Len() {
		fmt.Fprintf(&v.b, `<path class="area %s" d="%s"/>`+"\n", class, area.String())
	}
	fmt.Fprintf(&v.b, `<path class="line %s" d="%s"/>`+"\n", class, line.String())
	if y := f.lastY(s); !math.IsNaN(y) {
		fmt.Fprintf(&v.b, `<circle class="dot %s" cx="%.1f" cy="%.1f" r="3"/>`+"\n", class, last, y)
	}
}

func (v *canvas) text(x, y float64, class, text string) {
	fmt.Fprintf(&v.b, `<text x="%.1f" y="%.1f" class="%s">%s</text>`+"\n", x, y, class, escape(text))
}

// plainSide is a side's value without its sample size.
func plainSide(e *belay.SignalEvidence, own *float64, n, x float64) string {
	switch {
	case e.Kind == belay.KindCount && n > 0:
		return phrase.Digits(x / n)
	case own == nil:
		return ""
	}
	return cut(value(e, *own), 14)
}

// sizes writes the sample sizes of both sides.
func sizes(e *belay.SignalEvidence) string {
	one := func(v *float64, n, x float64) string {
		switch {
		case n <= 0:
			return ""
		case e.Kind == belay.KindEvents && v != nil:
			return phrase.Count(math.Round(*v*n)) + " of " + phrase.Count(n)
		case e.Kind == belay.KindCount:
			return phrase.Count(x) + " in " + phrase.Count(n)
		case e.Kind == belay.KindHistogram:
			return phrase.Count(n) + " events"
		}
		return ""
	}
	mine, old := one(e.Candidate, e.N, e.X), one(e.Baseline, e.BaseN, e.BaseX)
	if mine == "" || old == "" {
		return mine + old
	}
	return mine + "  :  " + old
}
