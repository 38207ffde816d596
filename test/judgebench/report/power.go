package report

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/belaydev/belay/test/bench/figure"
	"github.com/belaydev/belay/test/judgebench/chart"
	"github.com/belaydev/belay/test/judgebench/score"
	"github.com/belaydev/belay/test/judgebench/track"
)

// power is the chapter on track A.
func (r *reader) power() chapter {
	all := r.track("A", nil)
	if len(all) == 0 {
		return chapter{}
	}
	c := chapter{title: "How soon a rise of the error rate is found", charts: map[string]string{}}
	var w strings.Builder
	w.WriteString(powerText)
	if svg := r.harmChart(); svg != "" {
		c.charts["decision-harm.svg"] = svg
		w.WriteString("\n![Bad answers until each rule finds the fault](images/decision-harm.svg)\n")
	}
	if svg := r.delayChart(); svg != "" {
		c.charts["decision-delay.svg"] = svg
		w.WriteString("\n![Time until each rule finds the fault, by how bad it is](images/decision-delay.svg)\n")
	}
	for _, rate := range distinct(all, func(c *track.Result) float64 { return c.Spec.Rate }) {
		if t := r.rivalsAt(rate); t != nil {
			fmt.Fprintf(&w, "\n### All rules at %g requests/s, %g of them to the candidate\n\n%s", rate, 0.1*rate, t)
		}
	}
	for _, onset := range distinct(all, func(c *track.Result) float64 { return c.Onset }) {
		fmt.Fprintf(&w, "\n### belay over the whole grid, fault from %s on\n\n%s", seconds(onset), r.gridAt(onset))
	}
	c.text = w.String() + powerNotes
	return c
}

// distinct lists the values that results have, ascending.
func distinct(all []*track.Result, of func(*track.Result) float64) []float64 {
	var values []float64
	for _, c := range all {
		if v := of(c); !slices.Contains(values, v) {
			values = append(values, v)
		}
	}
	slices.Sort(values)
	return values
}

// valid tells whether a rule keeps its promise, at twice what it states, where errors are independent and traffic is
// that of the cell; true when that was not measured. The rate is NaN then.
func (r *reader) valid(c *track.Result, rule int) (ok bool, rate float64) {
	e := c.Rules[rule]
	null := r.one("B", func(n *track.Result) bool {
		return n.Name == "iid" && n.Spec.Rate == c.Spec.Rate && n.Spec.Share == c.Spec.Share
	})
	if null == nil {
		return true, math.NaN()
	}
	s, found := null.Of(e.Name)
	if !found {
		return true, math.NaN()
	}
	rate, _, _ = s.Wrong()
	return rate <= 2*e.Alpha, rate
}

// at picks the cells of track A that the charts and the tables of all rules are about.
func (r *reader) at(rate float64) []*track.Result {
	return r.track("A", func(c *track.Result) bool { return c.Onset == 0 && c.Spec.Rate == rate && c.Spec.Share == 0.1 })
}

// rivalsAt is the table of all rules at one rate of traffic.
func (r *reader) rivalsAt(rate float64) *figure.Table {
	cells := r.at(rate)
	if len(cells) == 0 {
		return nil
	}
	head := []string{"Rule", "false"}
	for _, c := range cells {
		head = append(head, c.Name)
	}
	t := figure.NewTable(head...)
	for i, e := range cells[0].Rules {
		ok, rate := r.valid(cells[0], i)
		row := []string{e.Name, share(rate)}
		if e.Name == track.Judge {
			row[0] = "**" + e.Name + "**"
		}
		for _, c := range cells {
			s := c.Scores[i]
			text := delay(s)
			if s.Rate() > score.Enough {
				text += fmt.Sprintf("; %s ±%s bad, %s excess", number(s.Bad), number(s.BadWithin), number(s.Excess))
			}
			if !ok {
				text = "(" + text + ")"
			}
			row = append(row, text)
		}
		t.Row(row...)
	}
	for _, own := range []bool{false, true} {
		row := []string{"*limit*", share(track.Alpha)}
		if own {
			row[0] = fmt.Sprintf("*limit at margin %g*", cells[0].Margin)
		}
		for _, c := range cells {
			row = append(row, fmt.Sprintf("*%s; %s bad*", seconds(c.TimeLimit(own)), number(c.BadLimit(own))))
		}
		t.Row(row...)
	}
	return t
}

