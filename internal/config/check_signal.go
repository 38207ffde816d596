package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/belaydev/belay/internal/config/bind"
	"github.com/belaydev/belay/internal/config/signal"
	"github.com/belaydev/belay/internal/config/unit"
)

func (s section) checkSignals(svc Service) {
	for _, sig := range svc.Signals {
		at := "signals." + sig.Name
		if sig.BuiltIn() {
			s.checkBuiltIn(sig, at)
		} else {
			s.checkCustom(sig, at)
		}
		if strings.TrimSpace(sig.Query) != "" {
			s.checkQuery(sig.Query, at+".query")
		}
		if sig.Threshold != nil {
			s.checkLimit(sig, *sig.Threshold, at+".threshold")
			if sig.Direction == EitherIsWorse {
				s.fault("a threshold needs to know which way is worse", "give direction: higher_is_worse or lower_is_worse", at+".direction", at+".threshold")
			}
		}
		for _, f := range sig.Comparison(svc.Rollout.Proxy != "", s.places.Has(at+".compare")) {
			for i := range f.Keys {
				f.Keys[i] = at + "." + f.Keys[i]
			}
			s.fault(f.Message, f.Hint, f.Keys...)
		}
		if sig.For > svc.Watch.Deadline {
			s.fault(fmt.Sprintf("the threshold must be passed for %s, but the watch ends after %s", human(sig.For), human(svc.Watch.Deadline)),
				"lower it, or raise watch.deadline", at+".for", "watch.deadline")
		}
		if sig.Name != ResponseTime && s.places.Has(at+".quantile") && sig.Quantile != 0.95 {
			s.fault("quantile is for response_time", "put the quantile into the query", at+".quantile")
		}
	}
}

func (s section) checkBuiltIn(sig Signal, at string) {
	if sig.Name != Throughput && sig.Direction != HigherIsWorse {
		s.fault(fmt.Sprintf("a higher %s is always the worse one", sig.Name), "remove direction", at+".direction")
	}
	if sig.Unit != signal.BuiltInUnit(sig.Name) {
		s.fault(fmt.Sprintf("the unit of %s is fixed", sig.Name), "remove unit", at+".unit")
	}
}

func (s section) checkCustom(sig Signal, at string) {
	if sig.Query == "" && !slices.Contains(s.measured, sig.Name) {
		hint := "give it a query in PromQL"
		if best := bind.Nearest(sig.Name, append(signal.Names(), s.measured...)); best != "" {
			hint = fmt.Sprintf("did you mean %q? Otherwise give it a query in PromQL", best)
		}
		s.fault(fmt.Sprintf("belay does not know how to measure %s", sig.Name), hint, at)
	}
	if sig.Query != "" && strings.TrimSpace(sig.Query) == "" {
		s.fault("the query is empty", "", at+".query")
	}
}

// checkQuery leaves what another server is to evaluate to that server: it may know functions that we do not.
func (s section) checkQuery(query, path string) {
	if s.config.Metrics.URL != "" {
		return
	}
	for _, check := range s.queries {
		if err := check(query); err != nil {
			s.fault(err.Error(), "$selector, $release and $instance may stand in it", path)
			return
		}
	}
}

// checkLimit tells whether a threshold or a hard stop has the unit of its signal and can be reached.
func (s section) checkLimit(sig Signal, q unit.Quantity, path string) {
	want := sig.Unit
	switch {
	case q.Unit == want:
	case q.Unit == unit.None && want == unit.Share && q.Value <= 1:
	case q.Unit == unit.None && want == unit.PerSecond:
	case q.Unit == unit.None && !sig.BuiltIn():
	default:
		hint := "write for example " + unit.Example(want)
		if q.Unit == unit.None && (want == unit.Share || want == unit.Seconds) {
			hint = fmt.Sprintf("write %s%s", q, want)
		}
		s.fault(fmt.Sprintf("%s is %s, but %s is measured in %s", q, unit.Word(q.Unit), sig.Name, unit.Measured(want)), hint, path, "signals."+sig.Name+".unit")
		return
	}
	switch {
	case sig.BuiltIn() && q.Value < 0:
		s.fault(fmt.Sprintf("%s is below zero, which %s never is", q, sig.Name), "write for example "+unit.Example(want), path)
	case sig.Name == ErrorRate && q.Value > 1:
		s.fault(fmt.Sprintf("%s is more than all requests", q), "the most is 100%", path)
	case sig.Name == ErrorRate && q.Value == 1:
		s.fault("an error rate is never above 100%, so this limit can never be passed", "lower it, or remove it", path)
	}
}

func (s section) checkHardStops(svc Service) {
	for _, h := range svc.HardStops {
		at := "hard_stops." + h.Signal
		sig, ok := findSignal(svc, h.Signal)
		if !ok {
			var known []string
			for _, x := range svc.Signals {
				known = append(known, x.Name)
			}
			hint := "the signals are " + strings.Join(known, ", ")
			if best := bind.Nearest(h.Signal, known); best != "" {
				hint = fmt.Sprintf("did you mean %q?", best)
			}
			s.fault(fmt.Sprintf("there is no signal %q", h.Signal), hint, at)
			continue
		}
		if h.Above != nil {
			s.checkLimit(sig, *h.Above, at+".above")
			if sig.Direction == LowerIsWorse {
				s.fault(fmt.Sprintf("a lower %s is the worse one", sig.Name), "write below instead of above", at+".above", "signals."+sig.Name+".direction")
			}
		}
		if h.Below != nil {
			s.checkLimit(sig, *h.Below, at+".below")
			if sig.Direction == HigherIsWorse {
				s.fault(fmt.Sprintf("a higher %s is the worse one", sig.Name), "write above instead of below", at+".below", "signals."+sig.Name+".direction")
			}
		}
	}
}

func findSignal(svc Service, name string) (Signal, bool) {
	for _, x := range svc.Signals {
		if x.Name == name {
			return x, true
		}
	}
	return Signal{}, false
}
