package plan_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/rollback/plan"
)

func spec(steps ...plan.StepSpec) plan.Spec {
	return plan.Spec{
		ID: "r-1", Ref: belay.Ref{Service: "shop", Environment: "production"}, Deployment: "d-1",
		From: belay.Release{Version: "2.0"}, To: belay.Release{Version: "1.9"}, FromSlot: "green", ToSlot: "blue",
		Steps: steps, Trigger: "regressed", Reason: "error_rate is 12 %", Now: time.Unix(1000, 0).UTC(),
	}
}

func names(r belay.Rung) string {
	var s []string
	for _, st := range r.Steps {
		s = append(s, st.Name)
	}
	return strings.Join(s, " ")
}

func TestStepsRunFlagsFirstSchemaLast(t *testing.T) {
	p, err := plan.Build(spec(
		plan.StepSpec{Name: "db", Kind: belay.StepSchema, Driver: "command", Deadline: time.Minute},
		plan.StepSpec{Name: "pods", Driver: "command", Deadline: time.Minute},
		plan.StepSpec{Name: "jobs", Kind: belay.StepWorkload, Driver: "command", Deadline: time.Minute},
		plan.StepSpec{Name: "edge", Kind: belay.StepTraffic, Driver: "proxy", Deadline: time.Minute},
		plan.StepSpec{Name: "off", Kind: belay.StepFlags, Driver: "http", Deadline: time.Minute},
	))
	if err != nil {
		t.Fatal(err)
	}
	if got := names(p.Rungs[0]); got != "off edge pods jobs db" {
		t.Errorf("order %q", got)
	}
	if k := p.Rungs[0].Steps[1].Key; k != "r-1/0/edge" {
		t.Errorf("key %q", k)
	}
	if len(p.Rungs) != 1 || p.Budget.D() != plan.DefaultBudget || p.Rungs[0].Steps[0].Attempts != 1 {
		t.Errorf("defaults: %+v", p)
	}
}

func TestRungsPutTheFallbackInPlace(t *testing.T) {
	p, err := plan.Build(spec(
		plan.StepSpec{Name: "edge", Kind: belay.StepTraffic, Driver: "proxy", Next: &plan.StepSpec{Driver: "command", Target: "./dns.sh",
			Next: &plan.StepSpec{Name: "page", Driver: "http"}}},
		plan.StepSpec{Name: "pods", Driver: "command"},
	))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range p.Rungs {
		for _, s := range r.Steps {
			got = append(got, s.Key+"="+s.Driver)
		}
	}
	want := "r-1/0/edge=proxy r-1/0/pods=command r-1/1/edge=command r-1/1/pods=command r-1/2/page=http r-1/2/pods=command"
	if strings.Join(got, " ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, " "), want)
	}
}

func TestUnnamedStepsAreNamedAfterTheirDriver(t *testing.T) {
	p, err := plan.Build(spec(plan.StepSpec{Driver: "command"}, plan.StepSpec{Driver: "command"}, plan.StepSpec{Name: "command-2", Driver: "http"}))
	if err != nil {
		t.Fatal(err)
	}
	if got := names(p.Rungs[0]); got != "command command-3 command-2" {
		t.Errorf("names %q", got)
	}
}

func TestNoWayBackIsExplained(t *testing.T) {
	first := spec(plan.StepSpec{Driver: "command"})
	first.To = belay.Release{}
	same := spec(plan.StepSpec{Driver: "command"})
	same.To, same.ToSlot = same.From, same.FromSlot
	for want, s := range map[string]plan.Spec{
		"this is the first deployment belay saw": first,
		"is the release that is there already":   same,
		"no rollback steps are configured":       spec(),
	} {
		p, err := plan.Build(s)
		if err != nil || !strings.Contains(p.RollForward, want) || p.Rungs != nil {
			t.Errorf("want %q, got %q, %d rungs, %v", want, p.RollForward, len(p.Rungs), err)
		}
		if text := plan.Text(p); !strings.Contains(text, "roll forward") || !strings.Contains(text, want) {
			t.Errorf("text: %s", text)
		}
	}
}

func TestABadSpecificationIsRefusedWithEveryProblem(t *testing.T) {
	s := spec(
		plan.StepSpec{Name: "a", Driver: "command", Deadline: 3 * time.Minute},
		plan.StepSpec{Name: "a", Kind: "magic", Driver: "command", Deadline: 3 * time.Minute},
		plan.StepSpec{Name: "b/c"},
	)
	s.Budget = 5 * time.Minute
	_, err := plan.Build(s)
	if belay.CodeOf(err) != belay.CodeInvalid {
		t.Fatalf("code %q of %v", belay.CodeOf(err), err)
	}
	for _, want := range []string{`two steps are called "a"`, `kind "magic"`, "no driver", "slash", "8m", "5m"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in: %v", want, err)
		}
	}
}

func TestTextIsWhatAPersonMustKnow(t *testing.T) {
	p, err := plan.Build(spec(
		plan.StepSpec{Name: "scripts", Driver: "command", Target: "./rollback.sh", Attempts: 3,
			Next: &plan.StepSpec{Driver: "command", Target: "./rollback.sh --hard"}},
		plan.StepSpec{Name: "edge", Kind: belay.StepTraffic, Driver: "proxy", Target: "proxy edge", Deadline: 10 * time.Second},
	))
	if err != nil {
		t.Fatal(err)
	}
	want := `Roll back shop/production from 2.0 (slot green) to 1.9 (slot blue)
because error_rate is 12 %
  1. traffic   edge     proxy edge     at most 10s
  2. workload  scripts  ./rollback.sh  at most 2m, 3 attempts
  then prove it: up to 2m for users to be well again
If that fails, fallback:
  1. traffic   edge     proxy edge            at most 10s
  2. workload  scripts  ./rollback.sh --hard  at most 2m
  then prove it: up to 2m for users to be well again
All of it within 10m; if nothing works, people are told.
`
	if got := plan.Text(p); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestAPlanIsData(t *testing.T) {
	p, err := plan.Build(spec(plan.StepSpec{Driver: "command", Args: json.RawMessage(`{"argv":["./rollback.sh"]}`)}))
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var back belay.Plan
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if plan.Text(back) != plan.Text(p) || string(back.Rungs[0].Steps[0].Args) != `{"argv":["./rollback.sh"]}` {
		t.Errorf("a stored plan reads differently: %s", b)
	}
}