// gridAt is the table of the judge alone over rates and shares.
func (r *reader) gridAt(onset float64) *figure.Table {
	all := r.track("A", func(c *track.Result) bool { return c.Onset == onset })
	bads := distinct(all, func(c *track.Result) float64 { return c.Spec.Bad })
	head := []string{"Traffic", "share"}
	for _, b := range bads {
		head = append(head, fmt.Sprintf("0.5 → %.4g %%", 100*b))
	}
	t := figure.NewTable(head...)
	for _, rate := range distinct(all, func(c *track.Result) float64 { return c.Spec.Rate }) {
		for _, part := range distinct(all, func(c *track.Result) float64 { return c.Spec.Share }) {
			row := []string{fmt.Sprintf("%g/s", rate), fmt.Sprintf("%g %%", 100*part)}
			for _, b := range bads {
				text := "-"
				for _, c := range all {
					s, ok := c.Of(track.Judge)
					if ok && c.Spec.Rate == rate && c.Spec.Share == part && c.Spec.Bad == b {
						text = delay(s)
						if s.Rate() > score.Enough {
							text += fmt.Sprintf("; %s bad; %.2f, %.2f", number(s.Bad), c.BadLimit(true)/s.Bad, c.TimeLimit(true)/s.Mean)
						}
					}
				}
				row = append(row, text)
			}
			t.Row(row...)
		}
	}
	return t
}

// charted are the rules that the charts show, where they took part.
func charted() []string {
	return []string{
		track.Judge, "oracle-ratio", "e-share", "maxsprt", "lindon-malek", "gavi", "z01-peeking", "fixed", "argo99", "flagger5", "kayenta-10m", "kayenta-end",
	}
}

// Traffic and fault of the chart on harm.
const (
	chartRate = 200
	chartBad  = 0.05
)

func (r *reader) harmChart() string {
	for _, c := range r.at(chartRate) {
		if c.Spec.Bad != chartBad {
			continue
		}
		var bars []chart.Bar
		for _, name := range charted() {
			i := slices.IndexFunc(c.Rules, func(e entry) bool { return e.Name == name })
			if i < 0 {
				continue
			}
			s := c.Scores[i]
			b := chart.Bar{Name: name, Value: s.Bad, Note: fmt.Sprintf("%s bad answers, %s", number(s.Bad), seconds(s.Median)), Kind: chart.Other}
			if ok, rate := r.valid(c, i); !ok {
				b.Kind, b.Note = chart.Invalid, fmt.Sprintf("%s; wrong in %s", number(s.Bad), share(rate))
			} else if name == track.Judge {
				b.Kind = chart.Own
			}
			if s.Rate() <= score.Enough {
				b.Value, b.Note = 0, "finds "+share(s.Rate())
			}
			bars = append(bars, b)
		}
		return chart.Bars("Bad answers that users get before the release is taken back",
			fmt.Sprintf("Errors rise from 0.5 to %g %%; %d requests/s, 10 %% of them to the new release. Hollow: takes back good releases too often.", 100*chartBad, chartRate),
			bars, c.BadLimit(false), "least possible")
	}
	return ""
}

func (r *reader) delayChart() string {
	cells := r.at(chartRate)
	if len(cells) < 2 {
		return ""
	}
	axis := chart.Axis{Low: 1, High: cells[0].Spec.Length, Unit: "s", Below: "error rate of the new release; 0.5 % is usual"}
	limit := chart.Line{Name: "limit", Kind: chart.Limit}
	for _, c := range cells {
		axis.Places = append(axis.Places, fmt.Sprintf("%.4g %%", 100*c.Spec.Bad))
		limit.Values = append(limit.Values, c.TimeLimit(false))
	}
	lines := []chart.Line{limit}
	for _, name := range []string{track.Judge, "gavi", "fixed", "argo99", "flagger5", "kayenta-10m"} {
		i := slices.IndexFunc(cells[0].Rules, func(e entry) bool { return e.Name == name })
		if i < 0 {
			continue
		}
		l := chart.Line{Name: name, Kind: chart.Other}
		if name == track.Judge {
			l.Kind = chart.Own
		}
		for _, c := range cells {
			l.Values = append(l.Values, c.Scores[i].Median)
		}
		lines = append(lines, l)
	}
	return chart.Lines("Seconds until a bad release is found",
		fmt.Sprintf("Median over all runs; a line ends where fewer than half are found in an hour. %d requests/s, 10 %% of them to the new release.", chartRate), axis, lines)
}
