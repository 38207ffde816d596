package outlook_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/judge"
	"github.com/belaydev/belay/internal/judge/outlook"
)

// world is a service on two instances whose requests fail one by one.
type world struct {
	r *rand.Rand
	outlook.Traffic
}

// poisson draws a count with the mean m.
func (w *world) poisson(m float64) float64 {
	if m > 50 {
		return math.Max(0, math.Round(m+math.Sqrt(m)*w.r.NormFloat64()))
	}
	n, p, limit := 0.0, w.r.Float64(), math.Exp(-m)
	for ; p > limit; n++ {
		p *= w.r.Float64()
	}
	return n
}

func (w *world) sample(t, requests, rate float64, arm belay.Arm, instance string) belay.Sample {
	x := w.poisson(requests * rate)
	return belay.Sample{T: t, Signal: "error_rate", Kind: belay.KindEvents, Arm: arm, Instance: instance, N: math.Max(x, w.poisson(requests)), X: x}
}

const horizon = 3600 // seconds after which no verdict is waited for

// decided replays a watch of a release with the given error rate and returns when the judge came to the verdict; +Inf
// when it did not before the horizon.
func decided(seed uint64, t outlook.Traffic, rate float64, want belay.Verdict) float64 {
	w := &world{r: rand.New(rand.NewPCG(seed, 7)), Traffic: t}
	p := judge.DefaultPolicy()
	p.Signals[0].Margin, p.Signals[0].Dispersion = t.Margin, t.Dispersion
	j := judge.New(p)
	const piece = 10.0
	var past []belay.Sample
	for at := -t.Past + piece/2; at < 0; at += piece {
		for _, instance := range []string{"a", "b"} {
			past = append(past, w.sample(at, t.PerSecond*piece/2, t.ErrorRate, belay.ArmBaseline, instance))
		}
	}
	for now := range horizon {
		tick := belay.Tick{T: float64(now), Samples: past}
		past = nil
		tick.Samples = append(tick.Samples, w.sample(tick.T, t.PerSecond*t.Share, rate, belay.ArmCandidate, "new"))
		for _, instance := range []string{"a", "b"} {
			if t.Share < 1 {
				tick.Samples = append(tick.Samples, w.sample(tick.T, t.PerSecond*(1-t.Share)/2, t.ErrorRate, belay.ArmBaseline, instance))
			}
		}
		verdict := j.Observe(tick).Verdict
		if verdict == want {
			return tick.T
		}
		if verdict == belay.VerdictRegressed {
			return math.Inf(1)
		}
	}
	return math.Inf(1)
}

// TestTheForecastComesTrue compares what is said in advance with the median of what the judge then does.
func TestTheForecastComesTrue(t *testing.T) {
	const runs = 15
	for name, traffic := range map[string]outlook.Traffic{
		"side by side":     {PerSecond: 200, Share: 0.1, ErrorRate: 0.005, Past: 1800},
		"half and half":    {PerSecond: 20, Share: 0.5, ErrorRate: 0.005, Past: 1800},
		"little traffic":   {PerSecond: 5, Share: 0.5, ErrorRate: 0.01, Past: 1800},
		"many errors":      {PerSecond: 50, Share: 0.2, ErrorRate: 0.03, Past: 1800},
		"no history":       {PerSecond: 100, Share: 0.2, ErrorRate: 0.005},
		"no errors":        {PerSecond: 50, Share: 0.5, Past: 1800},
		"before and after": {PerSecond: 50, Share: 1, ErrorRate: 0.005, Past: 1800},
		"hasty and alike":  {PerSecond: 100, Share: 0.1, ErrorRate: 0.005, Past: 1800, Margin: 1.25, Dispersion: 1},
		"clumps":           {PerSecond: 200, Share: 0.2, ErrorRate: 0.005, Past: 1800, Margin: 2, Dispersion: 4},
		"busy before":      {PerSecond: 200, Share: 1, ErrorRate: 0.01, Past: 1800},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := outlook.Forecast(judge.DefaultPolicy(), traffic)
			check := func(what string, rate, said float64, want belay.Verdict) {
				var times []float64
				for seed := range uint64(runs) {
					times = append(times, decided(seed, traffic, rate, want))
				}
				slices.Sort(times)
				got := times[runs/2]
				within := got >= said/2-2 && got <= 2*said+2
				if watch := judge.DefaultPolicy().Deadline; said > watch {
					within = got > watch/2
				}
				if !within {
					t.Errorf("%s: %.0f s were said, the judge took %.0f s (%.0f to %.0f)", what, said, got, times[0], times[runs-1])
				}
			}
			for _, c := range o.Calls {
				check("an error rate of "+percent(c.Rate), c.Rate, c.Seconds, belay.VerdictRegressed)
			}
			check("healthy", traffic.ErrorRate, o.Healthy, belay.VerdictHealthy)
		})
	}
}
