// Package picture draws decision cards: as text with small charts, and as an SVG picture that can stand in a comment
// of a pull request. The same card makes the same picture. It draws what it is given, asks nobody and decides nothing.
package picture

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/judge/phrase"
)

// Options say how to draw.
type Options struct {
	Candidate string // name of the new release; "new" when empty
	Baseline  string // name of the release that it replaces; "old" when empty
	Width     int    // columns of text; 80 when 0
	// Paint colours a piece of text; nil leaves it plain. What it adds must take no columns.
	Paint func(ink Ink, text string) string
}

// Ink is what a colour means.
type Ink int

// The inks.
const (
	Plain Ink = iota
	Good
	Bad
	Warn
	Dim
	Strong
	Accent
)

// inkOf is the ink of a verdict.
func inkOf(v belay.Verdict) Ink {
	switch v {
	case belay.VerdictHealthy:
		return Good
	case belay.VerdictRegressed:
		return Bad
	case belay.VerdictBlind:
		return Warn
	case belay.VerdictInsufficient, belay.VerdictNone:
		return Dim
	}
	return Plain
}

// name is how a side is called: by its own name, or by what it is.
func name(own, otherwise string) string {
	if own == "" || own == "unknown" {
		return otherwise
	}
	return own
}

// carries tells whether a signal has evidence of its own, and is not only shown.
func carries(e *belay.SignalEvidence) bool {
	return e.Limit > 1 || e.Threshold != nil || e.Verdict == belay.VerdictRegressed
}

// shown tells whether anything was seen of a signal.
func shown(e *belay.SignalEvidence) bool {
	return e.N > 0 || e.BaseN > 0 || e.Candidate != nil || e.Baseline != nil || len(e.Trail) > 0
}

// ordered are the signals with the culprits first, then those with evidence, then those that are only shown.
func ordered(c *belay.Card) []*belay.SignalEvidence {
	out := make([]*belay.SignalEvidence, len(c.Signals))
	for i := range c.Signals {
		out[i] = &c.Signals[i]
	}
	rank := func(e *belay.SignalEvidence) int {
		switch at := slices.Index(c.Culprits, e.Signal); {
		case at >= 0:
			return at
		case e.Verdict == belay.VerdictRegressed:
			return 1000
		case carries(e) && shown(e):
			return 1001
		case shown(e):
			return 1002
		}
		return 1003
	}
	slices.SortStableFunc(out, func(a, b *belay.SignalEvidence) int { return cmp.Compare(rank(a), rank(b)) })
	return out
}

// value writes a value of a signal.
func value(e *belay.SignalEvidence, v float64) string {
	if e.Kind == belay.KindEvents {
		return phrase.Percent(v)
	}
	return phrase.Value(v, e.Unit)
}

// side writes the value of one side with its sample size; "" when there is none.
func side(e *belay.SignalEvidence, v *float64, n, x float64) string {
	switch {
	case e.Kind == belay.KindCount && n > 0:
		return phrase.Per(x, n)
	case v == nil:
		return ""
	case e.Kind == belay.KindEvents && n > 0:
		return phrase.Of(math.Round(*v*n), n) // where lower is worse, X counts the others
	case e.Kind == belay.KindHistogram && n > 0:
		return fmt.Sprintf("%s (%s events)", value(e, *v), phrase.Count(n))
	}
	return value(e, *v)
}

// effect writes by how much the sides differ, with the interval; "" when that cannot be told.
func effect(e *belay.SignalEvidence) string {
	if e.Effect == nil {
		return ""
	}
	text := "×" + ratio(*e.Effect)
	if e.Interval == nil {
		return text
	}
	low, high := e.Interval.Low, e.Interval.High
	switch open := high >= 1e4; {
	case low <= 1e-4 && open:
		return text
	case open:
		return text + ", at least " + ratio(low)
	case low <= 1e-4:
		return text + ", at most " + ratio(high)
	}
	return fmt.Sprintf("%s (%s to %s)", text, ratio(low), ratio(high))
}

// ratio writes a factor; near 1 the second digit behind the point counts.
func ratio(v float64) string {
	if v >= 2 || v < 0.1 {
		return phrase.Digits(v)
	}
	return strconv.FormatFloat(math.Round(v*100)/100, 'f', -1, 64)
}

// odds writes evidence.
func odds(e float64) string {
	switch {
	case e < 1.5:
		return "none"
	case e >= 1e6:
		return "over 1,000,000 : 1"
	}
	return phrase.Count(e) + " : 1"
}

// uncompared tells whether a signal was to be compared and there was nothing to compare it with.
func uncompared(e *belay.SignalEvidence) bool {
	seen := e.N > 0 && e.GoodIn == nil
	return seen && e.Against == belay.AgainstNothing && e.Baseline == nil && e.Threshold == nil && (e.Limit > 1 || e.Verdict == belay.VerdictInsufficient)
}

