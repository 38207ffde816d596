package screen

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/cli/screen/figure"
)

// Card draws a decision card with what was held to be usual of the service and the policy that it was decided by.
func (s Style) Card(c belay.Card, candidate, baseline belay.Release) string {
	text := s.card(c, candidate, baseline)
	for _, row := range [][2]string{{"usual", usual(c)}, {"policy", c.Policy}} {
		if row[1] != "" {
			text += "\n" + s.hang(s.paint(dim, "  "+pad(row[0], 8)+row[1]), 10)
		}
	}
	return text
}

func (s Style) card(c belay.Card, candidate, baseline belay.Release) string {
	var b strings.Builder
	verdict := "no verdict yet"
	if c.Verdict != belay.VerdictNone {
		verdict = string(c.Verdict)
	}
	about := " at " + offset(c.T)
	if c.DecidedBy != "" {
		about += ", decided by " + c.DecidedBy
	}
	if c.FirstBad != nil {
		about += ", first bad moment at " + offset(*c.FirstBad)
	}
	b.WriteString(s.hang(s.paint(verdictHue(c.Verdict), strings.ToUpper(verdict))+s.paint(dim, about), 2))
	if c.Reason != "" {
		b.WriteString(s.hang("  "+c.Reason, 2))
	}
	for _, rows := range [][]string{s.signals(c, candidate, baseline), s.health(c.Health)} {
		if len(rows) > 0 {
			b.WriteString("\n" + strings.Join(rows, "\n") + "\n")
		}
	}
	for _, m := range c.Blind {
		b.WriteString(s.hang("  "+s.paint(warn, "cannot see: ")+m, 4))
	}
	if c.Verdict != belay.VerdictHealthy && c.Verdict != belay.VerdictRegressed {
		for _, m := range needs(c) {
			b.WriteString(s.hang("  "+s.paint(dim, "still needed: ")+m, 4))
		}
	}
	return b.String()
}

func offset(t float64) string {
	sign := "+"
	if t < 0 {
		sign = ""
	}
	return sign + figure.Since(time.Duration(t*float64(time.Second)))
}

// carries tells whether a signal has evidence of its own, and is not only shown.
func carries(e belay.SignalEvidence) bool {
	return e.Limit > 1 || e.Threshold != nil || e.Verdict == belay.VerdictRegressed
}

// Widths of the columns of a signal.
const (
	valueWidth = 10
	barWidth   = 16
	oddsWidth  = 12
	shortBar   = 6
	goodWidth  = 9
)

// signals draws the table of evidence, those with evidence first.
func (s Style) signals(c belay.Card, candidate, baseline belay.Release) []string {
	if len(c.Signals) == 0 {
		return nil
	}
	name := 14
	for _, e := range c.Signals {
		name = min(max(name, len(e.Signal)), 22)
	}
	old := "before"
	if !baseline.IsZero() {
		old = short(baseline)
	}
	fixed := 2 + name + 2*valueWidth + 3
	lay := s.lay(fixed, undecided(c))
	title := "  " + pad("signal", name) + left(short(candidate), valueWidth) + left(old, valueWidth) + "   "
	switch {
	case lay.goodAt > 0:
		title = pad(title+"against it", lay.goodAt) + "for healthy"
	default:
		title += "evidence (acts when full)"
	}
	if lay.requestsAt > 0 {
		title = pad(title, lay.requestsAt) + "requests"
	}
	rows := []string{s.cut(s.paint(dim, title))}
	list := slices.Clone(c.Signals)
	slices.SortStableFunc(list, func(x, y belay.SignalEvidence) int { return cmp.Compare(rank(x), rank(y)) })
	for _, e := range list {
		label := pad(ellipsis(e.Signal, name), name)
		if !carries(e) {
			label = s.paint(dim, label)
		}
		line := "  " + label + left(figure.Value(e.Candidate, e.Unit), valueWidth) + s.paint(dim, left(figure.Value(e.Baseline, e.Unit), valueWidth)) + "   "
		line += s.evidence(e, lay)
		if good := s.goodness(e, lay.goodBar); lay.goodAt > 0 && good != "" {
			line = pad(line, lay.goodAt) + good
		}
		if n := requests(e); lay.requestsAt > 0 && n != "" {
			line = pad(line, lay.requestsAt) + s.paint(dim, n)
		}
		rows = append(rows, s.cut(strings.TrimRight(line, " ")))
	}
	return rows
}

// undecided tells whether a card is still on its way: then how far health is from being proven is shown too.
func undecided(c belay.Card) bool {
	return c.Verdict != belay.VerdictHealthy && c.Verdict != belay.VerdictRegressed
}

// layoutOf are the columns after the values, as far as there is room. Columns at 0 are left out.
type layoutOf struct {
	bar, goodBar       int // widths of the two bars
	goodAt, requestsAt int
}

func (s Style) lay(fixed int, both bool) layoutOf {
	w := s.width()
	l := layoutOf{bar: min(barWidth, max(0, w-fixed-oddsWidth-1))}
	next := fixed + barWidth + 1 + oddsWidth + 2
	switch room := w - fixed - oddsWidth - goodWidth - 4; {
	case !both || room < 2*shortBar:
	default:
		l.bar = min(barWidth, room/2)
		l.goodBar = min(shortBar+4, room-l.bar)
		l.goodAt = fixed + l.bar + 1 + oddsWidth + 1
		next = l.goodAt + l.goodBar + 1 + goodWidth + 1
	}
	if w >= next+14 {
		l.requestsAt = next
	}
	return l
}

