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
	"github.com/belaydev/belay/internal/judge/compare"
	"github.com/belaydev/belay/internal/judge/phrase"
	"github.com/belaydev/belay/internal/judge/stats"
)

// Traffic is what a watch can expect to see.
type Traffic struct {
	PerSecond  float64 // requests on both releases
	Share      float64 // of the candidate, 0 to 1; 1 means that nothing runs beside it
	ErrorRate  float64 // of the old release
	Past       float64 // seconds of the time before that the watch is shown
	Dispersion float64 // size of the clumps in which errors come, as learned or set; 0: not known
	Margin     float64 // factor up to which instances differ, as learned or set; 0: not known
	Deadline   float64 // seconds in which health must be proven; 0: as long as the watch lasts
}

// Outlook is what a watch will be able to see.
type Outlook struct {
	Traffic Traffic `json:"-"`
	Calls   []Call  `json:"calls,omitempty"`
	Healthy float64 `json:"healthy"` // seconds until health is proven, typically; +Inf when it cannot be
	Reason  string  `json:"reason,omitempty"`

	lasts float64 // seconds of the watch
}

// Call says when an error rate would be called a regression.
type Call struct {
	Rate    float64 `json:"rate"`
	Seconds float64 `json:"seconds"` // typically; +Inf when never
}

// What the tests need besides the bound itself, in nats: for looking at all sizes and beginnings of a fault.
const (
	overhead   = 2.2
	rivalCost  = 1.0 // the same, of what is worse than something else
	passCost   = 0.7
	againstFor = 5.0 // seconds without a baseline after which the past takes its place
	leastBad   = 3.0 // bad events of the candidate
)

// What the judge goes by before it has learned better.
const (
	assumedMargin = 1.5
	assumedClump  = 5.0
	assumedWorth  = 4.0 // clumps that the assumption is worth
	believed      = 200 // clumps after which nothing is assumed any more
)

// Forecast says what a watch by the policy will be able to see.
func Forecast(p judge.Policy, t Traffic) Outlook {
	p = p.Filled()
	o := Outlook{Traffic: t, Healthy: math.Inf(1), lasts: p.Deadline}
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
	if t.Margin <= 0 {
		t.Margin = assumedMargin
	}
	f := foresight{Traffic: t, s: s, want: math.Log(share / (p.FalseRollbackRate * s.Weight))}
	for _, rate := range []float64{t.ErrorRate + 2*s.SmallestChange, math.Max(4*t.ErrorRate, t.ErrorRate+0.02), math.Max(10*t.ErrorRate, 0.1)} {
		if rate < 1 {
			o.Calls = append(o.Calls, Call{Rate: rate, Seconds: f.call(rate)})
		}
	}
	o.Healthy = math.Max(p.MinTime, f.healthy(-math.Log(p.PassRate)))
	return o
}

// foresight is the arithmetic of one signal.
type foresight struct {
	Traffic
	s    *judge.SignalPolicy
	want float64 // nats at which it is called
}

// clump is the size of the clumps in which bad events are held to come, once so many have been seen.
func (f foresight) clump(seen float64) float64 {
	size := math.Max(1, f.Dispersion)
	if f.Dispersion > 0 || seen >= believed {
		return size
	}
	return (assumedWorth*assumedClump + seen*size) / (assumedWorth + seen)
}

// call returns the seconds until a rate is called: when the evidence of being worse than what it is compared with, and
// that of being bad at all, have both come far enough.
func (f foresight) call(rate float64) float64 {
	candidate := f.PerSecond * f.Share
	stopped := math.Inf(1)
	if f.s.HardStop != nil && rate > *f.s.HardStop {
		stopped = math.Ceil(float64(f.s.HardStopMin) / candidate)
	}
	rival, later := f.rival(rate)
	cost := rivalCost
	if f.Share >= 1 {
		cost = overhead
	}
	floor := 0.0
	if rate > f.s.SmallestChange {
		floor = stats.KL(rate, f.s.SmallestChange) * candidate
	}
	bad := rate*candidate + f.ErrorRate*(f.PerSecond-candidate)
	known := f.Past * f.PerSecond * f.ErrorRate
	now, weight := 0.0, 0.0 // weight is the time, as far as clumps let it count
	for now < 1e7 {
		step := math.Max(0.25, now/50)
		weight += step / f.clump(known+bad*now)
		now += step
		if floor*weight >= f.want+overhead && rival(weight) >= f.want+cost && rate*candidate*now >= leastBad {
			return math.Min(stopped, now+later)
		}
	}
	return stopped
}

