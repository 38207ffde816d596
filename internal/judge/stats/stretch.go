package stats

import "math"

// Stretch holds, for a set of boundaries of a histogram, by how much the odds of being slower than each boundary,
// once slower than the one before, rise when every value is multiplied by a factor. These odds describe a whole
// distribution, so that tests of them one after the other use all that a histogram knows, and each of them is exact:
// given how many values passed the boundary before, on both sides and in all, it is a table of two rows and columns.
type Stretch struct {
	Bounds  []float64
	Factors []float64
	odds    [][]float64 // per boundary, per factor: odds ratio, at least 1
}

// Limits of an odds ratio: a factor above 1 makes nothing faster, and what was never seen is no certainty.
const mostOdds = 1000

// NewStretch computes the odds from the distribution h: its survival function is taken as a power law between two
// boundaries and beyond the last one. The last of the factors also adds shift to every value, whichever is more.
func NewStretch(h *Histogram, bounds, factors []float64, shift float64) *Stretch {
	s := &Stretch{Bounds: bounds, Factors: factors, odds: make([][]float64, len(bounds))}
	for i, b := range bounds {
		s.odds[i] = make([]float64, len(factors))
		below := 0.0
		if i > 0 {
			below = bounds[i-1]
		}
		was := h.passOdds(below, b)
		for k, f := range factors {
			from, to := below/f, b/f
			last := k == len(factors)-1
			if last {
				from, to = math.Min(from, math.Max(0, below-shift)), math.Min(to, math.Max(0, b-shift))
			}
			s.odds[i][k] = math.Min(mostOdds, math.Max(1, h.passOdds(from, to)/was))
			if k > 0 && !last { // more is never less, rounding or not
				s.odds[i][k] = math.Max(s.odds[i][k], s.odds[i][k-1])
			}
		}
	}
	return s
}

// passOdds returns the odds of a value above b among those above a.
func (h *Histogram) passOdds(a, b float64) float64 {
	sa, sb := h.survival(a), h.survival(b)
	return sb / math.Max(sa-sb, 1e-9*sa+1e-12)
}

// survival returns the share of values above v, never quite 0 or 1: half an observation is added on either side.
func (h *Histogram) survival(v float64) float64 {
	above := func(i int) float64 { return (h.N - h.Count[i] + 0.5) / (h.N + 1) }
	if v <= 0 || len(h.LE) == 0 {
		return 1
	}
	lo, slo := 0.0, 1.0
	hi, shi := math.Inf(1), 0.0
	for i, b := range h.LE {
		if math.IsInf(b, 1) {
			break
		}
		if b <= v {
			lo, slo = b, above(i)
			continue
		}
		hi, shi = b, above(i)
		break
	}
	switch {
	case math.IsInf(hi, 1) && lo == 0:
		return 1
	case math.IsInf(hi, 1): // beyond the last boundary, a tail that halves as the values double
		return slo * lo / v
	case lo == 0: // the values of the first bucket are spread evenly
		return slo + (shi-slo)*v/hi
	}
	at := math.Log(v/lo) / math.Log(hi/lo)
	return math.Exp(math.Log(slo) + at*(math.Log(shi)-math.Log(slo)))
}

// Add adds to out, per factor, the log likelihood of how many values passed each boundary, relative to a factor of 1.
// slow are the counts beyond each boundary; all are the counts of the tick. scratch has the length of Factors.
func (s *Stretch) Add(all Counts, slow []Counts, out, scratch []float64) {
	cn, bn := all.CN, all.BN // that reached the boundary
	for i, c := range slow {
		c.CN, c.BN = cn, bn
		cn, bn = c.CX, c.BX
		if !c.Comparable() || c.CX+c.BX >= c.CN+c.BN {
			continue
		}
		Compare(c, s.odds[i], 1, scratch)
		for k, v := range scratch {
			out[k] += v
		}
	}
}
