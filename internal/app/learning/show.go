package learning

import (
	"context"
	"fmt"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/app/session"
	"github.com/belaydev/belay/internal/app/translate"
	"github.com/belaydev/belay/internal/config"
	"github.com/belaydev/belay/internal/judge"
	"github.com/belaydev/belay/internal/judge/habit"
)

// Before is what a watch of a deployment is told: what was learned before the past began that it is shown too, of which
// history is a part. Nil when that is nothing.
func (l *Learner) Before(ctx context.Context, d belay.Deployment, history []belay.Sample) (*belay.Learned, error) {
	earliest := -session.HistoryLength
	for i := range history {
		earliest = min(earliest, time.Duration(history[i].T*float64(time.Second)))
	}
	known, found, err := l.o.Store.LearnedBefore(ctx, d.Ref, d.CreatedAt.Add(earliest))
	if err != nil || !found || len(known.Signals) == 0 {
		return nil, err
	}
	return &known, nil
}

// Learned says what a service is held to be like.
func (l *Learner) Learned(ctx context.Context, ref belay.Ref) (belay.LearnedStatus, error) {
	cfg := l.o.Config()
	s, ok := cfg.Service(ref)
	if !ok {
		return belay.LearnedStatus{}, belay.Errorf(belay.CodeNotFound, "there is no service %s", ref).WithNext("add it to the configuration")
	}
	known, _, err := l.o.Store.Learned(ctx, ref)
	if err != nil {
		return belay.LearnedStatus{}, err
	}
	out := Explain(s, known, func(path string) string {
		line, _ := cfg.Line(ref, path)
		return fmt.Sprintf("by %s in line %d of the configuration", path, line)
	})
	out.Problem = l.problem(ref)
	return out, nil
}

// Forget begins anew: nothing that was learned of the service until now counts any more.
func (l *Learner) Forget(ctx context.Context, ref belay.Ref, actor string) (belay.LearnedStatus, error) {
	if _, ok := l.o.Config().Service(ref); !ok {
		return belay.LearnedStatus{}, belay.Errorf(belay.CodeNotFound, "there is no service %s", ref).WithNext("add it to the configuration")
	}
	if err := l.o.Store.ForgetLearned(ctx, ref, l.o.Actor(actor)); err != nil {
		return belay.LearnedStatus{}, err
	}
	l.anew(ref)
	return l.Learned(ctx, ref)
}

// Explain says what a service is held to be like: what a watch that began now would go by, and where it is known from.
// Line gives the line of the configuration in which a setting was written.
func Explain(s config.Service, known belay.Learned, line func(path string) string) belay.LearnedStatus {
	out := belay.LearnedStatus{Ref: s.Ref(), Until: known.Until, Hours: known.Seconds / 3600, Signals: []belay.SignalHabits{}}
	policy := translate.JudgePolicy(s, belay.Deployment{Ref: s.Ref()}, false)
	asked := ask(policy, known)
	for _, p := range policy.Signals {
		sig := belay.SignalHabits{Signal: p.Name, Kind: p.Kind, Compared: p.Compare}
		if p.Compare {
			sums := of(known, p.Name)
			for _, h := range asked[p.Name] {
				sig.Habits = append(sig.Habits, told(h, p, sums, line))
			}
		}
		out.Signals = append(out.Signals, sig)
	}
	return out
}

func of(known belay.Learned, signal string) belay.LearnedSignal {
	for _, l := range known.Signals {
		if l.Signal == signal {
			return l
		}
	}
	return belay.LearnedSignal{}
}

// told completes a habit with where it is known from, and what would change it.
func told(h belay.Habit, p judge.SignalPolicy, sums belay.LearnedSignal, line func(path string) string) belay.Habit {
	instances := max(len(sums.Bad), len(sums.Speeds), len(sums.Levels))
	switch {
	case h.Source == belay.HabitSet && h.Name == belay.HabitMargin:
		h.Value, h.Detail = p.Margin, line("signals."+p.Name+".margin")
	case h.Source == belay.HabitSet && h.Name == belay.HabitDispersion:
		h.Value, h.Detail = p.Dispersion, line("signals."+p.Name+".dispersion")
	case h.Source == belay.HabitAssumed && h.Name == belay.HabitMargin:
		least := "three"
		if p.Kind == belay.KindGauge {
			least = "four"
		}
		h.Detail = fmt.Sprintf("how instances differ shows from %s on that have served long enough; seen so far: %d", least, instances)
	case h.Source == belay.HabitAssumed && h.Name == belay.HabitDispersion && h.Detail == "":
		h.Detail = fmt.Sprintf("nothing is assumed any more after some %d bad events; none have been seen so far", habit.Believed)
	case h.Source == belay.HabitLearned && h.Detail == "":
		h.Detail = fmt.Sprintf("%d instances", instances)
	}
	return h
}

// The imaginary watch of ask.
const (
	ticks      = 40  // until the noise of a value may be taken for known
	few        = 100 // values of a histogram: enough to choose boundaries by, too few to learn from
	firstTick  = 0.0
	noWarmup   = 1e-9
	someValue  = 1.0
	someEvents = 1
)

// ask shows what is known to a judge, lets a watch begin in which nothing to speak of happens, and reads off the card
// what the judge goes by. So what is shown is what would be used, whatever becomes of the judge's own rules. Where too
// little is known for a comparison of values, what it would be given by two instances of the old release is told.
func ask(policy judge.Policy, known belay.Learned) map[string][]belay.Habit {
	out := imagine(policy, known, "(imagined)")
	for name, h := range imagine(policy, belay.Learned{}, "(imagined)", "(imagined too)") {
		if len(out[name]) == 0 {
			out[name] = h
		}
	}
	return out
}

// imagine is one imaginary watch. A single instance of the old release has none beside it from which the judge could
// learn how values differ.
func imagine(policy judge.Policy, known belay.Learned, instances ...string) map[string][]belay.Habit {
	policy.Warmup = noWarmup
	j := judge.New(policy)
	j.Relearn(known, 0)
	for t := firstTick; t < ticks; t++ {
		var samples []belay.Sample
		for _, s := range policy.Signals {
			if !s.Compare {
				continue
			}
			samples = append(samples, imagined(s, belay.ArmCandidate, instances[0]))
			for _, in := range instances {
				// What the baseline shows in one tick is learned from in the next; it shows counts in the first alone.
				if s.Kind == belay.KindGauge || t == firstTick {
					samples = append(samples, imagined(s, belay.ArmBaseline, in))
				}
			}
		}
		j.Take(belay.Tick{T: t, Samples: samples})
	}
	out := map[string][]belay.Habit{}
	for _, e := range j.Card().Signals {
		out[e.Signal] = e.Habits
	}
	return out
}

func imagined(s judge.SignalPolicy, arm belay.Arm, instance string) belay.Sample {
	m := belay.Sample{Signal: s.Name, Kind: s.Kind, Arm: arm, Instance: instance}
	switch s.Kind {
	case belay.KindGauge:
		m.Value = someValue
	case belay.KindHistogram:
		m.N, m.LE, m.Count = few, []float64{0.1, 0.2, 0.4, 0.8}, []float64{20, 50, 80, 95}
	case belay.KindEvents, belay.KindCount:
		m.N = someEvents
	}
	return m
}
