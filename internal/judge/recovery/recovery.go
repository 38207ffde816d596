// Package recovery judges whether users are as well after a rollback as they were before the deployment. It is for
// proving, and is asked once in a while; it keeps nothing.
package recovery

import (
	"fmt"
	"math"
	"slices"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/judge"
	"github.com/belaydev/belay/internal/judge/compare"
	"github.com/belaydev/belay/internal/judge/limit"
	"github.com/belaydev/belay/internal/judge/phrase"
	"github.com/belaydev/belay/internal/judge/stats"
)

// What a proof of recovery looks at.
const (
	failWindow   = 30.0  // seconds back over which a signal that is still bad is recognised
	failChance   = 0.001 // chance of such a window at a blameless rate
	gaugeLook    = 10    // newest readings of a gauge
	gaugeEnough  = 3     // readings without which nothing is said
	beforeEnough = 20    // events without which the past says nothing
)

// SignalReading says whether one signal is well again after a rollback, in words.
type SignalReading struct {
	Signal string
	Result belay.CheckResult
	Want   string
	Got    string
}

// Recovered reads, per signal of the policy, whether users are as well after a rollback as they were before the
// deployment: passed when harm is excluded with the policy's PassRate (about 400 requests without an error do), failed
// when the last half minute is still bad beyond chance, unknown while there is too little to tell. Nothing passes
// without traffic. Both arms are counted together: whatever serves, serves users. A reading may be failed for some
// seconds while old requests end, so ask again until patience is over.
func Recovered(before, after []belay.Tick, p judge.Policy) []SignalReading {
	p = p.Filled()
	var all []SignalReading
	for _, s := range p.Signals {
		if !s.Compare && s.Threshold == nil {
			continue
		}
		r := recovery{SignalPolicy: s, want: -math.Log(p.PassRate)}
		was, is := r.collect(before), r.collect(after)
		all = append(all, r.read(was, is))
	}
	return all
}

// recovery reads one signal.
type recovery struct {
	judge.SignalPolicy
	limit *float64 // share of bad, or slow, events that the threshold allows; nil without one
	want  float64  // logarithm of the evidence that passes
	bound float64  // of a histogram: slower than this is bad
}

// collect returns the countable samples of the signal, oldest first.
func (r *recovery) collect(ticks []belay.Tick) []belay.Sample {
	var all []belay.Sample
	for _, tick := range ticks {
		for _, m := range tick.Samples {
			if m.Signal != r.Name || !judge.Countable(&m) {
				continue
			}
			if r.Kind == "" {
				r.Kind = m.Kind
				r.SignalPolicy = r.Filled()
			}
			if m.Kind == r.Kind {
				m.T = tick.T
				all = append(all, m)
			}
		}
	}
	return all
}

func (r *recovery) read(was, is []belay.Sample) SignalReading {
	if allowed, ok := r.Allowed(r.Threshold); ok {
		r.limit = &allowed
	}
	reading := SignalReading{Signal: r.Name, Result: belay.CheckUnknown, Want: "as before the deployment", Got: "no samples"}
	switch {
	case len(is) == 0 && len(was) > 0:
	case len(was) == 0 && len(is) == 0 && !r.Required:
		reading.Result = belay.CheckAbsent
	case r.Kind == belay.KindGauge:
		r.readGauge(&reading, was, is)
	case r.Kind != "":
		r.readShare(&reading, was, is)
	}
	return reading
}

// bad returns events and bad, or slow, events of a sample.
func (r *recovery) bad(m *belay.Sample) (n, x float64) {
	if r.Kind != belay.KindHistogram {
		x := math.Min(m.X, m.N)
		if r.Direction == judge.LowerIsWorse {
			x = m.N - x
		}
		return m.N, x
	}
	slow, ok := stats.Above(m.LE, m.Count, m.N, r.bound)
	if !ok { // beyond the last bound nothing can be said: count what is surely slower than that bound
		slow = m.N
		if k := len(m.Count); k > 0 {
			slow -= m.Count[k-1]
		}
	}
	return m.N, slow
}

func (r *recovery) sum(samples []belay.Sample) (n, x float64) {
	for i := range samples {
		dn, dx := r.bad(&samples[i])
		n, x = n+dn, x+dx
	}
	return n, x
}

