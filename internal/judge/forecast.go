package judge

import (
	"fmt"
	"math"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/judge/compare"
	"github.com/belaydev/belay/internal/judge/phrase"
	"github.com/belaydev/belay/internal/judge/stats"
)

// Traffic is what a watch can expect to see.
type Traffic struct {
	PerSecond float64 // requests on both releases
	Share     float64 // of the candidate, 0 to 1; 1 means that nothing runs beside it
	ErrorRate float64 // of the old release
	History   float64 // requests known from before the deployment
}

// Outlook is what belay will be able to see, said in advance.
type Outlook struct {
	Traffic  Traffic
	Rise     float64 // the regression in question, absolute
	Regress  float64 // seconds until it is proven, typically; +Inf when it cannot be
	Healthy  float64 // seconds until health is proven, typically
	Compared bool    // error rates are compared at all
}

// typical is how far the tests come to the limit of what any test could do.
const typical = 0.6

// Forecast says how long a rise of the error rate by one point takes to prove, and how long health does.
func Forecast(p Policy, t Traffic) Outlook {
	p = p.filled()
	o := Outlook{Traffic: t, Rise: 0.01, Regress: math.Inf(1), Healthy: math.Inf(1)}
	weights := 0.0
	for _, s := range p.Signals {
		if s.Compare {
			weights += s.Weight
		}
	}
	for _, s := range p.Signals {
		if s.Compare && s.Kind == belay.KindEvents && t.PerSecond > 0 && t.Share > 0 {
			o.Compared = true
			o.Regress = t.regress(s, o.Rise, math.Log(weights/(p.FalseRollbackRate*s.Weight)))
			o.Healthy = math.Max(p.MinTime, t.healthy(s, -math.Log(p.PassRate)))
			break
		}
	}
	return o
}

// regress returns the seconds until the evidence want is reached.
func (t Traffic) regress(s SignalPolicy, rise, want float64) float64 {
	bad := math.Min(0.99, t.ErrorRate+rise)
	perSecond := t.PerSecond
	var information float64
	if t.Share < 1 {
		information = stats.TwoSample(bad, t.ErrorRate, t.Share, s.Margin)
	} else {
		if t.History < compare.PastMin {
			return math.Inf(1)
		}
		blameless, _ := compare.Limits(t.History, t.History*t.ErrorRate, s.SmallestChange, s.Harm)
		if bad <= blameless {
			return math.Inf(1)
		}
		information = stats.KL(bad, blameless)
	}
	if information <= 0 {
		return math.Inf(1)
	}
	return math.Max(3/(bad*t.Share*perSecond), want*s.Dispersion/(typical*information*perSecond))
}

// healthy returns the seconds until harm is excluded: by a rate that is low by itself, or by ratio to the other side.
func (t Traffic) healthy(s SignalPolicy, want float64) float64 {
	perSecond := t.PerSecond * t.Share // of the candidate
	low := stats.NewMixture(math.Min(0.9, 2*s.SmallestChange)).More(want+compare.LowCost(), t.ErrorRate) / perSecond
	if t.ErrorRate <= 0 {
		return low
	}
	information := 0.0 // per request of the candidate
	if t.Share < 1 {
		harmed := s.Harm * t.Share / (s.Harm*t.Share + 1 - t.Share)
		information = t.ErrorRate / t.Share * stats.KL(t.Share, harmed)
	} else if t.History >= compare.PastMin {
		_, harmful := compare.Limits(t.History, t.History*t.ErrorRate, s.SmallestChange, s.Harm)
		information = stats.KL(t.ErrorRate, harmful)
	}
	return math.Min(low, (want+compare.RatioCost())/(typical*information*perSecond))
}

// String says it in one sentence.
func (o Outlook) String() string {
	t := o.Traffic
	switch {
	case t.PerSecond <= 0:
		return "without traffic nothing can be proven"
	case !o.Compared:
		return "error rates are not compared: limits and health checks only"
	}
	text := fmt.Sprintf("at %s requests/s", phrase.Digits(t.PerSecond))
	if t.Share < 1 {
		text += fmt.Sprintf(" and %s of them on the new release", phrase.Percent(t.Share))
	}
	if math.IsInf(o.Regress, 1) {
		text += fmt.Sprintf(": a +%s point error regression (%s to %s) cannot be told from normal change; ", phrase.Digits(o.Rise*100), phrase.Percent(t.ErrorRate), phrase.Percent(t.ErrorRate+o.Rise))
	} else {
		text += fmt.Sprintf(": a +%s point error regression (%s to %s) takes about %s to prove, ", phrase.Digits(o.Rise*100), phrase.Percent(t.ErrorRate), phrase.Percent(t.ErrorRate+o.Rise), phrase.Seconds(o.Regress))
	}
	if math.IsInf(o.Healthy, 1) {
		return text + "health cannot be proven by comparison"
	}
	return text + fmt.Sprintf("health about %s", phrase.Seconds(o.Healthy))
}
