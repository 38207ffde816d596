// Package report turns what the benchmark measured into a document that an engineer can judge: the goals and whether
// they were met, tables with their uncertainty, and charts.
package report

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/belaydev/belay/test/bench/figure"
	"github.com/belaydev/belay/test/judgebench/score"
	"github.com/belaydev/belay/test/judgebench/track"
)

// Measured is a track with what it gave.
type Measured struct {
	track.Track
	Results []*track.Result
	Missing string // why it was not measured
	Took    time.Duration
}

// Run is how it was measured.
type Run struct {
	Command string
	Date    time.Time
	Took    time.Duration
	Machine [][2]string
	Changes string // of the judge's default policy; empty is none
}

// chapter is a part of the document, and its charts by file name.
type chapter struct {
	title  string
	text   string
	charts map[string]string
}

// Document writes the report. The charts, by file name, belong into the folder images beside it.
func Document(run Run, parts []Measured) (text string, charts map[string]string) {
	r := &reader{parts: parts}
	var w strings.Builder
	fmt.Fprintf(&w, intro, run.Command, run.Date.UTC().Format("2006-01-02"), run.Took.Minutes())
	if run.Changes != "" {
		fmt.Fprintf(&w, "**Not the default policy:** changed by `-set %s`.\n\n", run.Changes)
	}
	if t := r.goals(); t != nil {
		w.WriteString(t.String() + "\n" + goalsText)
	}
	charts = map[string]string{}
	for _, c := range []chapter{r.power(), r.nulls(), r.latency(), r.arrivals(), r.gauges(), r.placebo(), r.misset()} {
		if c.text == "" {
			continue
		}
		fmt.Fprintf(&w, "\n## %s\n\n%s\n", c.title, strings.TrimSpace(c.text))
		for name, svg := range c.charts {
			charts[name] = svg
		}
	}
	w.WriteString(r.rules() + method)
	machine := figure.NewTable("Machine", "")
	for _, m := range run.Machine {
		machine.Row(m[0], m[1])
	}
	times := figure.NewTable("Track", "", "cells", "runs", "took")
	for _, p := range parts {
		if p.Missing != "" {
			times.Row(p.Name, p.Title, p.Missing)
			continue
		}
		runs := 0
		for _, c := range p.Results {
			runs += c.Runs
		}
		times.Row(p.Name, p.Title, fmt.Sprint(len(p.Results)), fmt.Sprint(runs), p.Took.Round(time.Second).String())
	}
	fmt.Fprintf(&w, "%s\n%s", times, machine)
	return w.String(), charts
}

// reader finds what was measured.
type reader struct{ parts []Measured }

// track returns the results of a track that satisfy ok.
func (r *reader) track(name string, ok func(*track.Result) bool) []*track.Result {
	var some []*track.Result
	for _, p := range r.parts {
		if p.Name != name {
			continue
		}
		for _, c := range p.Results {
			if ok == nil || ok(c) {
				some = append(some, c)
			}
		}
	}
	return some
}

// missing says why a track was not measured; empty when it was, or was not asked for.
func (r *reader) missing(name string) string {
	for _, p := range r.parts {
		if p.Name == name {
			return p.Missing
		}
	}
	return ""
}

// one returns the only result of a track that satisfies ok; nil without one.
func (r *reader) one(name string, ok func(*track.Result) bool) *track.Result {
	if all := r.track(name, ok); len(all) > 0 {
		return all[0]
	}
	return nil
}

// rules explains the names of all that took part.
func (r *reader) rules() string {
	t := figure.NewTable("Rule", "")
	seen := map[string]bool{}
	for _, p := range r.parts {
		if p.Name == "S" {
			continue
		}
		for _, e := range p.Rivals {
			if !seen[e.Name+e.What] {
				seen[e.Name+e.What] = true
				t.Row("`"+e.Name+"`", e.What)
			}
		}
	}
	return "\n## The rules\n\n" + rulesText + "\n" + t.String()
}

// seconds writes a time as it stands in a table: whole seconds, "never" when most runs did not get there.
func seconds(v float64) string {
	switch {
	case math.IsNaN(v):
		return "-"
	case math.IsInf(v, 1):
		return "never"
	case v < 10 && v != math.Trunc(v):
		return fmt.Sprintf("%.1f s", v)
	}
	return fmt.Sprintf("%.0f s", v)
}

// number writes a mean count.
func number(v float64) string {
	if v < 99.95 {
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

// share writes a share in per cent, with the digits that so many runs can tell.
func share(v float64) string {
	switch {
	case math.IsNaN(v):
		return "-"
	case v == 0:
		return "0"
	case v < 0.0995:
		return fmt.Sprintf("%.1f %%", 100*v)
	}
	return fmt.Sprintf("%.0f %%", 100*v)
}

// wrong writes a rate of false rollbacks with the upper end of its interval; bold when it is more than was promised by
// more than chance.
func wrong(s score.Score, promise float64) string {
	rate, low, high := s.Wrong()
	text := fmt.Sprintf("%s (≤ %s)", share(rate), share(high))
	if low > promise {
		return "**" + text + "**"
	}
	return text
}

// delay writes how soon a fault was found: median and p90, or how often when that is not most of the time.
func delay(s score.Score) string {
	switch {
	case s.Found == 0:
		return "never"
	case math.IsInf(s.Median, 1):
		return "finds " + share(s.Rate())
	case math.IsInf(s.P90, 1):
		return fmt.Sprintf("%s / finds %s", seconds(s.Median), share(s.Rate()))
	}
	return seconds(s.Median) + " / " + seconds(s.P90)
}
