package backtest

import (
	"maps"
	"slices"
	"sort"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/judge/stream"
)

// errorRate is the signal that counts requests and those that failed.
const errorRate = "error_rate"

func old(m *belay.Sample) bool { return m.Arm == belay.ArmBaseline }

// tally adds up what the new release answered, so that harm can be told for any two moments once all is known.
type tally struct {
	series map[string]*served // by signal
	end    float64            // of the record
}

// served are sums over the deployment, at each moment that had an answer.
type served struct{ t, n, x []float64 }

func (s *served) add(t, n, x float64) {
	if k := len(s.t); k > 0 {
		n, x = n+s.n[k-1], x+s.x[k-1]
		if s.t[k-1] == t {
			s.n[k-1], s.x[k-1] = n, x
			return
		}
	}
	s.t, s.n, s.x = append(s.t, t), append(s.n, n), append(s.x, x)
}

// before returns the sums of all that came before t, or at t too.
func (s *served) before(t float64, too bool) (n, x float64) {
	i := sort.Search(len(s.t), func(i int) bool { return s.t[i] > t || !too && s.t[i] == t })
	if i == 0 {
		return 0, 0
	}
	return s.n[i-1], s.x[i-1]
}

func (a *tally) take(t *stream.Tick) {
	if t.T < 0 {
		return
	}
	a.end = t.T
	for i := range t.Samples {
		m := &t.Samples[i]
		if m.Kind != belay.KindEvents || m.T < 0 || old(m) || m.N <= 0 {
			continue
		}
		if a.series[m.Signal] == nil {
			if a.series == nil {
				a.series = map[string]*served{}
			}
			a.series[m.Signal] = &served{}
		}
		a.series[m.Signal].add(t.T, m.N, min(m.X, m.N))
	}
}

// requests is the signal whose bad events are counted as harm: the errors, else the first by name.
func (a *tally) requests() *served {
	if s := a.series[errorRate]; s != nil {
		return s
	}
	for _, name := range slices.Sorted(maps.Keys(a.series)) {
		return a.series[name]
	}
	return nil
}

// harm is what the release did from its first bad moment to a decision; to the end of the record without one.
func (a *tally) harm(from float64, decided *float64) *Harm {
	s := a.requests()
	if s == nil {
		return nil
	}
	to := a.end
	if decided != nil {
		to = *decided
	}
	if to < from {
		return &Harm{}
	}
	n0, x0 := s.before(from, false)
	n1, x1 := s.before(to, true)
	return &Harm{Bad: x1 - x0, Served: n1 - n0, Seconds: to - from}
}
