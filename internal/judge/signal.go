package judge

import (
	"math"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/judge/compare"
	"github.com/belaydev/belay/internal/judge/limit"
	"github.com/belaydev/belay/internal/judge/stats"
)

// The two sides, as indices.
const (
	candidate = int(compare.Candidate)
	baseline  = int(compare.Baseline)
)

// signal is all that is known of one signal.
type signal struct {
	SignalPolicy
	watch  *Policy
	weight float64 // share of the false-rollback rate; 0 when not compared
	newest float64 // time of the candidate's newest sample; -Inf before
	learn  bool    // the dispersion was left to the past

	cmp        *compare.Comparison // nil for a gauge
	limit      *limit.Share        // the threshold
	stop       *limit.Share        // the hard stop
	over       stats.Counts        // this tick: of a histogram, slower than the threshold
	overStop   stats.Counts        // this tick: slower than the hard stop
	overPast   limit.Past          // before the deployment: slower than the threshold
	unreadable bool                // the threshold lies above the largest bound
	proved     bool                // harm was excluded once; what comes later is for the tests against the release
	under      *stats.Mixture      // evidence that the share is below the threshold's
	gauge      *limit.Gauge
}

func newSignal(p SignalPolicy, watch *Policy, weight float64) *signal {
	s := &signal{SignalPolicy: p.filled(), watch: watch, newest: math.Inf(-1), learn: p.Dispersion == 0}
	if p.Compare {
		s.weight = weight
	}
	if p.Kind != "" {
		s.settle(p.Kind)
	}
	return s
}

// settle fixes the kind: by the policy, or by the first sample.
func (s *signal) settle(kind belay.SampleKind) {
	s.Kind = kind
	s.SignalPolicy = s.filled()
	if kind == belay.KindGauge {
		s.Compare = false
		s.gauge = &limit.Gauge{Worse: s.worse, Limit: s.Threshold, HardStop: s.HardStop}
		return
	}
	s.cmp = compare.New(compare.Settings{
		Histogram: kind == belay.KindHistogram, Off: !s.Compare, Margin: s.Margin, SmallestChange: s.SmallestChange,
		SmallestShift: s.smallestShift(), Harm: s.Harm, Quantile: s.Quantile, Dispersion: s.Dispersion, Learn: s.learn, Warmup: s.watch.Warmup,
	})
	s.limit, s.stop = s.shareLimit(s.Threshold), s.shareLimit(s.HardStop)
	if s.limit != nil {
		s.under = stats.NewMixture(s.limit.Allowed)
	}
}

// smallestShift is the absolute part of the smallest change of response times: nobody notices five milliseconds, and
// two instances of one release differ by that much.
func (s *signal) smallestShift() float64 {
	if s.Unit == "s" {
		return 0.005
	}
	return 0
}

// shareLimit turns a limit into the share of bad, or slow, events that it allows. A limit that makes no sense for the
// kind, possible only when the policy left the kind open, is none.
func (s *signal) shareLimit(at *float64) *limit.Share {
	if at == nil {
		return nil
	}
	allowed := *at
	switch {
	case s.Kind == belay.KindHistogram:
		allowed = 1 - s.Quantile
	case s.Direction == LowerIsWorse:
		allowed = 1 - *at
	}
	if allowed <= 0 || allowed >= 1 {
		return nil
	}
	return &limit.Share{Allowed: allowed}
}

// worse tells whether v breaks the limit in the signal's direction.
func (s *signal) worse(v, at float64) bool {
	switch s.Direction {
	case LowerIsWorse:
		return v < at
	case Either:
		return math.Abs(v) > at
	case HigherIsWorse:
	}
	return v > at
}

// Sizes beyond which a number is a mistake: sums of larger ones could overflow.
const (
	maxCount = 1e12 // events of one tick
	maxValue = 1e100
)

// countable tells whether the numbers of a sample can be counted at all.
func countable(m *belay.Sample) bool {
	bad := func(v float64) bool { return !(v >= 0 && v <= maxCount) } // so that NaN is bad too
	switch m.Kind {
	case belay.KindGauge:
		return math.Abs(m.Value) <= maxValue
	case belay.KindEvents:
		return !bad(m.N) && !bad(m.X)
	case belay.KindHistogram:
		if bad(m.N) || !(math.Abs(m.Sum) <= maxValue) || len(m.LE) != len(m.Count) {
			return false
		}
		for i := range m.LE {
			if bad(m.Count[i]) || math.IsNaN(m.LE[i]) || i > 0 && (m.LE[i] <= m.LE[i-1] || m.Count[i] < m.Count[i-1]) {
				return false
			}
		}
		return len(m.LE) == 0 || m.Count[len(m.Count)-1] <= m.N*(1+1e-9) // float histograms round
	}
	return false
}

// sample turns a sample into what a comparison counts: bad events are the others when lower is worse.
func (s *signal) sample(m *belay.Sample) compare.Sample {
	c := compare.Sample{Stratum: m.Stratum, N: m.N, X: math.Min(m.X, m.N), LE: m.LE, Count: m.Count, Sum: m.Sum}
	if m.Arm == belay.ArmBaseline {
		c.Side = compare.Baseline
	}
	if s.Direction == LowerIsWorse {
		c.X = m.N - c.X
	}
	return c
}

