package picture_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/judge/picture"
)

func at(v float64) *float64 { return &v }

// trail goes up for the candidate from the middle on.
func trail(n int) []belay.TrailPoint {
	var out []belay.TrailPoint
	for i := range n {
		p := belay.TrailPoint{T: float64(3 * (i + 1)), EValue: 0.5, Candidate: at(0.005), Baseline: at(0.005)}
		if i > n/2 {
			p.Candidate, p.EValue = at(0.04), math.Pow(4, float64(i-n/2))
		}
		out = append(out, p)
	}
	return out
}

// regressed is a card with a signal of each kind.
func regressed() belay.Card {
	return belay.Card{
		Verdict: belay.VerdictRegressed, Reason: "error_rate of 1.2.0 is 4 % (40 of 1,000) against 0.5 % (45 of 9,000)", Culprits: []string{"error_rate"},
		DecidedBy: "comparison", T: 30, DecidedAt: at(30), FirstBad: at(18), Policy: "false rollbacks at most 1 %", RuledOut: []string{"the old release did not change"},
		Signals: []belay.SignalEvidence{
			{Signal: "cpu_usage", Kind: belay.KindGauge, Verdict: belay.VerdictHealthy, Method: "threshold", Unit: "%", Candidate: at(0.4), Threshold: at(0.8)},
			{Signal: "response_time", Kind: belay.KindHistogram, Verdict: belay.VerdictInsufficient, Method: "comparison", Unit: "s", N: 1000, BaseN: 9000,
				Candidate: at(0.23), Baseline: at(0.22), EValue: 20, Limit: 275, Effect: at(1.04), Interval: &belay.Interval{Low: 0.9, High: math.Inf(1)}, GoodIn: at(90), Trail: trail(10)},
			{Signal: "error_rate", Kind: belay.KindEvents, Verdict: belay.VerdictRegressed, Method: "comparison", Unit: "%", N: 1000, X: 40, BaseN: 9000, BaseX: 45,
				Candidate: at(0.04), Baseline: at(0.005), EValue: 2e7, Limit: 183, Effect: at(8.3), Interval: &belay.Interval{Low: 4.4, High: 15}, FirstBad: at(18), Trail: trail(10),
				Habits: []belay.Habit{{Name: belay.HabitMargin, Value: 1.5, Source: belay.HabitAssumed}}},
			{Signal: "restarts", Kind: belay.KindCount, Verdict: belay.VerdictHealthy, Method: "comparison", Against: belay.AgainstPast, N: 300, X: 1, Limit: 1000, EValue: 1},
			{Signal: "orders", Method: "comparison", Limit: 1000},
		},
		Health: []belay.HealthStatus{{Check: "web", Target: "a:1", State: belay.HealthUnhealthy, Detail: "HTTP 503", Broken: []string{"database"}}, {State: belay.HealthHealthy}},
	}
}

func TestText(t *testing.T) {
	got := picture.Text(regressed(), picture.Options{Candidate: "1.2.0", Baseline: "1.1.0", Width: 90})
	const want = `REGRESSED at 30 s by comparison, first bad moment at 18 s
  error_rate of 1.2.0 is 4 % (40 of 1,000) against 0.5 % (45 of 9,000)
`
	if !strings.HasPrefix(got, want) {
		t.Errorf("it begins:\n%s", got)
	}
	for _, part := range []string{
		"\n  error_rate  regressed by comparison, ×8.3 (4.4 to 15), first bad at 18 s\n    1.2.0     ▂", "4 % (40 of 1,000)", "    1.1.0 ", "over 1,000,000 : 1, acts at 183 : 1",
		"\n  response_time  insufficient: healthy in about 90 s at this pace, ×1.04, at least 0.9\n", "20 : 1, acts at 275 : 1", "limit 80 %", "compared with the time before",
		"▲", "no sample of  orders", "health        web of a:1: unhealthy, HTTP 503, database broken", "1 healthy", "ruled out     the old release did not change",
		"usual         error_rate: instances differ by up to ×1.5 (assumed)", "policy        false rollbacks at most 1 %",
	} {
		if !strings.Contains(got, part) {
			t.Errorf("there is no %q in:\n%s", part, got)
		}
	}
	if first, second := strings.Index(got, "\n  error_rate"), strings.Index(got, "\n  response_time"); first > second {
		t.Errorf("the culprit does not stand first:\n%s", got)
	}
}

