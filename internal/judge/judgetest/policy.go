package judgetest

import (
	"fmt"
	"slices"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/judge"
)

// policy reads a policy line: of the watch, or of a signal.
func (s *Script) policy(w []string) error {
	if len(w) < 2 {
		return fmt.Errorf("read policy: want a name and a value")
	}
	p := &s.Policy
	switch w[0] {
	case "candidate":
		p.Candidate = w[1]
		return nil
	case "baseline":
		p.Baseline = w[1]
		return nil
	}
	fields := map[string]*float64{
		"min_time": &p.MinTime, "min_health_time": &p.MinHealthTime, "warmup": &p.Warmup, "deadline": &p.Deadline,
		"stale_after": &p.StaleAfter, "blind_after": &p.BlindAfter, "false_rollback_rate": &p.FalseRollbackRate, "pass_rate": &p.PassRate,
	}
	if f := fields[w[0]]; f != nil {
		v, err := number(w[1])
		*f = v
		return err
	}
	return s.signal(w[0], w[1:])
}

// signal reads the fields of a signal, made when new.
func (s *Script) signal(name string, w []string) error {
	i := slices.IndexFunc(s.Policy.Signals, func(p judge.SignalPolicy) bool { return p.Name == name })
	kinds := []belay.SampleKind{belay.KindEvents, belay.KindHistogram, belay.KindGauge}
	switch {
	case i >= 0 && len(w) == 1 && w[0] == "off":
		s.Policy.Signals = slices.Delete(s.Policy.Signals, i, i+1)
		return nil
	case i < 0 && !slices.Contains(kinds, belay.SampleKind(w[0])):
		return fmt.Errorf("read policy of %s: a new signal begins with its kind: events, histogram or gauge", name)
	case i < 0:
		s.Policy.Signals = append(s.Policy.Signals, judge.SignalPolicy{Name: name, Kind: belay.SampleKind(w[0])})
		i, w = len(s.Policy.Signals)-1, w[1:]
	}
	p := &s.Policy.Signals[i]
	for len(w) > 0 {
		switch w[0] {
		case "compare":
			p.Compare, w = true, w[1:]
			continue
		case "alone":
			p.Compare, w = false, w[1:]
			continue
		case "required":
			p.Required, w = true, w[1:]
			continue
		case "optional":
			p.Required, w = false, w[1:]
			continue
		}
		if len(w) < 2 {
			return fmt.Errorf("read policy of %s: %s has no value", name, w[0])
		}
		if err := field(p, w[0], w[1]); err != nil {
			return fmt.Errorf("read policy of %s: %w", name, err)
		}
		w = w[2:]
	}
	return nil
}

func field(p *judge.SignalPolicy, name, value string) error {
	switch name {
	case "direction":
		p.Direction = judge.Direction(value)
		return nil
	case "unit":
		p.Unit = value
		return nil
	}
	v, err := number(value)
	if err != nil {
		return err
	}
	fields := map[string]*float64{
		"for": &p.For, "margin": &p.Margin, "smallest_change": &p.SmallestChange, "harm": &p.Harm, "quantile": &p.Quantile,
		"weight": &p.Weight, "dispersion": &p.Dispersion,
	}
	switch f := fields[name]; {
	case f != nil:
		*f = v
	case name == "threshold":
		p.Threshold = &v
	case name == "hard_stop":
		p.HardStop = &v
	case name == "hard_stop_min":
		p.HardStopMin = int(v)
	default:
		return fmt.Errorf("read %q: no such field; the fields are threshold, for, hard_stop, hard_stop_min, margin, smallest_change, harm, quantile, weight, dispersion, direction and unit", name)
	}
	return nil
}
