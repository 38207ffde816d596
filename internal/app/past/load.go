package past

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/config"
	"github.com/belaydev/belay/internal/config/bind"
	"github.com/belaydev/belay/internal/config/unit"
	"github.com/belaydev/belay/internal/config/yamldoc"
	"github.com/belaydev/belay/internal/learn/backtest"
	"github.com/belaydev/belay/internal/observe/metric/kpi"
)

// Present is the policy that a configuration has now.
func Present(cfg *config.Config, file string) Policy {
	return Policy{Name: "present", File: file, Config: cfg}
}

// LoadPolicies reads the files of proposed policies: each a whole configuration, or the keys signals, hard_stops and
// watch of one service. Signals that are measured need no query.
func LoadPolicies(files, measured []string) ([]Policy, error) {
	var out []Policy
	for i, file := range files {
		if slices.Contains(files[:i], file) {
			return nil, belay.Errorf(belay.CodeInvalid, "policy %s is named twice", file).WithNext("name it once")
		}
		text, err := os.ReadFile(file)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil, belay.Errorf(belay.CodeInvalid, "there is no policy %s", file).WithNext("name a belay.yaml, or a file with the keys signals, hard_stops and watch of a service")
		case err != nil:
			return nil, belay.Errorf(belay.CodeInvalid, "read the policy: %w", err)
		}
		cfg, err := config.ParsePolicy(file, text, measured, kpi.CheckQuery)
		if err != nil {
			return nil, err
		}
		var ignored config.Problems
		root := yamldoc.Parse(file, text, &ignored)
		out = append(out, Policy{Name: Name(files, file), File: file, Config: cfg, Bare: root != nil && root.Get("services") == nil})
	}
	return out, nil
}

// Fit tells whether a policy says how any of the cases is judged: of the others it is said in the report that it does not.
func (p Policy) Fit(cases []backtest.Case) error {
	var first error
	for _, c := range cases {
		_, err := p.Section(c.Ref)
		if err == nil {
			return nil
		}
		if first == nil {
			first = belay.Errorf(belay.CodeOf(err), "%s: %w", p.File, err)
		}
	}
	return first
}

// Sections are the services of policies.
func Sections(policies []Policy) []config.Service {
	var out []config.Service
	for _, p := range policies {
		out = append(out, p.Config.Services...)
	}
	return out
}

// Measured are the names of all signals that a configuration has.
func Measured(cfg *config.Config) []string {
	var out []string
	for _, s := range cfg.Services {
		for _, sig := range s.Signals {
			out = append(out, sig.Name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Against are the usual rules of those names.
func Against(names []string) ([]backtest.Rule, error) {
	var out []backtest.Rule
	var known []string
	for _, r := range backtest.Usual() {
		known = append(known, r.Name)
	}
	for i, name := range names {
		at := slices.Index(known, name)
		if at < 0 {
			e := belay.Errorf(belay.CodeInvalid, "there is no rule %q to compare with", name)
			if near := bind.Nearest(name, known); near != "" {
				return nil, e.WithNext("did you mean %q?", near)
			}
			return nil, e.WithNext("the rules are %s", strings.Join(known, ", "))
		}
		if !slices.Contains(names[:i], name) {
			out = append(out, backtest.Usual()[at])
		}
	}
	return out, nil
}

// Since reads the beginning of a span of time: a date, a time, or how long ago it was. Empty is the beginning of all.
func Since(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := unit.ParseDuration(text); err == nil {
		return now.Add(-d), nil
	}
	if t, err := time.Parse(time.DateOnly, text); err == nil {
		return t, nil
	}
	if t, ok := parseTime(text); ok {
		return t, nil
	}
	return time.Time{}, belay.Errorf(belay.CodeInvalid, "%q is no time to begin at", text).WithNext("write for example 30d, 2026-05-01 or 2026-05-01T10:00:00Z")
}
