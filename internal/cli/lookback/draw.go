package lookback

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/belaydev/belay/internal/cli/screen"
	"github.com/belaydev/belay/internal/learn/backtest"
)

// draw writes a report for people. all tells of every case, else only of those that are decided differently.
func draw(s screen.Style, r backtest.Report, all bool) string {
	out := []string{s.Wrap(s.Strong(head(r)), 2), s.Tables(summaries(s, r), 1)}
	out[1] += notes(s, r)
	var what strings.Builder
	for _, rule := range r.Rules {
		what.WriteString(s.Wrap("  "+s.Strong(rule.Rule)+"  "+rule.What, 4))
	}
	out = append(out, what.String())
	if t := matrix(s, r, all); t != "" {
		out = append(out, t)
	}
	if t := silent(s, r); t != "" {
		out = append(out, t)
	}
	if t := left(s, r); t != "" {
		out = append(out, t)
	}
	return strings.Join(out, "\n")
}

// left says what could not be replayed.
func left(s screen.Style, r backtest.Report) string {
	if len(r.Left) == 0 {
		return ""
	}
	text := s.Strong(fmt.Sprintf("Left out (%d)", len(r.Left))) + "\n"
	for _, l := range r.Left {
		text += s.Wrap("  "+l.ID+": "+l.Reason, 4)
	}
	return text
}

// head says what was replayed.
func head(r backtest.Report) string {
	text := fmt.Sprintf("%d past deployments", len(r.Cases))
	if len(r.Cases) == 1 {
		text = "1 past deployment"
	}
	var first, last time.Time
	for _, c := range r.Cases {
		if !c.At.IsZero() && (first.IsZero() || c.At.Before(first)) {
			first = c.At
		}
		if c.At.After(last) {
			last = c.At
		}
	}
	if !first.IsZero() {
		text += ", " + first.Format(time.DateOnly) + " to " + last.Format(time.DateOnly)
	}
	switch good, bad := r.Labelled(); {
	case len(r.Cases) == 0:
	case good+bad == 0:
		text += "; none is labelled"
	default:
		text += fmt.Sprintf("; labelled: %d good, %d bad", good, bad)
	}
	return text
}

func summaries(s screen.Style, r backtest.Report) [][]string {
	rows := [][]string{{"", "back", "kept", "held", "open", "false rollbacks", "missed", "harm", "avoided", "after"}}
	harmed := slices.ContainsFunc(r.Cases, func(c backtest.Outcome) bool { return c.Bad != nil })
	add := func(sum backtest.Summary, really bool) {
		bad, avoided, delay := "–", "–", "–"
		if harmed {
			bad = screen.Count(sum.Bad)
			if avoided = screen.Count(sum.Avoided); sum.Open > 0 {
				avoided += "*"
			}
		}
		if really {
			avoided = ""
		}
		if sum.Cases == 0 {
			bad, avoided = "–", "–"
		}
		if sum.Delay != nil {
			delay = seconds(*sum.Delay)
		}
		rows = append(rows, []string{s.Strong(sum.Rule), whole(sum.TakenBack), whole(sum.Kept), whole(sum.Held), whole(sum.Undecided),
			Rate(s, sum.False), Rate(s, sum.Missed), bad, avoided, delay})
	}
	if r.Really.Cases > 0 {
		add(r.Really, true)
	}
	for _, sum := range r.Rules {
		add(sum, false)
	}
	return rows
}

func whole(n int) string { return fmt.Sprint(n) }

// Rate draws a rate with its interval.
func Rate(s screen.Style, r backtest.Rate) string {
	if r.N == 0 {
		return "–"
	}
	text := fmt.Sprintf("%d of %d", r.K, r.N)
	if r.K > 0 {
		text = s.Bad(text)
	}
	return text + s.Dim(" ("+percent(r.Low)+"–"+percent(r.High)+" %)")
}

// percent writes a share with as many digits as a small one needs.
func percent(v float64) string {
	v *= 100
	if v < 9.95 && v > 0 {
		return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0")
	}
	return fmt.Sprintf("%.0f", v)
}