func (r *recovery) readShare(out *SignalReading, was, is []belay.Sample) {
	change := r.SmallestChange
	if r.Kind == belay.KindHistogram {
		change = (1 - r.Quantile) / 2
		// Faster than this nobody notices, and a busy machine alone makes the difference.
		r.bound = math.Max(r.usual(was), 4*r.SmallestShift())
	}
	pn, px := r.sum(was)
	blameless, harmful := compare.Limits(pn, px, change, r.Harm)
	switch {
	case pn < beforeEnough && r.limit != nil:
		blameless, harmful = *r.limit, *r.limit
	case pn < beforeEnough && r.Kind == belay.KindHistogram:
		out.Got = "the time before the deployment is not known"
		return
	case pn < beforeEnough:
		blameless, harmful = 2*change, 2*change
	}
	out.Want = r.wantText(harmful, px, pn)
	n, x := r.sum(is)
	out.Got = phrase.Of(x, n)
	proof := stats.NewMixture(harmful)
	for i := len(is) - 1; i >= 0; i-- { // the newest first: what is over does not count, and a mixture may be stopped at any time
		proof.Step(r.bad(&is[i]))
		if proof.LogE() >= r.want {
			n, x = r.sum(is[i:])
			out.Result, out.Got = belay.CheckPassed, phrase.Of(x, n)
			return
		}
	}
	from := slices.IndexFunc(is, func(m belay.Sample) bool { return m.T > is[len(is)-1].T-failWindow })
	if from < 0 {
		return
	}
	rn, rx := r.sum(is[from:])
	if rn >= limit.Least && rx >= 3 && stats.TailAbove(rn, rx, blameless) <= failChance {
		out.Result, out.Got = belay.CheckFailed, phrase.Of(rx, rn)
		return
	}
	if more := proof.More(r.want, x/math.Max(1, n)); n > 0 && !math.IsInf(more, 1) {
		out.Got += fmt.Sprintf("; %s more requests would tell", phrase.Count(more))
	}
}

// usual is the bound of a histogram that nearly all requests kept before the deployment; the threshold when the past
// is not known.
func (r *recovery) usual(was []belay.Sample) float64 {
	var h stats.Histogram
	for i := range was {
		h.Add(was[i].LE, was[i].Count, was[i].N, was[i].Sum)
	}
	bound := 0.0
	if r.Threshold != nil {
		bound = *r.Threshold
	}
	if h.N < beforeEnough {
		return bound
	}
	if b, ok := h.BoundOf(r.Quantile); ok {
		bound = b
	}
	return bound
}

func (r *recovery) wantText(harmful, x, n float64) string {
	text := fmt.Sprintf("below %s", phrase.Percent(harmful))
	if r.Kind == belay.KindHistogram {
		text = fmt.Sprintf("below %s slower than %s", phrase.Percent(harmful), r.Text(r.bound))
	} else if r.Direction == judge.LowerIsWorse {
		text = fmt.Sprintf("above %s", phrase.Percent(1-harmful))
	}
	if n >= beforeEnough {
		text += fmt.Sprintf(", before the deployment %s", phrase.Of(x, n))
	}
	return text
}

func (r *recovery) readGauge(out *SignalReading, was, is []belay.Sample) {
	is = is[max(0, len(is)-gaugeLook):]
	if len(is) < gaugeEnough {
		out.Got = fmt.Sprintf("%d readings", len(is))
		return
	}
	now := stats.Median(values(is))
	out.Got = r.Text(now)
	if r.Threshold != nil {
		out.Want = "within the limit of " + r.Text(*r.Threshold)
		if r.Worse(now, *r.Threshold) {
			out.Result = belay.CheckFailed
			return
		}
		out.Result = belay.CheckPassed
	}
	if len(was) < gaugeEnough {
		return
	}
	low, high := was[0].Value, was[0].Value
	for _, m := range was {
		low, high = math.Min(low, m.Value), math.Max(high, m.Value)
	}
	slack := r.SmallestChange * math.Max(math.Abs(low), math.Abs(high))
	out.Want = fmt.Sprintf("%s to %s, as before the deployment", r.Text(low), r.Text(high))
	out.Result = belay.CheckPassed
	if r.Direction != judge.LowerIsWorse && now > high+slack || r.Direction != judge.HigherIsWorse && now < low-slack {
		out.Result = belay.CheckFailed
	}
}

func values(samples []belay.Sample) []float64 {
	v := make([]float64, len(samples))
	for i, m := range samples {
		v[i] = m.Value
	}
	return v
}
