package translate

import (
	"encoding/json"
	"fmt"

	"github.com/belaydev/belay/internal/config"
	"github.com/belaydev/belay/internal/rollback/driver/proxy"
	"github.com/belaydev/belay/internal/rollback/plan"
)

// Steps turns the configured rollback steps into those of a plan, with the arguments of their drivers.
func Steps(s config.Service, cfg *config.Config) ([]plan.StepSpec, error) {
	var out []plan.StepSpec
	for _, step := range s.Rollback.Steps {
		spec, err := stepSpec(step, cfg)
		if err != nil {
			return nil, fmt.Errorf("read rollback step %q of %s: %w", step.Name, s.Ref(), err)
		}
		out = append(out, spec)
	}
	return out, nil
}

func stepSpec(s config.Step, cfg *config.Config) (plan.StepSpec, error) {
	out := plan.StepSpec{
		Name: s.Name, Kind: s.Kind, Driver: s.Driver(), Deadline: s.Deadline, Attempts: s.Attempts, Backoff: s.Backoff,
	}
	var args any
	switch {
	case s.Proxy != "":
		out.Target, args = "proxy "+s.Proxy, proxy.Args{Proxy: s.Proxy}
	}
	b, err := json.Marshal(args)
	if err != nil {
		return out, err
	}
	out.Args = b
	if s.Next != nil {
		next, err := stepSpec(*s.Next, cfg)
		if err != nil {
			return out, err
		}
		out.Next = &next
	}
	return out, nil
}
