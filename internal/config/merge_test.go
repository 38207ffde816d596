package config_test

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/config"
	"github.com/belaydev/belay/internal/config/unit"
)

func parse(t *testing.T, src string) *config.Config {
	t.Helper()
	c, err := config.Parse("/etc/belay/belay.yaml", []byte(src), env)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func service(t *testing.T, c *config.Config, environment string) config.Service {
	t.Helper()
	s, ok := c.Service(belay.Ref{Service: "shop", Environment: environment})
	if !ok {
		t.Fatalf("no shop/%s among %d services", environment, len(c.Services))
	}
	return s
}

func TestEnvironmentsAreMergedDeep(t *testing.T) {
	src, err := os.ReadFile("testdata/good/environments.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c := parse(t, string(src))
	production, staging, dev := service(t, c, "production"), service(t, c, "staging"), service(t, c, "dev")

	check(t, "production deadline", production.Watch.Deadline, 10*time.Minute)
	check(t, "staging deadline", staging.Watch.Deadline, 5*time.Minute)
	check(t, "staging bake", staging.Watch.Bake, 0)
	check(t, "staging threshold kept", staging.Signals[0].Threshold.Value, 0.05)
	check(t, "staging for", staging.Signals[0].For, 0)
	check(t, "production for untouched", production.Signals[0].For, 10*time.Second)
	check(t, "production has no cpu signal", signalNames(production), "error_rate response_time throughput memory_usage")
	check(t, "staging has it back", signalNames(staging), "error_rate response_time throughput cpu_usage memory_usage")
	check(t, "with the change that mattered before", staging.Signals[3].SmallestChange, unit.Percent(0.2))
	check(t, "production plan", production.Rollback.Steps[0].Driver(), "proxy")
	check(t, "staging plan", staging.Rollback.Steps[0].Driver(), "command")
	check(t, "staging auto", staging.Rollback.Auto, false)
	check(t, "dev auto", dev.Rollback.Auto, true)
	check(t, "targets replaced", len(staging.Targets), 1)
	check(t, "release as text", production.Targets[1].Release, "1.10")
}

func signalNames(s config.Service) string {
	var names []string
	for _, x := range s.Signals {
		names = append(names, x.Name)
	}
	return strings.Join(names, " ")
}

func TestProxyGivesTargetsStepsAndPlan(t *testing.T) {
	s := service(t, parse(t, `
proxies: {edge: {listen: 127.0.0.1:8480, slots: {blue: 127.0.0.1:9001, green: {address: 127.0.0.1:9002, drain: 5s}}}}
services: {shop: {rollout: {proxy: edge}}}
`), "production")
	if want := []config.Target{{Address: "127.0.0.1:9001", Slot: "blue"}, {Address: "127.0.0.1:9002", Slot: "green"}}; !slices.Equal(s.Targets, want) {
		t.Errorf("targets %v, want %v", s.Targets, want)
	}
	if want := []unit.Weight{10, 50, 100}; !slices.Equal(s.Rollout.Steps, want) {
		t.Errorf("steps %v, want %v", s.Rollout.Steps, want)
	}
	check(t, "plan", s.Rollback.Steps[0].Proxy, "edge")
	check(t, "kind", s.Rollback.Steps[0].Kind, belay.StepTraffic)
	check(t, "name", s.Rollback.Steps[0].Name, "proxy")
}

func TestRungsReplaceFailedSteps(t *testing.T) {
	s := service(t, parse(t, `
services:
  shop:
    rollback:
      steps:
        - {name: flags, http: {url: "http://127.0.0.1/off"}, deadline: 10s}
        - name: gentle
          command: ./a.sh
          deadline: 20s
          next: {name: hard, command: ./b.sh, deadline: 30s, next: {name: last, command: c}}
`), "production")
	var got []string
	for _, rung := range s.Rollback.Rungs() {
		for _, step := range rung {
			got = append(got, step.Name)
		}
	}
	check(t, "rungs", strings.Join(got, " "), "flags gentle flags hard flags last")
	check(t, "program by path", s.Rollback.Steps[1].Command[0], "/etc/belay/a.sh")
	check(t, "program by name", s.Rollback.Steps[1].Next.Next.Command[0], "c")
	// 10+20, 10+30 and 10+120 seconds, and three proofs of two minutes.
	check(t, "needs", s.Rollback.Needs(), 9*time.Minute+20*time.Second)
	check(t, "budget", s.Rollback.Budget, 10*time.Minute)
}

func TestBudgetGrowsWithThePlan(t *testing.T) {
	s := service(t, parse(t, `services: {shop: {rollback: {steps: [{command: a}, {command: b}, {command: c}, {command: d}, {command: e}]}}}`), "production")
	check(t, "budget", s.Rollback.Budget, 12*time.Minute)
	check(t, "numbered name", s.Rollback.Steps[4].Name, "command-5")
}

func TestSecretsAreResolvedAndHidden(t *testing.T) {
	c, err := config.Load("testdata/good/full.yaml", env)
	if err != nil {
		t.Fatal(err)
	}
	check(t, "from the environment", c.Server.Token.Value.Reveal(), "hunter2-BELAY_TOKEN")
	check(t, "from a file", c.Notify.Webhooks[0].Secret.Value.Reveal(), "hunter2-file")
	unresolved, err := config.Load("testdata/good/full.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	check(t, "not asked for", unresolved.Server.Token.Value, "")
	check(t, "but named", unresolved.Server.Token.IsSet(), true)
}

func TestHugeFileIsRefused(t *testing.T) {
	_, err := config.Parse("belay.yaml", []byte(strings.Repeat("# comment\n", 120_000)), nil)
	if err == nil || !strings.Contains(err.Error(), "the limit is") {
		t.Errorf("got %v", err)
	}
}

// TestBigFilesAreReadQuickly holds that no shape of a file within the limit takes time that grows with its square.
func TestBigFilesAreReadQuickly(t *testing.T) {
	var keys, services, merged strings.Builder
	merged.WriteString("x-a: &a {b: 1}\nx-c: {<<: *a")
	for i := range 60_000 {
		n := strconv.Itoa(i)
		keys.WriteString("k" + n + ": 1\n")
		merged.WriteString(", k" + n + ": 1")
		if i < 200 {
			services.WriteString("  s" + n + ": {targets: [a:" + strconv.Itoa(i+1) + "]}\n")
		}
	}
	merged.WriteString("}\n")
	for name, src := range map[string]string{
		"unknown keys": keys.String(),
		"services":     "services:\n" + services.String(),
		"merged":       merged.String(),
		"items":        "services: {shop: {targets: [" + strings.Repeat("a:1, ", 100_000) + "]}}",
		"signals":      "services: {shop: {signals: {" + strings.ReplaceAll(strings.ReplaceAll(keys.String(), "\n", ", "), "k", "k_") + "}}}",
	} {
		began := time.Now()
		_, err := config.Parse("belay.yaml", []byte(src), env)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s: took %v (%.200v)", name, took, err)
		} else {
			t.Logf("%s: %d bytes in %v", name, len(src), took)
		}
	}
}

func TestLineSaysWhereASettingWasWritten(t *testing.T) {
	c, err := config.Parse("belay.yaml", []byte(`
services:
  shop:
    targets: [127.0.0.1:8000]
    signals:
      error_rate: {margin: 1.5}
    environments:
      staging: {}
      production:
        signals:
          error_rate: {margin: 2}
`), env)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct {
		environment, path string
		line              int
	}{
		{"staging", "signals.error_rate.margin", 6}, {"production", "signals.error_rate.margin", 11}, {"production", "signals.error_rate.dispersion", 0},
		{"nowhere", "signals.error_rate.margin", 0},
	} {
		line, written := c.Line(belay.Ref{Service: "shop", Environment: want.environment}, want.path)
		if line != want.line || written != (want.line > 0) {
			t.Errorf("%s of %s: line %d, written %t; want line %d", want.path, want.environment, line, written, want.line)
		}
	}
}
