package metric

import (
	"math"

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
