package usual

import "math"

// Flagger is one metric of a Canary's analysis with "thresholdRange: {min}" or {max} (pkg/controller/scheduler.go,
// scheduler_metrics.go). Failed checks add up over the whole analysis: a check that passes takes none back. Its own
// default of Threshold is 1, and its documented examples say 5 and 10.
type Flagger struct {
	Min, Max  float64 // NaN is no limit
	Threshold int

	failed int
}

// Check takes one check and tells whether the canary is rolled back: once Threshold checks have failed. NaN, no values
// found, is a failed check.
func (f *Flagger) Check(value float64) bool {
	if math.IsNaN(value) || value < f.Min || value > f.Max {
		f.failed++
	}
	return f.failed >= max(1, f.Threshold)
}

// FlaggerRule is Flagger's built-in request-success-rate of the candidate, checked each interval over that interval.
type FlaggerRule struct {
	flagger Flagger
	windows windows
}

// NewFlagger watches by a least success rate, a threshold of failed checks and an interval.
func NewFlagger(least float64, threshold int, interval float64) *FlaggerRule {
	return &FlaggerRule{Flagger{Min: least, Max: math.NaN(), Threshold: threshold}, windows{every: interval}}
}

// Observe takes a tick.
func (r *FlaggerRule) Observe(t float64, candidate, baseline Counts) bool {
	return r.windows.add(t, candidate, baseline, func(c, _ Counts) bool { return r.flagger.Check(c.Success()) })
}
