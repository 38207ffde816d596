// Package translate turns sections of the configuration into the policies and settings of the packages that do
// the work, so that neither side knows the other. It starts nothing.
package translate

import (
	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/config"
	"github.com/belaydev/belay/internal/judge"
)

// JudgePolicy says how a deployment of the service is judged. needTraffic tells whether requests can be counted
// at all (a proxy in front, or metrics that can be read): then nothing is called healthy without them.
func JudgePolicy(s config.Service, d belay.Deployment, needTraffic bool) judge.Policy {
	p := judge.Policy{
		Candidate: d.Release.String(), Baseline: d.Previous.String(),
		FalseRollbackRate: float64(s.Watch.FalseRollback),
		MinTime:           s.Watch.MinTime.Seconds(),
		MinHealthTime:     s.Watch.MinTime.Seconds(),
		// Cold caches make the first answers slow; who wants a quick verdict has little patience with that.
		Warmup:   min(15, s.Watch.MinTime.Seconds()),
		Deadline: (s.Watch.Deadline + s.Watch.Bake).Seconds(),
	}
	if d.Previous.IsZero() {
		p.Baseline = "before"
	}
	stops := map[string]config.HardStop{}
	for _, h := range s.HardStops {
		stops[h.Signal] = h
	}
	for _, sig := range s.Signals {
		p.Signals = append(p.Signals, signalPolicy(sig, stops[sig.Name], needTraffic))
	}
	return p
}

func signalPolicy(sig config.Signal, stop config.HardStop, needTraffic bool) judge.SignalPolicy {
	p := judge.SignalPolicy{
		Name: sig.Name, Unit: sig.Unit, Kind: sampleKind(sig), Direction: direction(sig.Direction),
		For: sig.For.Seconds(), Quantile: float64(sig.Quantile), SmallestChange: float64(sig.SmallestChange),
		Compare: sig.Compare, Weight: float64(sig.Weight), HardStopMin: stop.MinRequests,
	}
	if p.Kind != belay.KindGauge {
		p.Harm = float64(sig.Harm)
	}
	if sig.Margin != nil {
		p.Margin = float64(*sig.Margin)
	}
	if sig.Dispersion != nil {
		p.Dispersion = float64(*sig.Dispersion)
	}
	p.Required = needTraffic && sig.Name == config.ErrorRate
	if sig.Threshold != nil {
		v := sig.Threshold.Value
		p.Threshold = &v
	}
	switch {
	case stop.Above != nil:
		v := stop.Above.Value
		p.HardStop = &v
	case stop.Below != nil:
		v := stop.Below.Value
		p.HardStop = &v
	}
	return p
}

func direction(d config.Direction) judge.Direction {
	switch d {
	case config.LowerIsWorse:
		return judge.LowerIsWorse
	case config.EitherIsWorse:
		return judge.Either
	case config.HigherIsWorse:
		return judge.HigherIsWorse
	}
	return judge.HigherIsWorse
}

// sampleKind is the kind of samples that a signal has: what is measured by a query is a value, whatever its name.
func sampleKind(sig config.Signal) belay.SampleKind {
	switch {
	case !sig.CountsEvents():
		return belay.KindGauge
	case sig.Name == config.ErrorRate:
		return belay.KindEvents
	}
	return belay.KindHistogram
}

// CountsRequests tells whether the requests of a service can be counted whatever its targets say: by its proxy, or
// by an external server that was told where to look.
func CountsRequests(s config.Service) bool {
	return s.Rollout.Proxy != "" || len(s.Metrics.Selector) > 0
}
