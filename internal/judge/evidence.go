package judge

import (
	"fmt"
	"math"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/judge/compare"
	"github.com/belaydev/belay/internal/judge/habit"
	"github.com/belaydev/belay/internal/judge/limit"
	"github.com/belaydev/belay/internal/judge/phrase"
)

// evidence is what is known of one signal, for the card.
func (j *Judge) evidence(s *signal) belay.SignalEvidence {
	e := belay.SignalEvidence{Signal: s.Name, Kind: s.Kind, Unit: s.Unit, Threshold: s.Threshold, Method: byThreshold}
	if s.gauge != nil {
		e.Candidate, e.Baseline = reading(s.gauge, candidate), reading(s.gauge, baseline)
		e.N = s.gauge.Readings
	}
	if s.cmp != nil {
		total := s.cmp.Total()
		e.N, e.X, e.BaseN, e.BaseX = total.CN, total.CX, total.BN, total.BX
		e.Candidate, e.Baseline = s.level(candidate), s.level(baseline)
	}
	if s.weight > 0 && s.compared() {
		e.Method = byComparison
		e.EValue, e.Limit = math.Exp(s.logE()), 1/(j.policy.FalseRollbackRate*s.weight)
		e.Against, e.Habits = s.against(), s.habits()
		e.Effect, e.Interval = s.effect()
		switch suspect := s.suspect(); {
		case suspect && s.blamed():
			e.FirstBad = known(s.before.Since())
		case suspect && s.cmp != nil:
			f := s.cmp.Finding()
			e.Stratum, e.FirstBad = f.Stratum, known(f.Since)
		}
	}
	if good, ok := s.logGood(); ok {
		e.GoodE, e.GoodLimit = math.Exp(good), 1/j.policy.PassRate
		e.GoodIn = j.goodIn(s)
	}
	e.Verdict, e.Note = j.verdict(s), j.note(s)
	if s.stopped() {
		e.Method = byHardStop
	} else if s.broken(j.last) {
		e.Method = byThreshold
	}
	return e
}

func reading(g *limit.Gauge, side int) *float64 {
	if !g.Read[side] {
		return nil
	}
	v := g.Value[side]
	return &v
}

func known(v float64) *float64 {
	if math.IsNaN(v) {
		return nil
	}
	return &v
}

// level is the value of one side over the watch: the share of bad events, or the quantile.
func (s *signal) level(side int) *float64 {
	if s.Kind == belay.KindHistogram {
		return known(s.cmp.Distribution(compare.Side(side)).Quantile(s.Quantile))
	}
	t := s.cmp.Total()
	n, x := t.CN, t.CX
	if side == baseline {
		n, x = t.BN, t.BX
	}
	if n == 0 {
		return nil
	}
	v := x / n
	if s.Direction == LowerIsWorse {
		v = 1 - v
	}
	return &v
}

// compared tells whether there is a comparison, or will be one.
func (s *signal) compared() bool {
	return s.cmp != nil || s.values != nil && (s.values.Compared() || s.before.Placed())
}

// against is what the signal was compared with so far.
func (s *signal) against() belay.Against {
	switch {
	case s.values != nil && s.before.Placed() && s.values.Compared():
		return belay.AgainstBoth
	case s.values != nil && s.before.Placed():
		return belay.AgainstPast
	case s.values != nil:
		return belay.AgainstBaseline
	case s.cmp.Beside() && (s.cmp.Against() || s.before.Placed()):
		return belay.AgainstBoth
	case s.cmp.Beside():
		return belay.AgainstBaseline
	case s.cmp.Against() || s.before.Placed():
		return belay.AgainstPast
	}
	return belay.AgainstNothing
}

// effect is by how much the sides differ, as far as can be told.
func (s *signal) effect() (*float64, *belay.Interval) {
	if s.values != nil {
		ratio, low, high, ok := s.values.Effect()
		if !ok && s.blamed() && s.suspect() {
			return s.before.Effect(), nil
		} else if !ok {
			return nil, nil
		}
		return &ratio, &belay.Interval{Low: low, High: high}
	}
	e, ok := s.cmp.Effect()
	switch {
	case !ok:
		return nil, nil
	case s.Kind == belay.KindEvents && s.Direction == LowerIsWorse: // what was compared are the others
		e.Ratio, e.Low, e.High = 1/e.Ratio, 1/e.High, 1/e.Low
	}
	return &e.Ratio, &belay.Interval{Low: e.Low, High: e.High}
}

// habits are the quantities that the comparison goes by.
func (s *signal) habits() []belay.Habit {
	if s.values != nil && !s.values.Compared() {
		return nil // the past brings its own measure along
	}
	if s.values != nil {
		h := belay.Habit{Name: belay.HabitMargin, Value: math.Exp(2 * s.values.Spread()), Source: belay.HabitLearned}
		switch {
		case s.Margin > 0:
			h.Value, h.Source = s.Margin, belay.HabitSet
		case !s.values.Known():
			h.Value, h.Source = math.Exp(2*0.2), belay.HabitAssumed
		}
		return []belay.Habit{h}
	}
	known, ok := s.cmp.Habits()
	if !ok {
		return nil
	}
	margin := belay.Habit{Name: belay.HabitMargin, Value: known.Margin, Source: belay.HabitAssumed}
	switch {
	case s.Margin > 0:
		margin.Source = belay.HabitSet
	case known.Spread.Known:
		margin.Source = belay.HabitLearned
		margin.Detail = fmt.Sprintf("%d instances, %s events", known.Spread.Instances, phrase.Count(known.Spread.Events))
	}
	return []belay.Habit{margin, s.dispersion(known.Dispersion)}
}

func (s *signal) dispersion(d habit.Dispersion) belay.Habit {
	h := belay.Habit{Name: belay.HabitDispersion, Value: d.Size, Source: belay.HabitAssumed}
	switch {
	case s.Dispersion > 0:
		h.Source = belay.HabitSet
	case d.Seen >= habit.Believed:
		h.Source = belay.HabitLearned
		h.Detail = fmt.Sprintf("%s bad events", phrase.Count(d.Events))
	case d.Seen >= 1:
		h.Detail = fmt.Sprintf("%s bad events so far; 1 is reached when they keep coming one by one", phrase.Count(d.Events))
	}
	return h
}

// goodIn estimates when health will be proven at the present pace of requests; nil when it is, or cannot be told.
func (j *Judge) goodIn(s *signal) *float64 {
	if s.cmp == nil || s.proved || math.IsNaN(j.start) || j.last <= j.start {
		return nil
	}
	n := s.cmp.Total().CN
	more := s.more(-math.Log(j.policy.PassRate))
	if n <= 0 || more <= 0 || math.IsInf(more, 1) {
		return nil
	}
	wait := more * (j.last - j.start) / n
	return &wait
}
