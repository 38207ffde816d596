package usual

import (
	"math"
	"slices"
)

// Direction says which way a metric gets worse, as Kayenta's configuration does.
type Direction string

// The directions. Kayenta's default is Either.
const (
	Increase Direction = "increase"
	Decrease Direction = "decrease"
	Either   Direction = "either"
)

// Classification is what Kayenta says of one metric.
type Classification string

// The classifications.
const (
	Pass             Classification = "Pass"
	High             Classification = "High"
	Low              Classification = "Low"
	Nodata           Classification = "Nodata"
	NodataFailMetric Classification = "NodataFailMetric"
	Error            Classification = "Error"
)

// What NetflixACAJudge sets for every metric.
const (
	tolerance  = 0.25 // of the estimated shift: how far the interval must stay from zero
	confidence = 0.98
	noise      = 1e-5 // of the value, where both sides never change
	mostNodata = 50   // per cent of the metrics without data that fail a canary
)

// Metric is the configuration of one metric in Kayenta ("analysisConfigurations.canary"). The zero Metric has the
// defaults: both directions, NaN removed, any increase that is significant counts.
type Metric struct {
	Direction       Direction
	Zeros           bool    // nanStrategy: replace, which reads a missing value as 0; else it is removed
	RemoveOutliers  bool    // outliers.strategy: remove, by the interquartile range
	OutlierFactor   float64 // 0 is Kayenta's 3
	AllowedIncrease float64 // mean ratio from which High counts; 0 is Kayenta's 1
	AllowedDecrease float64 // mean ratio up to which Low counts; 0 is Kayenta's 1
	Critical        bool    // this metric alone fails the canary
	MustHaveData    bool
}

// Result is the classification of one metric, and whether it fails the canary by itself.
type Result struct {
	Classification Classification
	Critical       bool
}

// Classify compares the values of a canary with those of its baseline, one value for each step of time.
func (m Metric) Classify(baseline, canary []float64) Result {
	control, experiment := m.clean(baseline), m.clean(canary)
	if len(control) == 0 || len(experiment) == 0 {
		switch {
		case m.Zeros:
			return Result{Classification: Pass}
		case m.MustHaveData && !m.Critical:
			return Result{Classification: NodataFailMetric}
		}
		return Result{Nodata, m.Critical}
	}
	if alike(control, experiment) {
		return Result{Classification: Pass}
	}
	if constant(control) && constant(experiment) {
		control, experiment = jitter(control), jitter(experiment)
	}
	low, high, estimate, ok := mannWhitney(experiment, control, confidence)
	if !ok {
		return Result{Error, m.Critical}
	}
	ratio := mean(experiment) / mean(control)
	if mean(experiment) == 0 || mean(control) == 0 {
		ratio = math.NaN() // an effect that cannot be computed is not asked for
	}
	bound := tolerance * math.Abs(estimate)
	switch {
	case m.Direction != Decrease && low > bound && !(ratio < orOne(m.AllowedIncrease)):
		return Result{High, m.Critical}
	case m.Direction != Increase && high < -bound && !(ratio > orOne(m.AllowedDecrease)):
		return Result{Low, m.Critical}
	}
	return Result{Classification: Pass}
}

func orOne(v float64) float64 {
	if v == 0 {
		return 1
	}
	return v
}

// clean removes what Kayenta removes, into a new slice.
func (m Metric) clean(values []float64) []float64 {
	kept := make([]float64, 0, len(values))
	for _, v := range values {
		switch {
		case !math.IsNaN(v):
			kept = append(kept, v)
		case m.Zeros:
			kept = append(kept, 0)
		}
	}
	if !m.RemoveOutliers || len(kept) == 0 {
		return kept
	}
	factor := m.OutlierFactor
	if factor == 0 {
		factor = 3
	}
	sorted := slices.Sorted(slices.Values(kept))
	q1, q3 := percentile(sorted, 25), percentile(sorted, 75)
	low := math.Min(percentile(sorted, 1), q1-factor*(q3-q1))
	high := math.Max(percentile(sorted, 99), q3+factor*(q3-q1))
	return slices.DeleteFunc(kept, func(v float64) bool { return v < low || v > high })
}

