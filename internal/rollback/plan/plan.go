// Package plan builds the ordered way back as data and shows it to people. It is pure: it reads no clock and no
// system, so that the same facts give the same plan, before a deployment as well as during an outage. It does
// not run plans.
package plan

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/belaydev/belay"
)

// The values of what a Spec leaves out.
const (
	DefaultDeadline     = 2 * time.Minute
	DefaultBudget       = 10 * time.Minute
	DefaultProofTimeout = 2 * time.Minute
)

// Spec is what a plan is built from: the facts of a deployment and the configured steps.
type Spec struct {
	ID string // of the rollback
	belay.Ref
	Deployment       string // empty when a person rolls back without one
	From, To         belay.Release
	FromSlot, ToSlot string

	Steps        []StepSpec
	Budget       time.Duration
	ProofTimeout time.Duration

	Trigger string
	Reason  string
	Now     time.Time
}

// StepSpec is one configured step.
type StepSpec struct {
	Name     string         // unique within the plan; the driver's, numbered, when empty
	Kind     belay.StepKind // workload when empty
	Driver   string
	Target   string          // for people
	Args     json.RawMessage // the driver's own
	Deadline time.Duration
	Attempts int
	Backoff  time.Duration
	Next     *StepSpec // what to do instead on the next rung
}

// Build makes the plan. A release to go back to may be missing: the plan then says so in RollForward and has no
// rungs. The error is about the specification alone, whatever the releases are; so a configuration can be
// checked by building a plan from it.
func Build(s Spec) (belay.Plan, error) {
	p := belay.Plan{
		ID: s.ID, Ref: s.Ref, Deployment: s.Deployment,
		From: s.From, To: s.To, FromSlot: s.FromSlot, ToSlot: s.ToSlot,
		Budget:       belay.Duration(orDefault(s.Budget, DefaultBudget)),
		ProofTimeout: belay.Duration(orDefault(s.ProofTimeout, DefaultProofTimeout)),
		Trigger:      s.Trigger, Reason: s.Reason, CreatedAt: s.Now,
	}
	var problems []error
	if s.ID == "" {
		problems = append(problems, errors.New("it has no id"))
	}
	for i, steps := range rungs(s.Steps) {
		r, errs := rung(s.ID, i, steps)
		problems = append(problems, errs...)
		p.Rungs = append(p.Rungs, r)
	}
	if len(p.Rungs) > 0 {
		if need := Needs(p.Rungs[0]) + p.ProofTimeout.D(); need > p.Budget.D() {
			problems = append(problems, fmt.Errorf("its steps may take %s and the proof %s, which is more than its budget of %s: raise the budget or lower the deadlines",
				belay.Duration(Needs(p.Rungs[0])), p.ProofTimeout, p.Budget))
		}
	}
	if err := errors.Join(problems...); err != nil {
		return belay.Plan{}, belay.Errorf(belay.CodeInvalid, "the rollback plan of %s cannot be used: %w", s.Ref, err)
	}
	if p.RollForward = rollForward(s); p.RollForward != "" {
		p.Rungs = nil
	}
	return p, nil
}

// Needs is how long the steps of a rung may take together.
func Needs(r belay.Rung) (total time.Duration) {
	for _, s := range r.Steps {
		total += s.Deadline.D()
	}
	return total
}

func rollForward(s Spec) string {
	switch {
	case len(s.Steps) == 0:
		return "there is no way back: no rollback steps are configured for " + s.Service
	case s.To.IsZero():
		return "nothing to roll back to: this is the first deployment belay saw; fix the release and deploy again, or name a version to go back to"
	case s.From.Key() == s.To.Key() && s.From.Config == s.To.Config && s.FromSlot == s.ToSlot:
		return fmt.Sprintf("nothing to roll back to: %s is the release that is there already", s.To)
	}
	return ""
}

// rungs lists the ways back: first every step, then every step with its fallback in its place, and so on. A
// step without a further fallback stays: its look makes it a no-op where it was done already.
func rungs(steps []StepSpec) [][]StepSpec {
	if len(steps) == 0 {
		return nil
	}
	all := [][]StepSpec{steps}
	for {
		last := all[len(all)-1]
		next := slices.Clone(last)
		more := false
		for i, s := range last {
			if s.Next == nil {
				continue
			}
			more = true
			next[i] = *s.Next
			if next[i].Name == "" {
				next[i].Name = s.Name
			}
			if next[i].Kind == "" {
				next[i].Kind = s.Kind
			}
		}
		if !more {
			return all
		}
		all = append(all, next)
	}
}

func rung(id string, index int, specs []StepSpec) (belay.Rung, []error) {
	r := belay.Rung{Name: rungName(index)}
	var problems []error
	used := map[string]bool{}
	for _, s := range specs {
		used[s.Name] = true
	}
	seen := map[string]bool{}
	for _, spec := range specs {
		s := step(spec)
		if s.Name == "" {
			s.Name = freeName(spec.Driver, used)
		}
		if seen[s.Name] {
			problems = append(problems, fmt.Errorf("two steps are called %q", s.Name))
		}
		seen[s.Name] = true
		if strings.Contains(s.Name, "/") {
			problems = append(problems, fmt.Errorf("the name of step %q holds a slash", s.Name))
		}
		if s.Driver == "" {
			problems = append(problems, fmt.Errorf("step %q says nothing to do: it has no driver", s.Name))
		}
		if order(s.Kind) < 0 {
			problems = append(problems, fmt.Errorf("step %q has the kind %q: want flags, traffic, workload, config or schema", s.Name, s.Kind))
		}
		s.Key = id + "/" + strconv.Itoa(index) + "/" + s.Name
		r.Steps = append(r.Steps, s)
	}
	slices.SortStableFunc(r.Steps, func(a, b belay.Step) int { return order(a.Kind) - order(b.Kind) })
	return r, problems
}

func step(s StepSpec) belay.Step {
	out := belay.Step{
		Name: s.Name, Kind: s.Kind, Driver: s.Driver, Target: s.Target, Args: s.Args,
		Deadline: belay.Duration(orDefault(s.Deadline, DefaultDeadline)),
		Attempts: max(s.Attempts, 1), Backoff: belay.Duration(max(s.Backoff, 0)),
	}
	if out.Kind == "" {
		out.Kind = belay.StepWorkload
	}
	if out.Target == "" {
		out.Target = s.Driver
	}
	return out
}

func freeName(name string, used map[string]bool) string {
	free := name
	for n := 2; used[free]; n++ {
		free = name + "-" + strconv.Itoa(n)
	}
	used[free] = true
	return free
}

func rungName(i int) string {
	switch i {
	case 0:
		return "primary"
	case 1:
		return "fallback"
	}
	return "fallback " + strconv.Itoa(i)
}

// order is the place of a kind: what takes effect fastest first, what cannot be undone easily last.
func order(k belay.StepKind) int {
	return slices.Index([]belay.StepKind{belay.StepFlags, belay.StepTraffic, belay.StepWorkload, belay.StepConfig, belay.StepSchema}, k)
}

func orDefault(d, def time.Duration) time.Duration {
	if d <= 0 {
		return def
	}
	return d
}