// take counts a sample of the tick at t; before the deployment it is the past, whatever the arm.
func (s *signal) take(t float64, m *belay.Sample) {
	if s.Kind == "" {
		s.settle(m.Kind)
	}
	if m.Kind != s.Kind || !countable(m) {
		return
	}
	c := s.sample(m)
	if t >= 0 && c.Side == compare.Candidate {
		s.newest = t
	}
	switch {
	case s.gauge != nil && t < 0: // a gauge has no use for the past yet
	case s.gauge != nil:
		s.gauge.Add(int(c.Side), m.Value)
	case t < 0:
		s.cmp.Remember(t, c)
		if s.Kind == belay.KindHistogram && s.limit != nil {
			slow, _ := stats.Above(m.LE, m.Count, m.N, *s.Threshold)
			bad := s.overPast.Rate*s.overPast.N + slow
			s.overPast.N += m.N
			s.overPast.Rate = bad / math.Max(1, s.overPast.N)
		}
	default:
		s.cmp.Take(t, c)
		if s.Kind == belay.KindHistogram && m.N > 0 {
			s.takeSlow(c)
		}
	}
}

func (s *signal) takeSlow(c compare.Sample) {
	add := func(to *stats.Counts, at float64) bool {
		slow, ok := stats.Above(c.LE, c.Count, c.N, at)
		if c.Side == compare.Baseline {
			to.Add(stats.Counts{BN: c.N, BX: slow})
		} else {
			to.Add(stats.Counts{CN: c.N, CX: slow})
		}
		return ok
	}
	if s.limit != nil {
		s.unreadable = !add(&s.over, *s.Threshold)
	}
	if s.stop != nil {
		add(&s.overStop, *s.HardStop)
	}
}

// step closes a tick: fresh is the weight of the fresh starts that fall due.
func (s *signal) step(t, fresh float64) {
	if s.gauge != nil {
		s.gauge.Step(t)
		return
	}
	if s.cmp == nil {
		return
	}
	over, overStop, past := s.over, s.overStop, s.overPast
	if s.Kind == belay.KindEvents {
		over, overStop = s.cmp.Now(), s.cmp.Now()
		past = limit.Past{N: s.cmp.PastN(), Rate: share(s.cmp.PastBad(), s.cmp.PastN())}
	}
	if s.limit != nil {
		s.limit.Threshold(t, over, past)
		if over.CN > 0 && !s.unreadable {
			s.under.Step(over.CN, over.CX)
		}
	}
	if s.stop != nil {
		s.stop.Stop(t, overStop, limit.StopRule{Least: float64(s.HardStopMin), Habit: s.habit(), Clump: s.Dispersion, Exact: s.Kind == belay.KindHistogram})
	}
	s.cmp.Step(t, fresh)
	s.over, s.overStop = stats.Counts{}, stats.Counts{}
	if good, possible := s.logGood(); possible && good >= -math.Log(s.watch.PassRate) {
		s.proved = true
	}
}

// habit is the share of bad events that is usual beside, or else before, the candidate; 0 when unknown.
func (s *signal) habit() float64 {
	total := s.cmp.Total()
	switch {
	case s.Kind == belay.KindHistogram:
		return 0
	case total.BN >= limit.Least:
		return total.BX / total.BN
	case s.cmp.PastN() >= limit.Least:
		return s.cmp.PastBad() / s.cmp.PastN()
	}
	return 0
}

func share(x, n float64) float64 {
	if n <= 0 {
		return 0
	}
	return x / n
}

// stopped tells whether the hard stop acts.
func (s *signal) stopped() bool {
	return s.gauge != nil && s.gauge.Stopped || s.stop != nil && s.stop.Broken && !s.stop.Shared
}

// broken tells whether the threshold has been broken for as long as it takes, by the candidate alone.
func (s *signal) broken(t float64) bool {
	return s.gauge != nil && s.gauge.For(t, s.For) || s.limit != nil && s.limit.For(t, s.For)
}

// logE is the evidence of the comparison.
func (s *signal) logE() float64 {
	if s.cmp == nil {
		return 0
	}
	return s.cmp.LogE()
}

// logGood is the evidence that the release does no harm by this signal, and whether there is any way to collect it:
// by comparison where there is something to compare with, else by the threshold.
func (s *signal) logGood() (float64, bool) {
	switch {
	case s.cmp == nil:
		return 0, false
	case s.Compare && s.cmp.Partner():
		return s.cmp.LogGood(), true
	case s.under != nil && !s.unreadable:
		return s.under.LogE(), true
	case s.Compare && s.Kind == belay.KindEvents: // a first deployment without a limit: the rate must be low by itself
		return s.cmp.LogGood(), true
	}
	return 0, false
}

// more estimates how many more events the proof of health takes; +Inf when that cannot be told.
func (s *signal) more(want float64) float64 {
	if s.cmp == nil {
		return 0
	}
	if s.Compare && (s.cmp.Partner() || s.under == nil) {
		return s.cmp.More(want)
	}
	if s.under == nil {
		return 0
	}
	total := s.cmp.Total()
	if s.Kind == belay.KindHistogram {
		total.CX = 0 // slow ones are not kept over the watch; the estimate is the best case
	}
	return s.under.More(want, share(total.CX, total.CN))
}
