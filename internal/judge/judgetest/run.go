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

// Run judges the script and returns, joined, each expectation that was not met.
func (s *Script) Run() error {
	j := judge.New(s.Policy)
	cards := map[int]belay.Card{}
	for _, tick := range s.Ticks() {
		cards[int(tick.T)] = j.Observe(tick)
	}
	var failed []error
	for _, e := range s.expected {
		if err := s.check(e, cards); err != nil {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

func (s *Script) check(e expectation, cards map[int]belay.Card) error {
	card, ok := cards[e.at], true
	switch e.when {
	case "at":
		ok = matches(e, card)
	case "by":
		for t := 0; t <= e.at; t++ {
			if card, ok = cards[t], matches(e, cards[t]); ok {
				break
			}
		}
	case "never":
		for t := 0; t < s.to; t++ {
			if matches(e, cards[t]) {
				return fmt.Errorf("%s:%d: at %d s: %s: %s", s.name, e.line, t, word(cards[t].Verdict), cards[t].Reason)
			}
		}
		card = cards[s.to-1]
	}
	if !ok {
		return fmt.Errorf("%s:%d: want %s %s %s %d s, got %s %s by %q: %s (missing: %s)", s.name, e.line, word(e.verdict), strings.Join(e.names, " "), e.when, e.at,
			word(card.Verdict), strings.Join(card.Culprits, " "), card.DecidedBy, card.Reason, strings.Join(card.Missing, "; "))
	}
	for _, say := range e.says {
		if got := part(card, say.part); !strings.Contains(got, say.text) {
			return fmt.Errorf("%s:%d: want %q in %s, got %q", s.name, say.line, say.text, say.part, got)
		}
	}
	return nil
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
