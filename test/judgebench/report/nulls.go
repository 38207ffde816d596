package report

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/belaydev/belay/test/bench/figure"
	"github.com/belaydev/belay/test/judgebench/chart"
	"github.com/belaydev/belay/test/judgebench/rival"
	"github.com/belaydev/belay/test/judgebench/track"
)

type entry = rival.Entry

// nulls is the chapter on track B.
func (r *reader) nulls() chapter {
	all := r.track("B", nil)
	if len(all) == 0 {
		return chapter{}
	}
	c := chapter{title: "How often a good release is taken back", charts: map[string]string{}}
	var w strings.Builder
	w.WriteString(nullText)
	names, what := track.Nulls()
	explain := figure.NewTable("Null", "")
	for _, n := range names {
		explain.Row("`"+n+"`", what[n])
	}
	fmt.Fprintf(&w, "\n%s", explain)
	pasts := []string{}
	for _, c := range all {
		if !slices.Contains(pasts, c.Past) {
			pasts = append(pasts, c.Past)
		}
	}
	for _, past := range pasts {
		fmt.Fprintf(&w, "\n### belay, history: %s\n\n%s", past, r.nullsWith(past, names))
	}
	if svg := r.falseChart(names); svg != "" {
		c.charts["decision-false.svg"] = svg
		w.WriteString("\n### All rules\n\n![Good releases that each rule takes back](images/decision-false.svg)\n")
	}
	fmt.Fprintf(&w, "\n%s\n%s\n### How soon a good release is called healthy\n\n%s%s", rivalNullText, r.rivalNulls(names), healthyText, r.healthy())
	c.text = w.String()
	return c
}

// nullsWith is the judge's table of one history.
func (r *reader) nullsWith(past string, names []string) *figure.Table {
	all := r.track("B", func(c *track.Result) bool { return c.Past == past })
	rates := distinct(all, func(c *track.Result) float64 { return c.Spec.Rate })
	head := []string{"Null"}
	for _, rate := range rates {
		head = append(head, fmt.Sprintf("%g/s", rate))
	}
	t := figure.NewTable(head...)
	for _, name := range names {
		row, some := []string{name}, false
		for _, rate := range rates {
			text := "-"
			for _, c := range all {
				if s, ok := c.Of(track.Judge); ok && c.Name == name && c.Spec.Rate == rate {
					text, some = wrong(s, track.Alpha), true
				}
			}
			row = append(row, text)
		}
		if some {
			t.Row(row...)
		}
	}
	return t
}

// nullAt finds a null at one rate, with as much history as was measured: the rivals do not use it, and the judge is
// meant to have some.
func (r *reader) nullAt(name string, rate float64) *track.Result {
	all := r.track("B", func(c *track.Result) bool { return c.Name == name && c.Spec.Rate == rate })
	if len(all) == 0 {
		return nil
	}
	return all[len(all)-1]
}

// rivalRates are those at which all rules are shown.
func rivalRates() []float64 { return []float64{20, 200, 2000} }

// rivalNulls is the table of all rules and nulls.
func (r *reader) rivalNulls(names []string) *figure.Table {
	t := figure.NewTable(append([]string{"Rule"}, names...)...)
	first := r.one("B", nil)
	for i, e := range first.Rules {
		row := []string{e.Name}
		for _, name := range names {
			var parts []string
			for _, rate := range rivalRates() {
				if c := r.nullAt(name, rate); c != nil {
					v, _, _ := c.Scores[i].Wrong()
					parts = append(parts, strings.TrimSuffix(share(v), " %"))
				}
			}
			row = append(row, strings.Join(parts, " / "))
		}
		t.Row(row...)
	}
	return t
}

// falseChart shows the worst of the rates of traffic for each rule and null.
func (r *reader) falseChart(names []string) string {
	first := r.one("B", nil)
	t := chart.Table{Columns: names}
	for _, name := range charted() {
		i := slices.IndexFunc(first.Rules, func(e entry) bool { return e.Name == name })
		if i < 0 || strings.HasPrefix(name, "oracle") {
			continue
		}
		row := make([]float64, len(names))
		for k, n := range names {
			row[k] = math.NaN()
			for _, rate := range rivalRates() {
				if c := r.nullAt(n, rate); c != nil {
					v, _, _ := c.Scores[i].Wrong()
					row[k] = math.Max(v, orZero(row[k]))
				}
			}
		}
		t.Rows, t.Share = append(t.Rows, name), append(t.Share, row)
	}
	return chart.Shares("Good releases that are taken back within an hour",
		"Share of runs, the worst of 20, 200 and 2000 requests/s, 10 % of them to the new release. Green: up to 1 %.", t, track.Alpha)
}

func orZero(v float64) float64 {
	if math.IsNaN(v) {
		return 0
	}
	return v
}

// healthy is the table of how soon the judge calls a good release healthy, and how often one at the harm limit.
func (r *reader) healthy() *figure.Table {
	t := figure.NewTable("Traffic", "history", "called healthy", "median", "limit", "median / limit", "undecided", "twice as bad, called healthy")
	for _, c := range r.track("B", func(c *track.Result) bool { return c.Name == "iid" }) {
		s, ok := c.Of(track.Judge)
		if !ok {
			continue
		}
		passed := math.NaN()
		if bad := r.one("A", func(a *track.Result) bool {
			return a.Onset == 0 && a.Spec.Rate == c.Spec.Rate && a.Spec.Share == c.Spec.Share && a.Spec.Bad == track.Harm*a.Spec.Usual
		}); bad != nil {
			s, _ := bad.Of(track.Judge)
			passed = s.HealthyBy
		}
		ratio := "-"
		if !math.IsInf(s.Healthy, 1) {
			ratio = fmt.Sprintf("%.2f×", s.Healthy/c.HealthyLimit())
		}
		t.Row(fmt.Sprintf("%g/s", c.Spec.Rate), c.Past, share(s.HealthyBy), seconds(s.Healthy), seconds(c.HealthyLimit()), ratio,
			share(float64(s.Undecided)/float64(s.Runs)), share(passed))
	}
	return t
}
