package stats

import (
	"math"
	"slices"
)

// Histogram is a distribution as cumulative counts over upper bounds. Layouts that differ are merged by taking a
// bound that one of them does not list as "nothing more up to here": exact for sparse native buckets.
type Histogram struct {
	LE    []float64
	Count []float64
	N     float64
	Sum   float64
}

// Add adds the observations of one sample.
func (h *Histogram) Add(le, count []float64, n, sum float64) {
	h.N += n
	h.Sum += sum
	if !slices.Equal(h.LE, le) {
		h.relayout(le)
	}
	if len(h.LE) == len(le) { // the usual case: the same layout in every sample
		for i, c := range count {
			h.Count[i] += c
		}
		return
	}
	for i, b := range h.LE {
		h.Count[i] += At(le, count, b)
	}
}

// relayout extends the bounds by those of le.
func (h *Histogram) relayout(le []float64) {
	all := slices.Concat(h.LE, le)
	slices.Sort(all)
	all = slices.Compact(all)
	if len(all) == len(h.LE) {
		return
	}
	count := make([]float64, len(all))
	for i, b := range all {
		count[i] = At(h.LE, h.Count, b)
	}
	h.LE, h.Count = all, count
}

// At returns the cumulative count at the bound b: that of the largest listed bound not above it.
func At(le, count []float64, b float64) float64 {
	i, ok := slices.BinarySearch(le, b)
	if ok {
		return count[i]
	}
	if i == 0 {
		return 0
	}
	return count[i-1]
}

// Above returns how many of n observations exceeded v, interpolated within v's bucket. The second result is false
// when v lies above the last finite bound, where nothing can be said.
func Above(le, count []float64, n, v float64) (float64, bool) {
	i, ok := slices.BinarySearch(le, v)
	if ok {
		return n - count[i], true
	}
	if i == len(le) || math.IsInf(le[i], 1) {
		return 0, false
	}
	lo, below := 0.0, 0.0
	if i > 0 {
		lo, below = le[i-1], count[i-1]
	}
	return n - below - (count[i]-below)*(v-lo)/(le[i]-lo), true
}

// Quantile returns the q-quantile, interpolated within its bucket as Prometheus does: in the last, open bucket it is
// the largest finite bound. NaN without observations.
func (h *Histogram) Quantile(q float64) float64 {
	if h.N <= 0 || len(h.LE) == 0 {
		return math.NaN()
	}
	rank := q * h.N
	i, _ := slices.BinarySearch(h.Count, rank)
	if i == len(h.LE) || math.IsInf(h.LE[i], 1) {
		for i > 0 && (i == len(h.LE) || math.IsInf(h.LE[i], 1)) {
			i--
		}
		return h.LE[i]
	}
	lo, below := 0.0, 0.0
	if i > 0 {
		lo, below = h.LE[i-1], h.Count[i-1]
	}
	if h.Count[i] == below {
		return h.LE[i]
	}
	return lo + (h.LE[i]-lo)*(rank-below)/(h.Count[i]-below)
}

// Typical returns the q-quantile as Stretch sees the distribution: values within a bucket follow a power law. Quantiles
// of two histograms with wide buckets compare better so than by straight lines. NaN without observations.
func (h *Histogram) Typical(q float64) float64 {
	if h.N <= 0 || len(h.LE) == 0 {
		return math.NaN()
	}
	want := 1 - q
	lo, slo := 0.0, 1.0
	for i, b := range h.LE {
		if math.IsInf(b, 1) {
			break
		}
		s := (h.N - h.Count[i] + 0.5) / (h.N + 1)
		if s > want {
			lo, slo = b, s
			continue
		}
		if lo == 0 {
			return b * (1 - want) / (1 - s)
		}
		return lo * math.Exp(math.Log(b/lo)*math.Log(slo/want)/math.Log(slo/s))
	}
	return lo
}

// Mean returns the mean of the observations: exact where their sum is known, else by the middles of the buckets. NaN
// without observations.
func (h *Histogram) Mean() float64 {
	if h.N <= 0 {
		return math.NaN()
	}
	if h.Sum > 0 {
		return h.Sum / h.N
	}
	sum, below, seen := 0.0, 0.0, 0.0
	for i, b := range h.LE {
		if math.IsInf(b, 1) {
			break
		}
		sum += (h.Count[i] - seen) * (below + b) / 2
		below, seen = b, h.Count[i]
	}
	return (sum + (h.N-seen)*1.5*below) / h.N
}

// Deviation returns the standard deviation of the observations by the middles of the buckets, those beyond the last
// bound taken as half more than it.
func (h *Histogram) Deviation() float64 {
	if h.N <= 0 {
		return math.NaN()
	}
	sum, squares, below, seen := 0.0, 0.0, 0.0, 0.0
	add := func(n, v float64) { sum, squares = sum+n*v, squares+n*v*v }
	for i, b := range h.LE {
		if math.IsInf(b, 1) {
			break
		}
		add(h.Count[i]-seen, (below+b)/2)
		below, seen = b, h.Count[i]
	}
	add(h.N-seen, 1.5*below)
	mean := sum / h.N
	return math.Sqrt(math.Max(0, squares/h.N-mean*mean))
}

// BoundOf is the least finite bound that at least the share q of the values kept; the last one when none did.
func (h *Histogram) BoundOf(q float64) (bound float64, ok bool) {
	for i, b := range h.LE {
		if math.IsInf(b, 1) {
			break
		}
		bound, ok = b, true
		if h.Count[i] >= q*h.N {
			break
		}
	}
	return bound, ok
}

// Median is the middle of the values, which are sorted.
func Median(v []float64) float64 {
	slices.Sort(v)
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}