// goodness draws how far the evidence for a release has come, and when health will be proven at the present traffic.
func (s Style) goodness(e belay.SignalEvidence, n int) string {
	if e.GoodLimit <= 1 || e.N == 0 {
		return ""
	}
	if e.GoodE >= e.GoodLimit {
		return s.paint(good, figure.Bar(1, n)) + " " + s.paint(good, "proven")
	}
	text := ""
	if e.GoodIn != nil {
		text = "in " + figure.About(*e.GoodIn)
	}
	return s.paint(dim, figure.Bar(math.Log(math.Max(1, e.GoodE))/math.Log(e.GoodLimit), n)) + " " + s.paint(dim, text)
}

// needs is what a card still needs for healthy, with the time that it will take at the present traffic.
func needs(c belay.Card) []string {
	var out []string
	for _, m := range c.Missing {
		for _, e := range c.Signals {
			if e.GoodIn != nil && strings.HasPrefix(m, e.Signal+": ") {
				m += ", about " + figure.About(*e.GoodIn) + " at this traffic"
			}
		}
		out = append(out, m)
	}
	return out
}

func rank(e belay.SignalEvidence) int {
	if carries(e) {
		return 0
	}
	return 1
}

// requests says how many events the evidence rests on; gauges have readings, not requests.
func requests(e belay.SignalEvidence) string {
	switch {
	case e.N == 0 && e.BaseN == 0 || e.Limit <= 1 && e.BaseN == 0 && e.X == 0:
		return ""
	case e.BaseN == 0:
		return figure.Count(e.N)
	}
	return figure.Count(e.N) + " : " + figure.Count(e.BaseN)
}

// evidence draws how far the evidence has come towards its limit, on a logarithmic scale, and says the odds.
func (s Style) evidence(e belay.SignalEvidence, lay layoutOf) string {
	n := lay.bar
	draw := func(h hue, share float64, text string) string {
		if n < 4 {
			return s.paint(h, text)
		}
		return s.paint(h, figure.Bar(share, n)) + " " + s.paint(h, text)
	}
	switch {
	case e.Candidate == nil && e.N == 0 && e.EValue <= 1 && e.Verdict != belay.VerdictRegressed:
		return s.paint(dim, "not seen")
	case e.Verdict == belay.VerdictRegressed && e.EValue < e.Limit, e.Verdict == belay.VerdictRegressed && e.Limit <= 1:
		return draw(bad, 1, e.Method) // a limit or a hard stop was quicker than the comparison
	case e.Limit > 1:
		share := 0.0
		if e.EValue > 1 {
			share = math.Log(e.EValue) / math.Log(e.Limit)
		}
		switch {
		case share >= 1 || e.Verdict == belay.VerdictRegressed:
			return draw(bad, 1, figure.Odds(e.EValue))
		case share > 0.5:
			return draw(warn, share, figure.Odds(e.EValue))
		case e.Verdict == belay.VerdictHealthy && lay.goodAt == 0:
			return draw(good, 0, "healthy")
		}
		return draw(dim, share, figure.Odds(e.EValue))
	case e.Threshold != nil && e.Candidate != nil && *e.Threshold > 0:
		return draw(dim, *e.Candidate / *e.Threshold, "of "+figure.Number(*e.Threshold, e.Unit))
	}
	return s.paint(dim, "shown only")
}

func short(r belay.Release) string { return ellipsis(r.String(), 9) }

func ellipsis(text string, n int) string {
	if r := []rune(text); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return text
}

// manyChecks is from how many healthy instances on a check is drawn as one line.
const manyChecks = 3

// health draws what is wrong one by one, and what is well in few lines.
func (s Style) health(list []belay.HealthStatus) []string {
	type kind struct {
		check string
		arm   belay.Arm
	}
	well := map[kind]int{}
	for _, h := range list {
		if h.State == belay.HealthHealthy {
			well[kind{h.Check, h.Arm}]++
		}
	}
	var bads, goods []string
	for _, h := range list {
		k := kind{h.Check, h.Arm}
		if h.State != belay.HealthHealthy {
			bads = append(bads, s.check(h))
			continue
		}
		switch n := well[k]; {
		case n >= manyChecks:
			goods = append(goods, "  "+s.paint(good, "✓")+" "+pad(h.Check, 14)+" "+fmt.Sprintf("%d instances ", n)+s.paint(good, "healthy")+s.side(h))
			well[k] = 0
		case n > 0:
			goods = append(goods, s.check(h))
		}
	}
	return append(bads, goods...)
}

func (s Style) side(h belay.HealthStatus) string {
	if h.Arm == belay.ArmBaseline {
		return s.paint(dim, " (old)")
	}
	return ""
}

func (s Style) check(h belay.HealthStatus) string {
	mark, hu := "✓", good
	switch h.State {
	case belay.HealthHealthy:
	case belay.HealthUnhealthy:
		mark, hu = "✗", bad
	case belay.HealthUnknown:
		mark, hu = "○", dim
	}
	line := "  " + s.paint(hu, mark) + " " + pad(h.Check, 14) + " " + pad(h.Target, 24) + " " + s.paint(hu, string(h.State)) + s.side(h)
	if h.Detail != "" && h.State != belay.HealthHealthy {
		line += "  " + h.Detail
	}
	if len(h.Broken) > 0 {
		line += "  " + s.paint(bad, "broken: "+strings.Join(h.Broken, ", "))
	}
	return s.cut(line)
}
