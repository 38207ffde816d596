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