// percentile is R's type 7, of sorted values.
func percentile(sorted []float64, p float64) float64 {
	at := p / 100 * float64(len(sorted)-1)
	i := int(at)
	if i+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}

func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}

func constant(values []float64) bool { return slices.Min(values) == slices.Max(values) }

// alike tells whether both sides hold the same values, or one value only.
func alike(a, b []float64) bool {
	if slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))) {
		return true
	}
	return constant(a) && constant(b) && a[0] == b[0]
}

// jitter spreads values that never change a little, as Kayenta does by adding normal noise so that the test can be
// computed: here by the quantiles of that noise, so that the same values always give the same answer.
func jitter(values []float64) []float64 {
	out := make([]float64, len(values))
	for i, v := range values {
		q := (float64(i) + 0.5) / float64(len(values))
		out[i] = v + noise*v*normalQuantile(q)
	}
	return out
}

// normalQuantile is the inverse of the standard normal distribution.
func normalQuantile(p float64) float64 { return math.Sqrt2 * math.Erfinv(2*p-1) }

// Score is the result of a canary in per cent, of metrics that form one group (scorers/WeightedSumScorer.scala): the
// share that passed of those that could be judged. A critical one that did not pass fails all, and so does a half
// without data.
func Score(results []Result) float64 {
	passed, judged, empty := 0, 0, 0
	for _, r := range results {
		if r.Critical && r.Classification != Pass {
			return 0
		}
		switch r.Classification {
		case Pass:
			passed++
			judged++
		case High, Low, NodataFailMetric:
			judged++
		case Nodata:
			empty++
		case Error: // counts for nothing
		}
	}
	switch {
	case 100*empty >= mostNodata*len(results):
		return 0
	case judged == 0:
		return 100
	}
	return 100 * float64(passed) / float64(judged)
}

// Failed tells whether the running canary stage stops at a score: at the marginal score or below it.
func Failed(score, marginal float64) bool { return score <= marginal }

// kayentaStep is the time, in seconds, that one value stands for: Kayenta's usual step.
const kayentaStep = 60

// Marginal is the marginal score of Kayenta's documented examples. The stage itself has no default.
const Marginal = 75

// KayentaRule is a canary analysis on one metric, the percentage of bad requests, that only ever gets worse upwards. It
// looks at all values since the deployment each Every seconds: Spinnaker's "lookback: growing".
type KayentaRule struct {
	Metric

	windows           windows
	every, next       float64
	canary, reference []float64
}

// NewKayenta analyses each Every seconds.
func NewKayenta(every float64) *KayentaRule {
	return &KayentaRule{Metric: Metric{Direction: Increase}, windows: windows{every: kayentaStep}, every: every, next: every}
}

// Observe takes a tick.
func (r *KayentaRule) Observe(t float64, candidate, baseline Counts) bool {
	return r.windows.add(t, candidate, baseline, func(c, b Counts) bool {
		return r.Value(100*(1-c.Success()), 100*(1-b.Success()))
	})
}

// Value takes the values of one step; NaN is none. It serves metrics that are no counts.
func (r *KayentaRule) Value(canary, baseline float64) bool {
	r.canary, r.reference = append(r.canary, canary), append(r.reference, baseline)
	if float64(len(r.canary))*r.windows.every < r.next-1e-9 {
		return false
	}
	r.next += r.every
	return r.Last()
}

// Last is the look that ends an analysis, whenever that is: it tells whether the canary fails.
func (r *KayentaRule) Last() bool {
	return len(r.canary) > 0 && Failed(Score([]Result{r.Classify(r.reference, r.canary)}), Marginal)
}
