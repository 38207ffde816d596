package judge

import (
	"math"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/judge/compare"
	"github.com/belaydev/belay/internal/judge/level"
	"github.com/belaydev/belay/internal/judge/limit"
	"github.com/belaydev/belay/internal/judge/past"
	"github.com/belaydev/belay/internal/judge/stats"
	"github.com/belaydev/belay/internal/judge/trail"
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
	seen   bool    // there was a sample, of whichever side

	cmp        *compare.Comparison // nil for a gauge
	values     *level.Level        // of a gauge that is compared
	before     *past.Bet           // of a signal that is compared: with its own past, once it is alone
	limit      *limit.Share        // the threshold
	stop       *limit.Share        // the hard stop
	over       stats.Counts        // this tick: of a histogram, slower than the threshold
	overStop   stats.Counts        // this tick: slower than the hard stop
	overPast   limit.Past          // before the deployment: slower than the threshold
	unreadable bool                // the threshold lies above the largest bound
	proved     bool                // harm was excluded once; what comes later is for the tests against the release
	under      *stats.Mixture      // evidence that the share is below the threshold's
	gauge      *limit.Gauge
	trail      trail.Trail
}

func newSignal(p SignalPolicy, watch *Policy) *signal {
	s := &signal{SignalPolicy: p.Filled(), watch: watch, newest: math.Inf(-1)}
	if p.Kind != "" {
		s.settle(p.Kind)
	}
	return s
}

// settle fixes the kind: by the policy, or by the first sample.
func (s *signal) settle(kind belay.SampleKind) {
	s.Kind = kind
	s.SignalPolicy = s.Filled()
	if kind == belay.KindGauge {
		if s.Compare {
			s.values = level.New(level.Settings{Direction: levelDirection(s.Direction), SmallestChange: s.SmallestChange,
				Margin: s.Margin, First: onsetFirst, Warmup: s.watch.Warmup})
			s.before = newBet(s)
		}
		s.gauge = &limit.Gauge{Worse: s.Worse, Limit: s.Threshold, HardStop: s.HardStop}
		return
	}
	s.cmp = compare.New(compare.Settings{
		Histogram: kind == belay.KindHistogram, Counts: kind == belay.KindCount, Lower: kind == belay.KindCount && s.Direction == LowerIsWorse, Off: !s.Compare, Margin: s.Margin, SmallestChange: s.SmallestChange,
		SmallestShift: s.SmallestShift(), Harm: s.Harm, Quantile: s.Quantile, Dispersion: s.Dispersion, Warmup: s.watch.Warmup,
		First: onsetFirst,
	})
	if s.Compare {
		s.before = newBet(s)
	}
	s.weigh(s.weight)
	s.limit, s.stop = s.shareLimit(s.Threshold), s.shareLimit(s.HardStop)
	if s.limit != nil {
		s.under = stats.NewMixture(s.limit.Allowed)
	}
}

func levelDirection(d Direction) level.Direction {
	switch d {
	case LowerIsWorse:
		return level.Lower
	case Either:
		return level.Either
	case HigherIsWorse:
	}
	return level.Higher
}

// weigh gives the signal its share of the false-rollback rate.
func (s *signal) weigh(share float64) {
	if !s.Compare {
		share = 0
	}
	s.weight = share
	if s.cmp != nil && share > 0 {
		s.cmp.Limit = 1 / (s.watch.FalseRollbackRate * share)
	}
}

// shareLimit is the limit on the share of bad, or slow, events; nil where there is none.
func (s *signal) shareLimit(at *float64) *limit.Share {
	if allowed, ok := s.Allowed(at); ok {
		return &limit.Share{Allowed: allowed}
	}
	return nil
}

// Sizes beyond which a number is a mistake: sums of larger ones could overflow.
const (
	maxCount = 1e12 // events of one tick
	maxValue = 1e100
)