// TestWidths: whatever the terminal, no line is wider.
func TestWidths(t *testing.T) {
	c := regressed()
	c.Reason += strings.Repeat(" and on", 40) + " " + strings.Repeat("x", 300)
	for width := 60; width <= 200; width += 7 {
		for l := range strings.Lines(picture.Text(c, picture.Options{Width: width})) {
			if n := utf8.RuneCountInString(strings.TrimRight(l, "\n")); n > width {
				t.Errorf("width %d: %d columns in %q", width, n, l)
			}
		}
	}
}

// TestPaintTakesNoColumns: colours change nothing but colours.
func TestPaintTakesNoColumns(t *testing.T) {
	plain := picture.Text(regressed(), picture.Options{})
	painted := picture.Text(regressed(), picture.Options{Paint: func(i picture.Ink, text string) string { return fmt.Sprintf("\x00%d\x01%s\x02", i, text) }})
	for i := range picture.Accent + 1 {
		painted = strings.ReplaceAll(painted, fmt.Sprintf("\x00%d\x01", i), "")
	}
	if painted = strings.ReplaceAll(painted, "\x02", ""); painted != plain {
		t.Errorf("painted:\n%s\nplain:\n%s", painted, plain)
	}
}

// elements reads an SVG strictly and returns the names of its elements and all of its text.
func elements(t *testing.T, svg []byte) (names []string, text string) {
	t.Helper()
	dec := xml.NewDecoder(bytes.NewReader(svg))
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return names, text
		}
		if err != nil {
			t.Fatalf("no XML: %v\n%s", err, svg)
		}
		switch token := token.(type) {
		case xml.StartElement:
			names = append(names, token.Name.Local)
			for _, a := range token.Attr {
				if strings.HasPrefix(strings.ToLower(a.Name.Local), "on") || strings.Contains(a.Name.Local, "href") {
					t.Errorf("attribute %s", a.Name.Local)
				}
			}
		case xml.CharData:
			text += string(token) + "\n"
		}
	}
}

// hostile is a card whose every text tries to become markup.
func hostile(text string) belay.Card {
	c := regressed()
	c.Reason, c.Policy, c.DecidedBy, c.Culprits = text, text, text, []string{text}
	c.RuledOut, c.Missing, c.Blind = []string{text}, []string{text}, []string{text}
	for i := range c.Signals {
		c.Signals[i].Signal, c.Signals[i].Note, c.Signals[i].Stratum, c.Signals[i].Unit, c.Signals[i].Method = text, text, text, text, text
	}
	c.Health[0] = belay.HealthStatus{Check: text, Target: text, State: belay.HealthUnhealthy, Detail: text, Broken: []string{text}}
	return c
}

// TestSVGIsStatic: a picture is well-formed, small, and has nothing in it that runs or is loaded, whatever the texts.
func TestSVGIsStatic(t *testing.T) {
	long := strings.Repeat("<b>long &amp; ", 2000)
	for _, text := range []string{`</text><script>alert(1)</script>`, `" onload="alert(1)`, "\x00\x1b[31m\xff\ufffe", "]]><!--", `<a href="javascript:alert(1)">&x;`, long, ""} {
		for _, v := range []belay.Verdict{belay.VerdictRegressed, belay.VerdictHealthy, belay.VerdictInsufficient, belay.VerdictBlind, belay.VerdictNone} {
			c := hostile(text)
			c.Verdict = v
			o := picture.Options{Candidate: text, Baseline: text}
			svg := picture.SVG(c, o)
			names, _ := elements(t, svg)
			for _, n := range names {
				if !slices.Contains([]string{"svg", "title", "style", "rect", "text", "tspan", "path", "circle"}, n) {
					t.Errorf("element %s", n)
				}
			}
			if len(svg) > 100<<10 || bytes.Contains(svg, []byte("url(")) || bytes.Contains(svg, []byte("@import")) || bytes.Contains(svg, []byte("NaN")) {
				t.Errorf("%d bytes, or something from elsewhere, or NaN", len(svg))
			}
			if !bytes.Equal(svg, picture.SVG(c, o)) {
				t.Error("the same card makes another picture")
			}
		}
	}
}