// rival returns the evidence, in nats, that so many seconds at a rate bring against everything else that would explain
// it: instances that differ, of which large differences are seldom, or a past in which it was as bad. The second value
// is for how many seconds there is none.
func (f foresight) rival(rate float64) (evidence func(seconds float64) float64, later float64) {
	if f.Share >= 1 {
		n := f.Past * f.PerSecond
		blameless, _ := compare.Limits(n, n*f.ErrorRate, f.s.SmallestChange, f.s.Harm)
		gain := 0.0
		if n >= compare.PastMin && rate > blameless {
			gain = stats.KL(rate, blameless) * f.PerSecond
		}
		return func(seconds float64) float64 { return gain * seconds }, againstFor
	}
	usual := math.Max(f.ErrorRate, 1e-6)
	type explanation struct{ gain, cost float64 }
	var all []explanation
	spread := math.Log(f.Margin) / 2
	for k := 0.0; k <= 4; k += 0.25 {
		factor := math.Exp(k * spread)
		gain := 0.0
		if rate > usual*factor {
			gain = stats.TwoSample(rate, usual, f.Share, factor) * f.PerSecond
		}
		all = append(all, explanation{gain, k * k / 2})
	}
	return func(seconds float64) float64 {
		least := math.Inf(1)
		for _, e := range all {
			least = math.Min(least, e.gain*seconds+e.cost)
		}
		return least
	}, 0
}

// healthy returns the seconds until harm is excluded: by a rate that is low by itself, or by ratio to the other side.
func (f foresight) healthy(want float64) float64 {
	candidate, clump := f.PerSecond*f.Share, math.Max(1, f.Dispersion)
	limit := math.Min(0.9, 2*f.s.SmallestChange)
	best := math.Inf(1)
	if f.ErrorRate < limit {
		best = (want + passCost) * clump / (stats.KL(f.ErrorRate, limit) * candidate)
	}
	switch {
	case f.Share < 1 && f.ErrorRate > 0:
		harmed := f.s.Harm * f.Share / (f.s.Harm*f.Share + 1 - f.Share)
		information := f.ErrorRate / f.Share * stats.KL(f.Share, harmed)
		best = math.Min(best, (want+2*passCost)*clump/(information*candidate))
	case f.Share >= 1 && f.Past*f.PerSecond >= compare.PastMin:
		n := f.Past * f.PerSecond
		_, harmful := compare.Limits(n, n*f.ErrorRate, f.s.SmallestChange, f.s.Harm)
		best = math.Min(best, againstFor+(want+2*passCost)*clump/(stats.KL(f.ErrorRate, harmful)*candidate))
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
	switch {
	case t.Share < 1:
		text += fmt.Sprintf(" and %s weight", phrase.Percent(t.Share))
	case t.Past*t.PerSecond >= compare.PastMin:
		text += ", compared with the time before because nothing runs beside it"
	default:
		return text + ", with no old release beside it and too little history to compare with: limits and hard stops only; " + o.health()
	}
	spelled := func(rate float64) string {
		return "an error rate of " + phrase.Percent(rate) + " instead of " + phrase.Percent(t.ErrorRate) + " would "
	}
	unseen := 0
	var parts []string
	for i, c := range o.Calls {
		if c.Seconds > o.lasts {
			if unseen = i + 1; unseen == len(o.Calls) {
				parts = append(parts, spelled(c.Rate)+"not be told from normal change in time")
			}
			continue
		}
		text := phrase.Percent(c.Rate) + " in about "
		if len(parts) == 0 {
			text = spelled(c.Rate) + "be called in about "
		}
		parts = append(parts, text+about(c.Seconds))
	}
	if unseen > 0 && unseen < len(o.Calls) {
		parts = append(parts, phrase.Percent(o.Calls[unseen-1].Rate)+" would not be told from normal change in time")
	}
	return text + ": " + strings.Join(append(parts, o.health()), "; ")
}

// health says how long the proof of health takes.
func (o Outlook) health() string {
	switch limit := o.deadline(); {
	case math.IsInf(o.Healthy, 1):
		return "health cannot be proven"
	case o.Healthy > limit:
		return fmt.Sprintf("healthy would take about %s to prove, longer than the %s there are", about(o.Healthy), phrase.Seconds(limit))
	}
	return "healthy can be proven in about " + about(o.Healthy)
}

func (o Outlook) deadline() float64 {
	if o.Traffic.Deadline > 0 {
		return o.Traffic.Deadline
	}
	return o.lasts
}

// about says a time no more exactly than it is known.
func about(seconds float64) string {
	unit := 1.0
	switch {
	case seconds >= 5400:
		unit = 600
	case seconds >= 90:
		unit = 60
	case seconds >= 20:
		unit = 5
	}
	return phrase.Seconds(math.Max(1, unit*math.Round(seconds/unit)))
}