// Countable tells whether the numbers of a sample can be counted at all.
func Countable(m *belay.Sample) bool {
	bad := func(v float64) bool { return !(v >= 0 && v <= maxCount) } // so that NaN is bad too
	switch m.Kind {
	case belay.KindGauge:
		return math.Abs(m.Value) <= maxValue
	case belay.KindEvents, belay.KindCount:
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
	c := compare.Sample{Instance: m.Instance, Stratum: m.Stratum, N: m.N, X: m.X, LE: m.LE, Count: m.Count, Sum: m.Sum}
	if m.Arm == belay.ArmBaseline {
		c.Side = compare.Baseline
	}
	if s.Kind == belay.KindCount {
		return c
	}
	c.X = math.Min(c.X, c.N)
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
	if m.Kind != s.Kind || !Countable(m) {
		return
	}
	c := s.sample(m)
	s.seen = true
	if t >= 0 && c.Side == compare.Candidate {
		s.newest = t
	}
	switch {
	case t < 0:
		s.remember(t, m, c)
	case s.gauge != nil:
		s.gauge.Add(int(c.Side), m.Value)
		if s.values != nil {
			s.values.Take(t, level.Side(c.Side), m.Instance, m.Value)
			s.before.Take(past.Side(c.Side), m.Value, 1)
		}
	default:
		s.cmp.Take(t, c)
		if s.before != nil {
			sum, n := s.counted(&c)
			s.before.Take(past.Side(c.Side), sum, n)
		}
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
		if s.values != nil {
			s.values.Step(t, fresh)
			s.before.Close(t, s.values.Wealth(), s.values.Compared())
		}
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
		s.stop.Stop(t, overStop, limit.StopRule{Least: float64(s.HardStopMin), Habit: s.habit(), Clump: s.cmp.Clump(), Exact: s.Kind == belay.KindHistogram})
	}
	if s.before != nil && !s.before.Placed() { // tried in vain, what there is must do
		s.cmp.PastMoves = s.Kind == belay.KindHistogram && !s.before.Tried() && s.before.Spans(longPast)
	}
	s.cmp.Step(t, fresh)
	if s.before != nil && s.before.Close(t, s.cmp.LogE(), s.cmp.Beside() || !s.cmp.PastMoves) {
		s.cmp.Limit *= 2 // half of it is kept
	}
	s.over, s.overStop = stats.Counts{}, stats.Counts{}
	if good, possible := s.logGood(); possible && good >= -math.Log(s.watch.PassRate) {
		s.proved = true
	}
}

// habit is the share of bad events that may well be usual for the service: as far as is known from beside and before
// the candidate, with one more clump of them that was not seen yet; 0 when nothing is known.
func (s *signal) habit() float64 {
	if s.Kind == belay.KindHistogram {
		return 0
	}
	clump, n, x := s.cmp.Clump(), s.cmp.PastN(), s.cmp.PastBad() // the baseline beside it is the newest past
	if n < limit.Least {
		return 0
	}
	return (x + clump) / (n + clump)
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

// other is the evidence of the comparison with what runs beside it, or of counts with their past.
func (s *signal) other() float64 {
	switch {
	case s.cmp != nil && s.Kind == belay.KindHistogram && !s.cmp.Beside() && s.before.Doubts():
		return math.Min(0, s.cmp.LogE()) // it knows nothing but the past
	case s.cmp != nil:
		return s.cmp.LogE()
	case s.values != nil:
		return s.values.LogE()
	}
	return 0
}

// logE is the evidence of the comparison.
func (s *signal) logE() float64 { return s.before.LogE(s.other()) }

// worth is what the evidence counts for beside that of other signals: it is the logarithm of an e-value.
func (s *signal) worth() float64 {
	return s.before.Worth(s.other(), -math.Log(s.watch.FalseRollbackRate*s.weight))
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

// record adds the tick to the signal's trail.
func (s *signal) record(t float64) {
	switch {
	case !s.seen:
	case s.gauge != nil:
		s.trail.Add(t, s.logE(), stats.Counts{}, [2]*float64{reading(s.gauge, candidate), reading(s.gauge, baseline)})
	case s.cmp == nil:
	case s.Kind != belay.KindHistogram:
		now := s.cmp.Last()
		if s.Kind == belay.KindEvents && s.Direction == LowerIsWorse {
			now.CX, now.BX = now.CN-now.CX, now.BN-now.BX
		}
		s.trail.Add(t, s.logE(), now, [2]*float64{})
	case s.trail.Due(t):
		s.trail.Add(t, s.logE(), stats.Counts{}, [2]*float64{s.level(candidate), s.level(baseline)})
	}
}