// standing says in a few words, to stand behind its verdict, how a signal came to it.
func standing(e *belay.SignalEvidence) string {
	alone := e.Against == belay.AgainstNothing && e.Baseline == nil
	proven := e.Limit > 1 && e.Verdict == belay.VerdictHealthy && e.GoodLimit > 0 && e.GoodE >= e.GoodLimit
	switch {
	case e.Verdict == belay.VerdictRegressed:
		return " by " + e.Method
	case proven && alone:
		return ": shown to do no harm"
	case proven:
		return ": shown not to be worse"
	case uncompared(e):
		return ": not compared"
	case e.Limit > 1 && e.Verdict == belay.VerdictHealthy && !alone:
		return ": nothing speaks against it"
	case e.Threshold != nil && e.Verdict == belay.VerdictHealthy:
		return ": within its limit"
	case !carries(e):
		return ": shown only"
	case e.GoodIn != nil && *e.GoodIn < 1e5:
		return ": healthy in about " + phrase.Seconds(*e.GoodIn) + " at this pace"
	}
	return ""
}

// against says what a signal was compared with, where that is not the release beside it.
func against(e *belay.SignalEvidence) string {
	switch e.Against {
	case belay.AgainstPast:
		return "compared with the time before"
	case belay.AgainstBoth:
		return "compared with the old release and with the time before"
	case belay.AgainstNothing, belay.AgainstBaseline:
	}
	return ""
}

// habit says what is held to be usual of a service.
func habit(h belay.Habit) string {
	var text string
	switch h.Name {
	case belay.HabitMargin:
		text = "instances differ by up to ×" + phrase.Digits(h.Value)
	case belay.HabitDispersion:
		text = "bad events come one by one"
		if h.Value >= 1.05 {
			text = "bad events come in clumps of " + phrase.Digits(h.Value)
		}
	case belay.HabitSeason:
		text = "no season"
		if h.Value > 0 {
			text = "a season of " + phrase.Seconds(h.Value)
		}
	default:
		text = fmt.Sprintf("%s %s", h.Name, phrase.Digits(h.Value))
	}
	text += " (" + string(h.Source)
	if h.Source == belay.HabitLearned && h.Detail != "" {
		text += " from " + h.Detail
	}
	return text + ")"
}

// facts are what stands below the signals: a word and its sentences.
type fact struct {
	label string
	ink   Ink
	lines []string
}

func facts(c *belay.Card) []fact {
	out := []fact{{"cannot see", Warn, c.Blind}, {"ruled out", Good, c.RuledOut}}
	if c.Verdict != belay.VerdictHealthy && c.Verdict != belay.VerdictRegressed {
		out = append(out, fact{"still needed", Dim, c.Missing})
	}
	var health, usual, notes []string
	well := 0
	for i := range c.Health {
		h := &c.Health[i]
		if h.State == belay.HealthHealthy {
			well++
			continue
		}
		text := strings.TrimSpace(h.Check+" of "+h.Target) + ": " + string(h.State)
		if h.Arm == belay.ArmBaseline {
			text += " (old release)"
		}
		if h.Detail != "" {
			text += ", " + h.Detail
		}
		if len(h.Broken) > 0 {
			text += ", " + phrase.And(h.Broken) + " broken"
		}
		health = append(health, text)
	}
	if well > 0 {
		health = append(health, phrase.Count(float64(well))+" healthy")
	}
	for _, e := range ordered(c) {
		var parts []string
		for _, h := range e.Habits {
			parts = append(parts, habit(h))
		}
		if len(parts) > 0 && shown(e) {
			usual = append(usual, e.Signal+": "+strings.Join(parts, "; "))
		}
		if e.Note != "" && shown(e) {
			notes = append(notes, e.Signal+": "+e.Note)
		}
	}
	out = append(out, fact{"health", Plain, health}, fact{"note", Plain, notes}, fact{"usual", Plain, usual})
	if c.Policy != "" {
		out = append(out, fact{"policy", Dim, []string{c.Policy}})
	}
	return slices.DeleteFunc(out, func(f fact) bool { return len(f.lines) == 0 })
}

// headline says when, and by what, the verdict was reached.
func headline(c *belay.Card) string {
	text := "at " + phrase.Seconds(c.T)
	switch {
	case c.DecidedAt == nil:
	case c.Verdict == belay.VerdictRegressed:
		text = "at " + phrase.Seconds(*c.DecidedAt)
	case *c.DecidedAt < c.T:
		text = "since " + phrase.Seconds(*c.DecidedAt) + ", seen until " + phrase.Seconds(c.T)
	}
	if c.DecidedBy != "" {
		text += " by " + c.DecidedBy
	}
	if c.FirstBad != nil {
		text += ", first bad moment at " + phrase.Seconds(*c.FirstBad)
	}
	return text
}

// moment writes where a chart begins or ends.
func moment(t float64) string {
	if t == 0 {
		return "0 s"
	}
	return phrase.Seconds(t)
}

func verdictWord(v belay.Verdict) string {
	if v == belay.VerdictNone {
		return "no verdict yet"
	}
	return string(v)
}
