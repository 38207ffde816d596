package translate

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/belaydev/belay/internal/config"
	"github.com/belaydev/belay/internal/rollback/driver/command"
	"github.com/belaydev/belay/internal/rollback/driver/http"
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
	case len(s.Command) > 0:
		out.Target = strings.Join(s.Command, " ")
		args = command.Args{Argv: s.Command, Inspect: s.Inspect, Reads: command.ReadsVersion, Dir: cfg.Dir}
	case s.HTTP != nil:
		out.Target, args = s.HTTP.Method+" "+s.HTTP.URL, httpArgs(s.HTTP)
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

// httpArgs keeps where a secret is, never the secret: a plan is stored and shown.
func httpArgs(h *config.HTTPStep) http.Args {
	out := http.Args{Method: h.Method, URL: h.URL, Headers: h.Headers, Body: h.Body,
		Token: http.Secret{Env: h.Token.Env, File: h.Token.File}}
	for _, r := range h.Status {
		out.Status = append(out.Status, http.StatusRange{Low: r.Low, High: r.High})
	}
	if i := h.Inspect; i != nil {
		out.Inspect = &http.Inspect{URL: i.URL, JSON: i.JSON, Equals: i.Equals}
	}
	return out
}
