package translate

import (
	"regexp"
	"slices"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/config"
	"github.com/belaydev/belay/internal/observe/metric/kpi"
	"github.com/belaydev/belay/internal/watch"
	"github.com/belaydev/belay/internal/watch/state"
)

// Settings says how the deployments of a service are watched.
func Settings(s config.Service, cfg *config.Config) watch.Settings {
	w := s.Watch
	out := watch.Settings{
		Policy: state.Policy{
			StartDeadline: w.StartDeadline, Deadline: w.Deadline, MinTime: w.MinTime, StepTime: s.Rollout.StepTime,
			Bake: w.Bake, Interval: w.Interval, AutoRollback: s.Rollback.Auto, HealthFirst: len(s.Health) > 0,
			OnTimeout: state.OnTimeout{
				NeverHealthy: state.Fallback(w.OnTimeout.NeverHealthy),
				Insufficient: state.Fallback(w.OnTimeout.Insufficient),
				Blind:        state.Fallback(w.OnTimeout.Blind),
			},
		},
		Targets: Targets(s, cfg),
	}
	for _, step := range s.Rollout.Steps {
		out.Policy.Steps = append(out.Policy.Steps, int(step))
	}
	if p, ok := cfg.Proxy(s.Rollout.Proxy); ok {
		for _, slot := range p.Slots {
			out.Slots = append(out.Slots, slot.Name)
		}
	}
	return out
}

// Targets lists the configured instances of a service: those it names, else the slots of its proxy.
func Targets(s config.Service, cfg *config.Config) []belay.Target {
	var out []belay.Target
	for _, t := range s.Targets {
		out = append(out, belay.Target{Address: t.Address, Release: t.Release, Slot: t.Slot})
	}
	if p, ok := cfg.Proxy(s.Rollout.Proxy); ok && len(out) == 0 {
		for _, slot := range p.Slots {
			out = append(out, belay.Target{Address: slot.Address, Slot: slot.Name})
		}
	}
	return out
}

// Specs lists the signals that are taken from metrics. With a proxy, what users see comes from its counts, which
// are there sooner and count refused connections too.
func Specs(s config.Service) []kpi.Spec {
	fromProxy := []string{config.ErrorRate, config.ResponseTime, config.Throughput}
	var out []kpi.Spec
	for _, sig := range s.Signals {
		if sig.Query == "" && s.Rollout.Proxy != "" && slices.Contains(fromProxy, sig.Name) {
			continue
		}
		out = append(out, kpi.Spec{Name: sig.Name, Query: sig.Query})
	}
	return out
}

// Subject says whose metrics are looked at for a deployment.
func Subject(s config.Service, d belay.Deployment, specs []kpi.Spec) kpi.Subject {
	return kpi.Subject{
		Ref: d.Ref, Start: d.CreatedAt,
		Candidate:    kpi.Arm{Release: d.Release.Version, Targets: d.Targets},
		Baseline:     kpi.Arm{Release: d.Previous.Version, Targets: d.PreviousTargets},
		Selector:     s.Metrics.Selector,
		ReleaseLabel: s.Metrics.ReleaseLabel,
		Signals:      specs,
	}
}

// Pattern compiles a regular expression that the configuration has checked; nil for an empty one.
func Pattern(text string) *regexp.Regexp {
	if text == "" {
		return nil
	}
	return regexp.MustCompile(text)
}

// Behind keeps the targets that stand behind a slot; those that name none stand behind each.
func Behind(all []belay.Target, slot string) []belay.Target {
	var out []belay.Target
	for _, t := range all {
		if slot == "" || t.Slot == "" || t.Slot == slot {
			out = append(out, t)
		}
	}
	return out
}
