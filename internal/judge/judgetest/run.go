package judgetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/judge"
)

// Ticks returns what the script shows, one tick a second.
func (s *Script) Ticks() []belay.Tick {
	ticks := make([]belay.Tick, 0, s.to-s.from)
	for t := s.from; t < s.to; t++ {
		tick := belay.Tick{T: float64(t)}
		for i := range s.series {
			s.series[i].show(&tick, t)
		}
		ticks = append(ticks, tick)
	}
	return ticks
}

func (q *series) show(tick *belay.Tick, t int) {
	if t < q.from || t >= q.from+len(q.steps) {
		return
	}
	st := q.steps[t-q.from]
	switch {
	case st.none:
	case q.source != "":
		src := belay.SourceStatus{Source: q.source, OK: st.ok}
		if !st.ok {
			src.Detail = "connection refused"
		}
		tick.Sources = append(tick.Sources, src)
	case q.health != nil:
		h := *q.health
		h.State, h.Broken, h.Fails = st.state, st.broken, st.fails
		if h.State == belay.HealthUnhealthy {
			h.Detail = "HTTP 503"
		}
		tick.Health = append(tick.Health, h)
	default:
		m := q.sample
		m.T, m.N, m.X, m.Count, m.Value = float64(t), st.n, st.x, st.count, st.value
		tick.Samples = append(tick.Samples, m)
	}
}

// Failure is an expectation that was not met.
type Failure struct {
	Line int    `json:"line"`
	Want string `json:"want"`
	Got  string `json:"got"`
}

// Run judges the script and returns, joined, each expectation that was not met.
func (s *Script) Run() error {
	var failed []error
	for _, f := range s.Check() {
		failed = append(failed, fmt.Errorf("%s:%d: want %s, got %s", s.name, f.Line, f.Want, f.Got))
	}
	return errors.Join(failed...)
}

// Check judges the script and returns the expectations that were not met, in the order of the script.
func (s *Script) Check() []Failure {
	j := judge.New(s.Policy)
	found := make([]finding, len(s.expected))
	for _, tick := range s.Ticks() {
		card := j.Observe(tick)
		for i := range found {
			found[i].see(s.expected[i], int(tick.T), card)
		}
	}
	var failed []Failure
	for i, e := range s.expected {
		failed = append(failed, found[i].failures(e)...)
	}
	return failed
}

// finding is what became of one expectation.
type finding struct {
	met   bool
	at    int // met then; -1 for never
	shown belay.Card
	late  *int // reached then, and too late
}

// see looks at the card of second t.
func (f *finding) see(e expectation, t int, card belay.Card) {
	if t < 0 {
		return
	}
	fits := matches(e, card)
	switch {
	case e.when == "never" && !f.met:
		f.met, f.at, f.shown = fits, t, card // met: it was reached, which should never be
	case e.when == "at" && t == e.at:
		f.met, f.at, f.shown = fits, t, card
	case e.when == "by" && t <= e.at && !f.met:
		f.met, f.at, f.shown = fits, t, card
	case e.when != "never" && t > e.at && !f.met && f.late == nil && fits:
		f.late = &t
	}
}

func (f *finding) failures(e expectation) []Failure {
	want := strings.TrimSpace(word(e.verdict) + " " + strings.Join(e.names, " "))
	switch {
	case e.when == "never" && f.met:
		return []Failure{{e.line, "never " + want, fmt.Sprintf("%s at %d s: %s", want, f.at, f.shown.Reason)}}
	case e.when != "never" && !f.met:
		got := tell(f.shown)
		if f.late != nil {
			got += fmt.Sprintf("; it came at %d s", *f.late)
		}
		return []Failure{{e.line, fmt.Sprintf("%s %s %d s", want, e.when, e.at), got}}
	}
	for _, say := range e.says {
		if got := part(f.shown, say.part); !strings.Contains(got, say.text) {
			return []Failure{{say.line, fmt.Sprintf("%q in %s", say.text, say.part), fmt.Sprintf("%q", got)}}
		}
	}
	return nil
}

// tell says in a line what a card says.
func tell(card belay.Card) string {
	text := word(card.Verdict)
	if len(card.Culprits) > 0 {
		text += " " + strings.Join(card.Culprits, " ")
	}
	if card.Reason != "" {
		text += ": " + card.Reason
	}
	if len(card.Missing) > 0 {
		text += " (missing: " + strings.Join(card.Missing, "; ") + ")"
	}
	return text
}

func matches(e expectation, card belay.Card) bool {
	if card.Verdict != e.verdict {
		return false
	}
	for _, n := range e.names {
		if !slices.Contains(card.Culprits, n) {
			return false
		}
	}
	return true
}

func word(v belay.Verdict) string {
	if v == belay.VerdictNone {
		return "none"
	}
	return string(v)
}

// part returns the texts of one part of a card.
func part(card belay.Card, name string) string {
	switch name {
	case "missing":
		return strings.Join(card.Missing, "; ")
	case "blind":
		return strings.Join(card.Blind, "; ")
	case "decided":
		return card.DecidedBy
	case "note":
		var notes []string
		for _, s := range card.Signals {
			notes = append(notes, s.Note)
		}
		return strings.Join(notes, "; ")
	}
	return card.Reason
}
