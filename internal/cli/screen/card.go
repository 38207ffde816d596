package screen

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/belaydev/belay"
)

// Card draws a decision card.
func (s Style) Card(c belay.Card, candidate, baseline belay.Release) string {
	var b strings.Builder
	head := "no verdict yet"
	if c.Verdict != belay.VerdictNone {
		head = string(c.Verdict)
	}
	fmt.Fprintf(&b, "%s %s", s.paint(verdictHue(c.Verdict), strings.ToUpper(head)), s.paint(dim, "at "+offset(c.T)))
	if c.DecidedBy != "" {
		fmt.Fprintf(&b, s.paint(dim, ", decided by %s"), c.DecidedBy)
	}
	if c.FirstBad != nil {
		fmt.Fprintf(&b, s.paint(dim, ", first bad moment at %s"), offset(*c.FirstBad))
	}
	b.WriteByte('\n')
	for _, l := range wrap(c.Reason, s.width()-2) {
		if l != "" {
			b.WriteString("  " + l + "\n")
		}
	}
	if len(c.Signals) > 0 {
		b.WriteString("\n" + s.signals(c, candidate, baseline))
	}
	if h := s.health(c.Health); h != "" {
		b.WriteString("\n" + h)
	}
	for _, m := range c.Blind {
		b.WriteString("  " + s.paint(warn, "cannot see: ") + m + "\n")
	}
	if c.Verdict != belay.VerdictHealthy && c.Verdict != belay.VerdictRegressed {
		for _, m := range c.Missing {
			b.WriteString("  " + s.paint(dim, "still needed: ") + m + "\n")
		}
	}
	if c.Policy != "" {
		for i, l := range wrap(c.Policy, s.width()-10) {
			lead := "  policy  "
			if i > 0 {
				lead = "          "
			}
			b.WriteString(s.paint(dim, lead+l) + "\n")
		}
	}
	return s.cutAll(b.String())
}

func offset(t float64) string {
	sign := "+"
	if t < 0 {
		sign = ""
	}
	return sign + Since(time.Duration(t*float64(time.Second)))
}

// signals draws the table of evidence.
func (s Style) signals(c belay.Card, candidate, baseline belay.Release) string {
	var b strings.Builder
	wide := s.width() >= 76
	name, num, barw := 15, 10, 16
	for _, e := range c.Signals {
		name = min(max(name, len(e.Signal)+1), 24)
	}
	head := "  " + pad("signal", name) + left(short(candidate), num) + left(short(baseline), num) + "   "
	if wide {
		head += pad("evidence against", barw+14) + "requests"
	}
	b.WriteString(s.paint(dim, head) + "\n")
	for _, e := range c.Signals {
		line := "  " + pad(e.Signal, name) + left(value(e.Candidate, e.Unit), num) + left(value(e.Baseline, e.Unit), num) + "   "
		if wide {
			line += pad(s.evidence(e, barw), barw+14) + s.paint(dim, requests(e))
		} else {
			line += s.paint(verdictHue(e.Verdict), string(e.Verdict))
		}
		b.WriteString(line + "\n")
	}
	return b.String()
}

func requests(e belay.SignalEvidence) string {
	if e.N == 0 && e.BaseN == 0 {
		return ""
	}
	if e.BaseN == 0 {
		return count(e.N)
	}
	return count(e.N) + " : " + count(e.BaseN)
}

// evidence draws how far the evidence has come towards its limit, on a logarithmic scale, and says the odds.
func (s Style) evidence(e belay.SignalEvidence, n int) string {
	switch {
	case e.Verdict == belay.VerdictRegressed && e.Limit == 0:
		return s.paint(bad, bar(1, n)) + " " + s.paint(bad, e.Method)
	case e.Limit > 1:
		share := 0.0
		if e.EValue > 1 {
			share = math.Log(e.EValue) / math.Log(e.Limit)
		}
		h := dim
		switch {
		case share >= 1:
			h = bad
		case share > 0.5:
			h = warn
		case e.Verdict == belay.VerdictHealthy:
			return s.paint(good, bar(0, n)) + " " + s.paint(good, "healthy")
		}
		return s.paint(h, bar(share, n)) + " " + s.paint(h, odds(e.EValue))
	case e.Threshold != nil && e.Candidate != nil && *e.Threshold > 0:
		return s.paint(dim, bar(*e.Candidate / *e.Threshold, n)) + " " + s.paint(dim, "of "+number(*e.Threshold, e.Unit))
	case e.Verdict == belay.VerdictInsufficient:
		return s.paint(dim, bar(0, n)+" too little")
	}
	return s.paint(dim, bar(0, n))
}

func odds(e float64) string {
	switch {
	case e < 1.5:
		return "none"
	case e >= 1e6:
		return "> 1 M : 1"
	}
	return count(e) + " : 1"
}

func short(r belay.Release) string {
	v := r.String()
	if r.IsZero() {
		return "before"
	}
	if len([]rune(v)) > 9 {
		return string([]rune(v)[:8]) + "…"
	}
	return v
}

func (s Style) health(list []belay.HealthStatus) string {
	var b strings.Builder
	for _, h := range list {
		mark, hu := "●", good
		switch h.State {
		case belay.HealthHealthy:
		case belay.HealthUnhealthy:
			mark, hu = "✗", bad
		case belay.HealthUnknown:
			mark, hu = "○", dim
		}
		line := "  " + s.paint(hu, mark) + " " + pad(h.Check, 14) + " " + pad(h.Target, 24) + " " + s.paint(hu, string(h.State))
		if h.Arm == belay.ArmBaseline {
			line += s.paint(dim, " (old)")
		}
		if h.Detail != "" && h.State != belay.HealthHealthy {
			line += "  " + h.Detail
		}
		if len(h.Broken) > 0 {
			line += "  broken: " + strings.Join(h.Broken, ", ")
		}
		b.WriteString(line + "\n")
	}
	return b.String()
}

// Certificate draws the result of a rollback's validation with every reading.
func (s Style) Certificate(c belay.Certificate) string {
	var b strings.Builder
	hu := good
	switch c.Result {
	case belay.ResultFailed:
		hu = bad
	case belay.ResultUnverified:
		hu = warn
	case belay.ResultVerified:
	}
	fmt.Fprintf(&b, "%s %s\n", s.paint(hu, "CERTIFICATE "+strings.ToUpper(string(c.Result))),
		s.paint(dim, fmt.Sprintf("%s back on %s, proven in %s", c.Ref, c.Release, Since(c.Took.D()))))
	for _, k := range c.Checks {
		mark, h := "✓", good
		switch k.Result {
		case belay.CheckFailed:
			mark, h = "✗", bad
		case belay.CheckUnknown:
			mark, h = "?", warn
		case belay.CheckAbsent:
			mark, h = "–", dim
		case belay.CheckPassed:
		}
		line := "  " + s.paint(h, mark) + " " + pad(k.Name, 30) + " " + k.Got
		if k.Result != belay.CheckPassed && k.Want != "" {
			line += s.paint(dim, "  wanted "+k.Want)
		}
		b.WriteString(line + "\n")
	}
	return s.cutAll(b.String())
}

func (s Style) cutAll(text string) string {
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		lines[i] = s.cut(l)
	}
	return strings.Join(lines, "\n")
}
