// Package outlook says before a watch what it will be able to see: how long a regression takes to be called at the
// traffic there is, and how long health takes to be proven. It is arithmetic on the information that requests carry;
// it observes nothing.
package outlook

import (
	"fmt"
	"math"
	"strings"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/judge"
	"github.com/belaydev/belay/internal/judge/phrase"
	"github.com/belaydev/belay/internal/judge/stats"
)

// Traffic is what a watch can expect to see.
type Traffic struct {
	PerSecond  float64 // requests on both releases
	Share      float64 // of the candidate, 0 to 1; 1 means that nothing runs beside it
	ErrorRate  float64 // of the old release
	Dispersion float64 // size of the clumps in which errors come; 1 when 0
	Margin     float64 // factor up to which instances differ; 1.25 when 0
}

// Outlook is what a watch will be able to see.
type Outlook struct {
	Traffic Traffic `json:"-"`
	Calls   []Call  `json:"calls,omitempty"`
	Healthy float64 `json:"healthy"` // seconds until health is proven, typically; +Inf when it cannot be
	Reason  string  `json:"reason,omitempty"`
}

// Call says when an error rate would be called a regression.
type Call struct {
	Rate    float64 `json:"rate"`
	Seconds float64 `json:"seconds"` // typically; +Inf when never
}

// What the tests need besides the bound itself, in nats: for looking at all sizes and beginnings of a fault.
const (
	overhead    = 2.2
	passCost    = 0.7
	leastBad    = 3.0 // bad events of the candidate
	leastMargin = 1.25
)

// Forecast says what a watch by the policy will be able to see.
func Forecast(p judge.Policy, t Traffic) Outlook {
	p = p.Filled()
	o := Outlook{Traffic: t, Healthy: math.Inf(1)}
	var s *judge.SignalPolicy
	share := 0.0
	for i := range p.Signals {
		if p.Signals[i].Compare && p.Signals[i].Kind == belay.KindEvents && s == nil {
			s = &p.Signals[i]
		}
		if p.Signals[i].Compare {
			share += p.Signals[i].Weight
		}
	}
	switch {
	case s == nil:
		o.Reason = "error rates are not compared: limits and health checks only"
		return o
	case t.PerSecond <= 0 || t.Share <= 0:
		o.Reason = "without traffic nothing can be proven"
		return o
	}
	t.Margin, t.Dispersion = math.Max(leastMargin, t.Margin), math.Max(1, t.Dispersion)
	for _, rate := range []float64{t.ErrorRate + s.SmallestChange, math.Max(4*t.ErrorRate, t.ErrorRate+0.02), math.Max(10*t.ErrorRate, 0.1)} {
		if rate < 1 {
			o.Calls = append(o.Calls, Call{Rate: rate, Seconds: t.call(rate, math.Log(share/(p.FalseRollbackRate*s.Weight)))})
		}
	}
	o.Healthy = math.Max(p.MinTime, t.healthy(s, -math.Log(p.PassRate)))
	return o
}

// call returns the seconds until a rate is called.
func (t Traffic) call(rate, want float64) float64 {
	if t.Share >= 1 {
		return math.Inf(1) // against the past only what is far off is called, and when cannot be said in advance
	}
	usual := math.Max(t.ErrorRate, 1e-6)
	information := stats.TwoSample(rate, usual, t.Share, t.Margin)
	if information <= 0 || rate/usual <= t.Margin {
		return math.Inf(1)
	}
	return math.Max(leastBad/(rate*t.Share*t.PerSecond), (want+overhead)*t.Dispersion/(information*t.PerSecond))
}

// healthy returns the seconds until harm is excluded: by a rate that is low by itself, or by ratio to the other side.
func (t Traffic) healthy(s *judge.SignalPolicy, want float64) float64 {
	perSecond := t.PerSecond * t.Share // of the candidate
	limit := math.Min(0.9, 2*s.SmallestChange)
	best := math.Inf(1)
	if gain := stats.KL(t.ErrorRate, limit); t.ErrorRate < limit {
		best = (want + passCost) * t.Dispersion / (gain * perSecond)
	}
	if t.ErrorRate > 0 && t.Share < 1 {
		harmed := s.Harm * t.Share / (s.Harm*t.Share + 1 - t.Share)
		information := t.ErrorRate / t.Share * stats.KL(t.Share, harmed)
		best = math.Min(best, (want+2*passCost)*t.Dispersion/(information*perSecond))
	}
	return best
}

// String says it in one sentence.
func (o Outlook) String() string {
	if o.Reason != "" {
		return o.Reason
	}
	t := o.Traffic
	text := fmt.Sprintf("at %s requests/s", phrase.Digits(t.PerSecond))
	if t.Share < 1 {
		text += fmt.Sprintf(" and %s weight", phrase.Percent(t.Share))
	}
	var parts []string
	for i, c := range o.Calls {
		instead := ""
		if i == 0 {
			instead = " instead of " + phrase.Percent(t.ErrorRate)
		}
		if math.IsInf(c.Seconds, 1) {
			parts = append(parts, fmt.Sprintf("an error rate of %s%s would not be told from normal change", phrase.Percent(c.Rate), instead))
			continue
		}
		parts = append(parts, fmt.Sprintf("an error rate of %s%s would be called in about %s", phrase.Percent(c.Rate), instead, phrase.Seconds(c.Seconds)))
	}
	if t.Share >= 1 {
		parts = []string{"nothing runs beside the new release: it is compared with the time before, which calls large changes only"}
	}
	if math.IsInf(o.Healthy, 1) {
		return text + ": " + strings.Join(append(parts, "health cannot be proven"), "; ")
	}
	return text + ": " + strings.Join(append(parts, fmt.Sprintf("healthy can be proven in about %s", phrase.Seconds(o.Healthy))), "; ")
}
