// Package forecast says before a deployment what its watch will be able to see: from the traffic that the service has
// now, its policy and what was learned of it. It is part of the composition root; it counts what others observed.
package forecast

import (
	"math"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/app/translate"
	"github.com/belaydev/belay/internal/config"
	"github.com/belaydev/belay/internal/judge/outlook"
)

// Of is the outlook of a service in one sentence, "" while its traffic is not known. past are samples from before now,
// with T in seconds from now.
func Of(s config.Service, past []belay.Sample, known belay.LearnedStatus) string {
	t, ok := traffic(past)
	if !ok {
		return ""
	}
	if len(s.Rollout.Steps) > 0 {
		t.Share = float64(s.Rollout.Steps[0]) / 100
	}
	for _, l := range known.Signals {
		for _, h := range l.Habits {
			switch {
			case l.Signal != config.ErrorRate:
			case h.Name == belay.HabitDispersion:
				t.Dispersion = h.Value
			case h.Name == belay.HabitMargin:
				t.Margin = h.Value
			}
		}
	}
	return outlook.Forecast(translate.JudgePolicy(s, belay.Deployment{Ref: s.Ref()}, true), t).String()
}

// traffic sums up what was seen of requests. Samples are of pieces of time and lie in their middle.
func traffic(past []belay.Sample) (outlook.Traffic, bool) {
	t := outlook.Traffic{Share: 1}
	n, x := 0.0, 0.0
	first, last := math.Inf(1), math.Inf(-1)
	moments := map[float64]bool{}
	for _, m := range past {
		if m.Signal != config.ErrorRate || m.Kind != belay.KindEvents {
			continue
		}
		n, x = n+m.N, x+m.X
		first, last = math.Min(first, m.T), math.Max(last, m.T)
		moments[m.T] = true
	}
	if len(moments) < 2 || n <= 0 {
		return t, false
	}
	pieces := float64(len(moments))
	t.PerSecond = n / ((last - first) * pieces / (pieces - 1))
	t.ErrorRate = x / n
	return t, true
}
