package replay

import (
	"slices"
	"strings"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/app/translate"
	"github.com/belaydev/belay/internal/config"
	"github.com/belaydev/belay/internal/judge"
)

// usual is how a signal of a well-known name is judged when nothing else is said.
type usual struct {
	unit      string
	direction judge.Direction
	smallest  float64 // change that matters; 0: that of its kind
}

func usualOf(name string) (usual, bool) {
	switch name {
	case config.ErrorRate:
		return usual{"%", judge.HigherIsWorse, 0}, true
	case config.ResponseTime:
		return usual{"s", judge.HigherIsWorse, 0}, true
	case config.CPUUsage:
		return usual{"%", judge.HigherIsWorse, 0.2}, true
	case config.MemoryUsage:
		return usual{"B", judge.HigherIsWorse, 0.2}, true
	case config.Throughput:
		return usual{"/s", judge.LowerIsWorse, 0.2}, true
	case "queue_length", "restarts", "lag":
		return usual{"", judge.HigherIsWorse, 0}, true
	}
	return usual{}, false
}

// rank orders signals by how much they say about users.
func rank(name string) int {
	switch name {
	case config.ErrorRate:
		return 0
	case config.ResponseTime:
		return 1
	}
	return 2
}

// weight is the share of the false-rollback rate that a signal gets, relative to the others.
func weight(name string) float64 { return []float64{0.6, 0.4, 0.1}[rank(name)] }

// Default judges all that a stream holds to its end: every signal is compared, and the one that says most about users
// is needed to call a release healthy.
func (s Seen) Default() judge.Policy {
	p := judge.DefaultPolicy()
	p.Deadline = max(p.Deadline, s.Seconds)
	stop := p.Signals[0].HardStop
	p.Signals = nil
	for _, x := range s.Signals {
		sig := judge.SignalPolicy{Name: x.Name, Kind: x.Kind, Compare: true, Weight: weight(x.Name), Direction: judge.HigherIsWorse}
		u, known := usualOf(x.Name)
		switch {
		case known && (x.Kind == belay.KindGauge || u.direction == judge.HigherIsWorse):
			sig.Unit, sig.Direction, sig.SmallestChange = u.unit, u.direction, u.smallest
		case x.Kind == belay.KindGauge:
			sig.Direction = judge.Either
		}
		if x.Kind == belay.KindEvents {
			sig.Unit, sig.SmallestChange = "%", 0
		}
		if x.Name == config.ErrorRate && x.Kind == belay.KindEvents {
			sig.HardStop = stop
		}
		p.Signals = append(p.Signals, sig)
	}
	s.require(&p)
	return p
}

// require makes sure that nothing is called healthy of which nothing was seen: unless the policy needs a signal
// already, it needs the first of those that the new release showed.
func (s Seen) require(p *judge.Policy) {
	if slices.ContainsFunc(p.Signals, func(x judge.SignalPolicy) bool { return x.Required }) || len(p.Signals) == 0 {
		return
	}
	needed := 0
	for i, sig := range p.Signals {
		if x, _ := s.find(sig.Name); x.Candidate {
			needed = i
			break
		}
	}
	p.Signals[needed].Required = true
}

// Section is the part of a configuration that says how a service is judged, and whether a setting of it was written
// or left to its default.
type Section struct {
	Service config.Service
	Written func(path string) bool
}

// Of is the policy that a section of the configuration means for the stream: of the signals that it names, those that
// the stream holds are judged, in the way of their kind.
func (s Seen) Of(section Section) (judge.Policy, error) {
	_, counts := s.find(config.ErrorRate)
	p := translate.JudgePolicy(section.Service, belay.Deployment{}, counts)
	p.Candidate, p.Baseline = "", "" // a stream without a policy of its own does not name its releases
	all := p.Signals
	p.Signals = nil
	for _, sig := range all {
		x, ok := s.find(sig.Name)
		if !ok {
			continue
		}
		if sig.Kind != x.Kind {
			sig.Kind = x.Kind
			if !section.Written("signals." + sig.Name + ".smallest_change") {
				sig.SmallestChange = 0
			}
			if x.Kind == belay.KindEvents {
				sig.Unit = "%"
			}
		}
		p.Signals = append(p.Signals, sig)
	}
	if len(p.Signals) == 0 {
		return p, belay.Errorf(belay.CodeInvalid, "the policy names none of the signals of the stream, which are %s", strings.Join(s.Names(), ", ")).
			WithNext("name one of them under signals")
	}
	s.require(&p)
	return p, p.Validate()
}