func seconds(v float64) string {
	if v == 0 {
		return "0 s"
	}
	return screen.Since(time.Duration(math.Round(v*1000)) * time.Millisecond)
}

// notes say how to read the table.
func notes(s screen.Style, r backtest.Report) string {
	var list []string
	add := func(text string, args ...any) { list = append(list, fmt.Sprintf(text, args...)) }
	if good, bad := r.Labelled(); good+bad == 0 && len(r.Cases) > 0 {
		add("Without labels nobody can say who was right: false rollbacks and missed ones are not counted.")
	} else if good+bad > 0 {
		add("In brackets: the 95 %% interval of the rate behind the count (Clopper-Pearson).")
	}
	if slices.ContainsFunc(r.Cases, func(c backtest.Outcome) bool { return c.Bad != nil }) {
		add("harm: bad answers to users from the first bad moment on; avoided: how many fewer than there really were; after: median time from that moment to taking it back.")
	}
	open := 0
	for _, sum := range r.Rules {
		open = max(open, sum.Open)
	}
	if open > 0 {
		add("* The record ends, by a rollback, before this rule would have decided (cases: up to %d): its bad answers are a least, and not in what it avoided.", open)
	}
	var text strings.Builder
	for _, n := range list {
		text.WriteString(s.Wrap(s.Dim("  "+n), 2))
	}
	return text.String()
}

// matrix tells of cases what each rule makes of them.
func matrix(s screen.Style, r backtest.Report, all bool) string {
	differ := map[string]bool{}
	for _, d := range r.Disagreements {
		differ[d.ID] = true
	}
	head := []string{"deployment", "worth"}
	really := r.Really.Cases > 0
	if really {
		head = append(head, "really")
	}
	for _, rule := range r.Rules {
		head = append(head, rule.Rule)
	}
	rows := [][]string{head}
	for _, o := range r.Cases {
		if !all && !differ[o.ID] {
			continue
		}
		worth := string(o.Truth)
		if worth == "" {
			worth = "?"
		}
		row := []string{o.ID, worth}
		if really {
			row = append(row, cell(s, o.Truth, o.Actual.Fate, o.Actual.T))
		}
		for _, res := range o.Results {
			row = append(row, cell(s, o.Truth, res.Fate, res.T))
		}
		rows = append(rows, row)
	}
	title := fmt.Sprintf("Decided differently (%d of %d)", len(r.Disagreements), len(r.Cases))
	switch {
	case all:
		title = fmt.Sprintf("All deployments (%d)", len(r.Cases))
	case len(rows) == 1 && len(r.Cases) > 0:
		return "None is decided differently. --all lists them.\n"
	}
	if len(rows) == 1 {
		return ""
	}
	return s.Strong(title) + "\n" + s.Tables(rows, 2)
}

func cell(s screen.Style, truth backtest.Truth, f backtest.Fate, t *float64) string {
	at := ""
	if t != nil {
		at = " " + seconds(*t)
	}
	text := ""
	switch f {
	case backtest.FateTakenBack:
		text = "back" + at
	case backtest.FateKept:
		text = "kept"
	case backtest.FateHeld:
		text = "held" + at
	case backtest.FateUndecided:
		text = "open"
	case backtest.FateNone:
		return s.Dim("n/a")
	case backtest.FateUnknown:
		return s.Dim("?")
	}
	if truth == backtest.TruthGood && f == backtest.FateTakenBack || truth == backtest.TruthBad && f == backtest.FateKept {
		return s.Bad(text + " ✗")
	}
	return text
}

// silent says why a rule could not be applied.
func silent(s screen.Style, r backtest.Report) string {
	var out strings.Builder
	for i, rule := range r.Rules {
		var reasons []string
		count := map[string]int{}
		for _, o := range r.Cases {
			if res := o.Results[i]; res.Fate == backtest.FateNone {
				if count[res.Reason]++; count[res.Reason] == 1 {
					reasons = append(reasons, res.Reason)
				}
			}
		}
		for _, reason := range reasons {
			out.WriteString(s.Wrap(fmt.Sprintf("  %s cannot be applied to %d of %d: %s", rule.Rule, count[reason], len(r.Cases), reason), 4))
		}
	}
	return out.String()
}
