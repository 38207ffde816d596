package report

import (
	"fmt"
	"math"
	"strings"

	"github.com/belaydev/belay/test/bench/figure"
	"github.com/belaydev/belay/test/judgebench/track"
)

// verdicts is a cell of a table in which nulls and faults stand side by side.
func verdicts(c *track.Result, rule int) string {
	if c.Null() {
		return wrong(c.Scores[rule], c.Rules[rule].Alpha)
	}
	return delay(c.Scores[rule])
}

// table puts cells into rows and their rules into columns.
func table(cells []*track.Result, first string, name func(*track.Result) string) *figure.Table {
	head := []string{first, "runs"}
	for _, e := range cells[0].Rules {
		head = append(head, e.Name)
	}
	t := figure.NewTable(head...)
	for _, c := range cells {
		row := []string{name(c), fmt.Sprint(c.Runs)}
		for i := range c.Rules {
			row = append(row, verdicts(c, i))
		}
		t.Row(row...)
	}
	return t
}

// latency is the chapter on track C.
func (r *reader) latency() chapter {
	all := r.track("C", nil)
	if len(all) == 0 {
		return chapter{}
	}
	var w strings.Builder
	w.WriteString(latencyText)
	for _, rate := range distinct(all, func(c *track.Result) float64 { return c.Spec.Rate }) {
		cells := r.track("C", func(c *track.Result) bool { return c.Spec.Rate == rate })
		head := []string{"Change", "history", "buckets", "limit"}
		for _, e := range cells[0].Rules {
			head = append(head, e.Name)
		}
		t := figure.NewTable(head...)
		for _, c := range cells {
			limit := "-"
			if !c.Null() {
				limit = seconds(math.Round(10*c.TimeLimit(true)) / 10)
			}
			row := []string{c.Name, c.Past, c.Form, limit}
			for i := range c.Rules {
				row = append(row, verdicts(c, i))
			}
			t.Row(row...)
		}
		fmt.Fprintf(&w, "\n### %g requests/s, %g of them to the candidate\n\n%s", rate, 0.1*rate, t)
	}
	return chapter{title: "How soon slower answers are found", text: w.String()}
}

// arrivals is the chapter on track D.
func (r *reader) arrivals() chapter {
	const title = "Real arrivals"
	if why := r.missing("D"); why != "" {
		return chapter{title: title, text: "Not measured: " + why + "."}
	}
	all := r.track("D", nil)
	if len(all) == 0 {
		return chapter{}
	}
	t := figure.NewTable("Traffic and errors", "rule", "verdict, median / p90", "bad answers", "limit")
	for _, c := range all {
		for i, e := range c.Rules {
			switch e.Name {
			case track.Judge, "argo99", "flagger5", "kayenta-10m", "fixed", "z01-peeking", "e-share":
			default:
				continue
			}
			own := e.Name == track.Judge
			row := []string{c.Name, e.Name, verdicts(c, i), "-", "-"}
			if !c.Null() {
				row[3], row[4] = number(c.Scores[i].Bad), number(c.BadLimit(own))
			}
			t.Row(row...)
		}
	}
	return chapter{title: title, text: arrivalText + "\n" + t.String()}
}

// gauges is the chapter on track E.
func (r *reader) gauges() chapter {
	all := r.track("E", nil)
	if len(all) == 0 {
		return chapter{}
	}
	t := table(all, "Change, candidates v baselines, history", func(c *track.Result) string { return c.Name + ", " + c.Past })
	return chapter{title: "Gauges side by side", text: gaugeText + "\n" + t.String()}
}

// placebo is the chapter on track G: false alarms in 1,000 watches, and recall.
func (r *reader) placebo() chapter {
	const title = "Placebo deployments in recorded series"
	if why := r.missing("G"); why != "" {
		return chapter{title: title, text: "Not measured: " + why + "."}
	}
	all := r.track("G", nil)
	if len(all) == 0 {
		return chapter{}
	}
	head := []string{"Series", "watches without fault", "with"}
	for _, e := range all[0].Rules {
		head = append(head, e.Name)
	}
	t := figure.NewTable(head...)
	type tally struct{ fine, faults, wrong, found int }
	sums := make([]tally, len(all[0].Rules))
	write := func(name string, by []tally) {
		row := []string{name, fmt.Sprint(by[0].fine), fmt.Sprint(by[0].faults)}
		for _, c := range by {
			recall := "-"
			if c.faults > 0 {
				recall = share(float64(c.found) / float64(c.faults))
			}
			row = append(row, fmt.Sprintf("%.0f / %s", 1000*float64(c.wrong)/float64(max(1, c.fine)), recall))
		}
		t.Row(row...)
	}
	for k := 0; k < len(all); {
		kind, _, _ := strings.Cut(all[k].Name, " ")
		by := make([]tally, len(sums))
		for ; k < len(all) && strings.HasPrefix(all[k].Name, kind+" "); k++ {
			for i, s := range all[k].Scores {
				if all[k].Null() {
					by[i].fine, by[i].wrong = s.Runs, s.Early
				} else {
					by[i].faults, by[i].found = s.Runs, s.Found
				}
			}
		}
		for i := range sums {
			sums[i] = tally{sums[i].fine + by[i].fine, sums[i].faults + by[i].faults, sums[i].wrong + by[i].wrong, sums[i].found + by[i].found}
		}
		write(kind, by)
	}
	write("**all**", sums)
	return chapter{title: title, text: placeboText + "\n" + t.String()}
}

// misset is the chapter on track S.
func (r *reader) misset() chapter {
	all := r.track("S", nil)
	if len(all) == 0 {
		return chapter{}
	}
	head := []string{"Rule"}
	for _, c := range all {
		head = append(head, fmt.Sprintf("%s, %g/s", c.Name, c.Spec.Rate))
	}
	t := figure.NewTable(head...)
	for i, e := range all[0].Rules {
		row := []string{e.Name}
		for _, c := range all {
			text := verdicts(c, i)
			if !c.Null() {
				text += ", " + number(c.Scores[i].Bad) + " bad"
			}
			row = append(row, text)
		}
		t.Row(row...)
	}
	return chapter{title: "Parameters that are wrong by half", text: missetText + "\n" + t.String()}
}
