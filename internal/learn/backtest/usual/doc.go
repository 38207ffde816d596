// Package usual is what the usual products of this field would decide about a deployment: the counting rules of Argo
// Rollouts' analysis and of Flagger, and the statistics of Kayenta's NetflixACAJudge. It is rebuilt from their sources,
// with their defaults and the values of their documented examples, and computes only: counts in, a decision out.
//
// Read at: argoproj/argo-rollouts 9f8d111d, fluxcd/flagger 15bd6ad5, spinnaker/kayenta a69573be. These are rules, not
// the products at work: queries, intervals and limits are for their users to choose.
package usual

import "math"

// Counts are requests of one side, and the bad ones among them.
type Counts struct{ N, X float64 }

// Success is the share of good requests; NaN without any, as a division of two rates of zero gives.
func (c Counts) Success() float64 {
	if c.N == 0 {
		return math.NaN()
	}
	return 1 - c.X/c.N
}

// Rule watches the counts of a deployment, tick by tick, and says when it would take it back. The tick at t covers the
// time since the one before it.
type Rule interface {
	Observe(t float64, candidate, baseline Counts) bool
}

// windows sums up ticks into measurements, one each Every seconds since the deployment.
type windows struct {
	every     float64
	end       float64
	candidate Counts
	baseline  Counts
}

// add takes a tick and calls measure for each window that it completes. A window in which nothing was read, because a
// tick was missing, is measured all the same, as a query would be: it is empty.
func (w *windows) add(t float64, candidate, baseline Counts, measure func(candidate, baseline Counts) bool) bool {
	w.candidate.N, w.candidate.X = w.candidate.N+candidate.N, w.candidate.X+candidate.X
	w.baseline.N, w.baseline.X = w.baseline.N+baseline.N, w.baseline.X+baseline.X
	if w.end == 0 {
		w.end = w.every
	}
	for t >= w.end-1e-9 {
		w.end += w.every
		c, b := w.candidate, w.baseline
		w.candidate, w.baseline = Counts{}, Counts{}
		if measure(c, b) {
			return true
		}
	}
	return false
}