func TestSVGSays(t *testing.T) {
	svg := picture.SVG(regressed(), picture.Options{Candidate: "1.2.0", Baseline: "1.1.0"})
	_, text := elements(t, svg)
	for _, part := range []string{"regressed", "1.2.0 against 1.1.0", "error_rate", "×8.3 (4.4 to 15)", "40 of 1,000  :  45 of 9,000", "over 1,000,000 : 1", "acts at", "183 : 1", "first bad moment 18 s", "without a chart", "orders", "prefers-color-scheme: dark"} {
		if !strings.Contains(text, part) {
			t.Errorf("there is no %q", part)
		}
	}
	if len(svg) > 20<<10 {
		t.Errorf("%d bytes", len(svg))
	}
}

// TestEmptyCards: there is a picture of nothing, too.
func TestEmptyCards(t *testing.T) {
	for _, c := range []belay.Card{{}, {Verdict: belay.VerdictBlind, Blind: []string{"metrics: connection refused"}}, {Signals: []belay.SignalEvidence{{Signal: "a", Trail: []belay.TrailPoint{{T: 1, EValue: 1}}}}}} {
		if text := picture.Text(c, picture.Options{}); text == "" {
			t.Error("no text")
		}
		elements(t, picture.SVG(c, picture.Options{}))
	}
}

// TestTheFirstBadMomentCrossesNoText: it is marked in the charts, and beside no words.
func TestTheFirstBadMomentCrossesNoText(t *testing.T) {
	c := regressed()
	for i := range c.Signals {
		c.Signals[i].Trail = trail(10)
	}
	svg := string(picture.SVG(c, picture.Options{Candidate: "1.2.0", Baseline: "1.1.0"}))
	lines := 0
	for part := range strings.SplitSeq(svg, "\n") {
		var x, from, to float64
		if n, _ := fmt.Sscanf(part, `<path class="first" d="M%f %fV%f`, &x, &from, &to); n < 3 {
			continue
		}
		lines++
		for text := range strings.SplitSeq(svg, "\n") {
			var left, base float64
			if n, _ := fmt.Sscanf(text, `<text x="%f" y="%f"`, &left, &base); n < 2 || strings.Contains(text, " end") || strings.Contains(text, " mid") {
				continue
			}
			_, words, _ := strings.Cut(text, ">")
			words, _, _ = strings.Cut(words, "<")
			if left <= x && x <= left+6*float64(len(words)) && from <= base && base-9 <= to {
				t.Errorf("the line at %v from %v to %v crosses %q at %v, %v", x, from, to, words, left, base)
			}
		}
	}
	if lines < 4 {
		t.Errorf("%d lines", lines)
	}
}

// TestNumbersStayWithTheirUnits at the end of a line.
func TestNumbersStayWithTheirUnits(t *testing.T) {
	for _, c := range []struct {
		before, after string
		want          bool
	}{
		{"9", "s", true}, {"(12", "min)", true}, {"0.5", "%", true}, {"40", "/s,", true}, {"1", ":", true}, {":", "250", true}, {"1.5", "GiB;", true},
		{"took", "s", false}, {"9", "seconds", false}, {"3", "instances", false}, {"", "s", false}, {"at", "9", false},
	} {
		if got := picture.Together(c.before, c.after); got != c.want {
			t.Errorf("%q and %q on one line: %v", c.before, c.after, got)
		}
	}
	c := regressed()
	for at := range 40 {
		c.Reason = strings.Repeat("x", at) + " it took 19 s and 20 /s, not 12 min, 1 : 250"
		for l := range strings.Lines(picture.Text(c, picture.Options{Width: 40})) {
			if last := strings.TrimRight(l, "\n"); strings.HasSuffix(last, " 19") || strings.HasSuffix(last, " 20") || strings.HasSuffix(last, " 12") || strings.HasSuffix(last, ":") {
				t.Errorf("the line %q ends with a number that has its unit on the next", last)
			}
		}
	}
}
