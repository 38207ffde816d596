// Package classic puts the series of a classic histogram, a counter for each bucket, together again.
package classic

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/belaydev/belay/internal/observe/metric"
)

// Histogram gathers the series of one classic histogram. The zero value is empty.
type Histogram struct {
	buckets []bucket
	count   []metric.Point
	sum     []metric.Point
}

type bucket struct {
	le     float64
	points []metric.Point
}

// Bucket adds the series of a bucket with its label "le". One that cannot be read is left out.
func (h *Histogram) Bucket(label string, points []metric.Point) {
	le, err := strconv.ParseFloat(label, 64)
	switch {
	case err != nil || math.IsNaN(le):
	case math.IsInf(le, 1):
		if h.count == nil {
			h.count = points
		}
	default:
		h.buckets = append(h.buckets, bucket{le, points})
	}
}

// Count adds the series of the count.
func (h *Histogram) Count(points []metric.Point) { h.count = points }

// Sum adds the series of the sum.
func (h *Histogram) Sum(points []metric.Point) { h.sum = points }

// Bounded tells whether there are buckets, not only a count and a sum.
func (h *Histogram) Bounded() bool { return len(h.buckets) > 0 }

// Points returns the histogram at each scrape that has its count. Count, buckets and sum are of the same scrape.
func (h *Histogram) Points() []metric.Point {
	slices.SortFunc(h.buckets, func(x, y bucket) int { return cmp.Compare(x.le, y.le) })
	les := make([]float64, len(h.buckets))
	for i, b := range h.buckets {
		les[i] = b.le
	}
	out := make([]metric.Point, 0, len(h.count))
	for _, n := range h.count {
		p := &metric.Histogram{LE: les, Count: make([]float64, len(les)), N: n.V}
		below := 0.0
		for i := range h.buckets {
			if v, ok := take(&h.buckets[i].points, n.T); ok && v >= below {
				below = v
			}
			p.Count[i] = below
		}
		p.Sum, _ = take(&h.sum, n.T)
		out = append(out, metric.Point{T: n.T, H: p})
	}
	return out
}

// take returns the value at t and drops the points up to it.
func take(ps *[]metric.Point, t time.Time) (float64, bool) {
	for len(*ps) > 0 {
		p := (*ps)[0]
		if p.T.After(t) {
			return 0, false
		}
		*ps = (*ps)[1:]
		if p.T.Equal(t) {
			return p.V, true
		}
	}
	return 0, false
}
