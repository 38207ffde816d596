package kpi

import (
	"cmp"
	"math"
	"slices"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/observe/metric/kpi/tally"
)

// samples writes sums as samples of the subject's signals.
func (c *Collector) samples(sums []*tally.Sum) []belay.Sample {
	var out []belay.Sample
	for _, s := range sums {
		for _, spec := range c.catalog.specs {
			if spec.builtin() != s.Signal {
				continue
			}
			if x, ok := c.sample(spec, s); ok {
				x.T, x.Signal, x.Arm, x.Instance, x.Stratum = c.subject.t(s.At), spec.Name, s.Arm, s.Instance, s.Stratum
				out = append(out, x)
			}
		}
	}
	return out
}

func (c *Collector) sample(spec Spec, s *tally.Sum) (belay.Sample, bool) {
	switch s.Signal {
	case ErrorRate:
		return belay.Sample{Kind: belay.KindEvents, N: s.N, X: c.bad(spec, s.ByStatus)}, s.N > 0
	case ResponseTime:
		h := s.Hist
		if math.IsNaN(h.Sum) || math.IsInf(h.Sum, 0) {
			return belay.Sample{Kind: belay.KindHistogram, N: h.N, LE: h.LE, Count: h.Count}, true
		}
		return belay.Sample{Kind: belay.KindHistogram, N: h.N, LE: h.LE, Count: h.Count, Sum: h.Sum}, true
	case MemoryUsage:
		return belay.Sample{Kind: belay.KindGauge, Value: s.Value}, true
	}
	v, ok := s.PerSecond()
	return belay.Sample{Kind: belay.KindGauge, Value: v}, ok
}

func (c *Collector) bad(spec Spec, byStatus map[string]float64) float64 {
	n := 0.0
	for status, count := range byStatus {
		if status != "" && c.catalog.bad[spec.Name].MatchString(status) {
			n += count
		}
	}
	return n
}

// capped returns the stratum, or "other" once there are too many: a route with an id in its path would be a new
// one with each request.
func (c *Collector) capped(stratum string) string {
	if stratum == "" || c.strata[stratum] {
		return stratum
	}
	if len(c.strata) >= maxStrata {
		return otherStrata
	}
	c.strata[stratum] = true
	return stratum
}

func sortSamples(s []belay.Sample) {
	slices.SortFunc(s, func(a, b belay.Sample) int {
		return cmp.Or(cmp.Compare(a.T, b.T), cmp.Compare(a.Signal, b.Signal), cmp.Compare(a.Arm, b.Arm),
			cmp.Compare(a.Instance, b.Instance), cmp.Compare(a.Stratum, b.Stratum))
	})
}
