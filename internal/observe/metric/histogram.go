package metric

import (
	"math"
	"slices"

	"github.com/prometheus/prometheus/model/histogram"
)

// flatten writes a native histogram, of either kind and any schema, as cumulative counts.
func flatten(fh *histogram.FloatHistogram) *Histogram {
	h := &Histogram{N: fh.Count, Sum: fh.Sum}
	buckets := len(fh.PositiveBuckets) + len(fh.NegativeBuckets) + 1
	h.LE, h.Count = make([]float64, 0, buckets+1), make([]float64, 0, buckets+1)
	for it := fh.AllBucketIterator(); it.Next(); {
		b := it.At()
		h.add(b.Lower, b.Upper, b.Count)
	}
	return h
}

// add appends a bucket that lies above all that were added before.
func (h *Histogram) add(lower, upper, count float64) {
	if count <= 0 || math.IsNaN(count) {
		return
	}
	below := 0.0
	if n := len(h.LE); n > 0 {
		below = h.Count[n-1]
	}
	// The lower bound tells where the mass begins: without it a reader would spread it down to the bound
	// before, which for a sparse histogram may be far away.
	if n := len(h.LE); !math.IsInf(lower, 0) && (n == 0 || h.LE[n-1] < lower) {
		h.LE, h.Count = append(h.LE, lower), append(h.Count, below)
	}
	if !math.IsInf(upper, 0) {
		h.LE, h.Count = append(h.LE, upper), append(h.Count, below+count)
	}
}

// Fell tells whether h cannot be a later state of the same histogram as before: a count went down.
func (h *Histogram) Fell(before *Histogram) bool {
	if before == nil || h.N < before.N {
		return true
	}
	for i, le := range h.LE {
		if h.Count[i] < before.At(le) {
			return true
		}
	}
	return false
}

// Since returns what was observed between an earlier state of the histogram, nil for none, and h.
func (h *Histogram) Since(before *Histogram) *Histogram {
	d := &Histogram{N: h.N, Sum: h.Sum, LE: h.LE, Count: slices.Clone(h.Count)}
	if before != nil {
		d.N, d.Sum = h.N-before.N, h.Sum-before.Sum
		same := slices.Equal(h.LE, before.LE)
		for i, le := range h.LE {
			if same {
				d.Count[i] -= before.Count[i]
			} else {
				d.Count[i] -= before.At(le)
			}
		}
	}
	below := 0.0
	for i, n := range d.Count {
		// Buckets that were merged to a coarser scale in between can seem to shrink.
		below = min(max(n, below), d.N)
		d.Count[i] = below
	}
	return d
}

// Sparse leaves out the bounds between which nothing is.
func (h *Histogram) Sparse() *Histogram {
	out := &Histogram{N: h.N, Sum: h.Sum}
	for i, n := range h.Count {
		grew := i > 0 && n > h.Count[i-1] || i == 0 && n > 0
		grows := i+1 < len(h.Count) && h.Count[i+1] > n
		if grew || grows {
			out.LE, out.Count = append(out.LE, h.LE[i]), append(out.Count, n)
		}
	}
	return out
}

// Plus adds two histograms, over all bounds of both.
func (h *Histogram) Plus(o *Histogram) *Histogram {
	out := &Histogram{N: h.N + o.N, Sum: h.Sum + o.Sum, LE: h.LE}
	if !slices.Equal(h.LE, o.LE) {
		out.LE = slices.Compact(slices.Sorted(slices.Values(slices.Concat(h.LE, o.LE))))
	}
	out.Count = make([]float64, len(out.LE))
	for i, le := range out.LE {
		out.Count[i] = h.At(le) + o.At(le)
	}
	return out
}

// Scaled returns the histogram of the observations times unit.
func (h *Histogram) Scaled(unit float64) *Histogram {
	if unit == 1 {
		return h
	}
	out := &Histogram{LE: make([]float64, len(h.LE)), Count: h.Count, N: h.N, Sum: h.Sum * unit}
	for i, le := range h.LE {
		out.LE[i] = le * unit
	}
	return out
}
