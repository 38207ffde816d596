package learning

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/app/translate"
	"github.com/belaydev/belay/internal/config"
	"github.com/belaydev/belay/internal/judge"
	"github.com/belaydev/belay/internal/judge/stats"
	"github.com/belaydev/belay/internal/observe/metric/kpi"
)

// nothing is a version that no release has: what is learned from is the past of one release, and there is no other.
const nothing = "(none)"

// samples are what the stable release showed in an hour, with T counted from its end.
func (l *Learner) samples(ctx context.Context, s config.Service, stable belay.StableRelease, h span) ([]belay.Sample, error) {
	var out []belay.Sample
	if s.Rollout.Proxy != "" {
		out = l.o.Memory(s.Ref()).Between(h.from, h.to)
	}
	targets := l.targets(ctx, s, stable)
	specs := translate.Specs(s)
	if len(specs) == 0 || len(targets) == 0 && len(s.Metrics.Selector) == 0 {
		return out, nil
	}
	subject := translate.Subject(s, belay.Deployment{
		Ref: s.Ref(), CreatedAt: h.to, Release: belay.Release{Version: nothing}, Previous: stable.Release, PreviousTargets: targets,
	}, specs)
	subject.History = h.to.Sub(h.from)
	found, statuses := kpi.New(l.o.Reader, subject).Collect(ctx, h.to)
	for _, v := range statuses {
		if v.Source == "metrics" && !v.OK {
			return nil, fmt.Errorf("read the metrics of %s: %s", s.Ref(), v.Detail)
		}
		if !v.OK {
			l.o.Log.Debug("not learned from", "service", s.Name, "environment", s.Environment, "source", v.Source, "error", v.Detail)
		}
	}
	begin := h.from.Sub(h.to).Seconds()
	for _, m := range found { // a value that a watch compares with its past is read from long before the hour too
		if m.T >= begin && m.T < 0 && m.Arm == belay.ArmBaseline {
			out = append(out, m)
		}
	}
	return out, ctx.Err()
}

// Lately is what the stable release of a service showed from so long ago until now, with T counted from now. An error
// means that its metrics could not be read.
func (l *Learner) Lately(ctx context.Context, s config.Service, ago time.Duration) ([]belay.Sample, error) {
	stable, _, err := l.o.Store.Stable(ctx, s.Ref())
	if err != nil {
		return nil, err
	}
	now := l.o.Now()
	return l.samples(ctx, s, stable, span{now.Add(-ago), now})
}

// targets are the instances that run the stable release: behind its slot, or those of its deployment, or all.
func (l *Learner) targets(ctx context.Context, s config.Service, stable belay.StableRelease) []belay.Target {
	all := translate.Targets(s, l.o.Config())
	if stable.Slot == "" && stable.Deployment != "" {
		if d, err := l.o.Store.Deployment(ctx, stable.Deployment); err == nil && len(d.Targets) > 0 {
			return d.Targets // a pipeline may have named them
		}
	}
	return translate.Behind(all, stable.Slot)
}

// observed is for how many seconds something was seen, by the minute.
func observed(samples []belay.Sample) float64 {
	minutes := map[float64]bool{}
	for i := range samples {
		minutes[math.Floor(samples[i].T/60)] = true
	}
	return 60 * float64(len(minutes))
}

// hardStop is the share of errors of a sick service, where no hard stop says another.
const hardStop = 0.25

// unwell tells whether the service was sick in any minute: whether a deployment that began then would have been stopped
// at once. What it showed is not usual.
func unwell(p judge.Policy, samples []belay.Sample) bool {
	type sums struct{ n, x float64 }
	for _, s := range p.Filled().Signals {
		at := s.HardStop
		if limit := hardStop; at == nil && s.Kind == belay.KindEvents {
			at = &limit
		}
		if at == nil {
			continue
		}
		minutes := map[float64]*sums{}
		for i := range samples {
			m := &samples[i]
			if m.Signal != s.Name || m.Kind != s.Kind || !judge.Countable(m) {
				continue
			}
			sum := minutes[math.Floor(m.T/60)]
			if sum == nil {
				sum = &sums{}
				minutes[math.Floor(m.T/60)] = sum
			}
			switch m.Kind {
			case belay.KindGauge:
				sum.n, sum.x = sum.n+1, sum.x+m.Value
			case belay.KindHistogram: // the share of slow ones is held against what the quantile allows
				slow, _ := stats.Above(m.LE, m.Count, m.N, *at)
				sum.n, sum.x = sum.n+m.N, sum.x+slow
			case belay.KindEvents, belay.KindCount:
				sum.n, sum.x = sum.n+m.N, sum.x+m.X
			}
		}
		for _, sum := range minutes {
			enough := s.Kind == belay.KindGauge || sum.n >= float64(s.HardStopMin)
			worse := s.Worse
			if s.Kind == belay.KindHistogram {
				worse = func(share, _ float64) bool { return share > 1-s.Quantile }
			}
			if sum.n > 0 && enough && worse(sum.x/sum.n, *at) {
				return true
			}
		}
	}
	return false
}

// crowd is how many instances of a signal are remembered beside those that are there: the judge has room for a few more.
const crowd = 48

// thinned is what is known without the instances that are gone and of which little is known, when there are many: each
// deployment may bring instances with new names, and those that are there now need room.
func thinned(known belay.Learned, samples []belay.Sample) belay.Learned {
	there := map[string]map[string]bool{}
	for i := range samples {
		m := &samples[i]
		if there[m.Signal] == nil {
			there[m.Signal] = map[string]bool{}
		}
		there[m.Signal][m.Instance] = true
	}
	known.Signals = slices.Clone(known.Signals)
	for i := range known.Signals {
		l, now := &known.Signals[i], there[known.Signals[i].Signal]
		l.Bad = room(l.Bad, now, func(v belay.LearnedInstance) (string, float64) { return v.Name, v.N })
		l.Speeds = room(l.Speeds, now, func(v belay.LearnedMoments) (string, float64) { return v.Name, v.N })
		l.Levels = room(l.Levels, now, func(v belay.LearnedMoments) (string, float64) { return v.Name, v.N })
	}
	return known
}

func room[T any](list []T, there map[string]bool, of func(T) (name string, n float64)) []T {
	free := max(0, crowd-len(there))
	if len(list) <= free {
		return list
	}
	gone := []T{}
	for _, v := range list {
		if name, _ := of(v); !there[name] {
			gone = append(gone, v)
		}
	}
	slices.SortStableFunc(gone, func(a, b T) int {
		_, na := of(a)
		_, nb := of(b)
		return cmp.Compare(nb, na)
	})
	dropped := map[string]bool{}
	for _, v := range gone[min(len(gone), free):] {
		name, _ := of(v)
		dropped[name] = true
	}
	return slices.DeleteFunc(slices.Clone(list), func(v T) bool {
		name, _ := of(v)
		return dropped[name]
	})
}
