package rollback_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/rollback"
	"github.com/belaydev/belay/internal/rollback/plan"
)

// journal keeps everything in memory, as the interfaces demand.
type journal struct {
	mu         sync.Mutex
	rollbacks  map[string]belay.Rollback
	events     []belay.Event
	saves      []string // "state" of every save, in order
	quarantine []belay.Quarantine
	stable     []belay.StableRelease
	broken     error
	saved      func(ctx context.Context, rb belay.Rollback) // called after a save
	touched    func(id string)                              // called before a read or a save
}

func newJournal() *journal {
	return &journal{
		rollbacks: map[string]belay.Rollback{},
		stable:    []belay.StableRelease{{Release: belay.Release{Version: "1.9"}, Verified: true}},
	}
}

func (j *journal) SaveRollback(ctx context.Context, rb belay.Rollback, events ...belay.Event) error {
	if j.touched != nil {
		j.touched(rb.ID)
	}
	if j.saved != nil {
		defer j.saved(ctx, rb)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.broken != nil {
		return j.broken
	}
	rb.Steps = slices.Clone(rb.Steps)
	j.rollbacks[rb.ID] = rb
	j.saves = append(j.saves, string(rb.State))
	for _, e := range events {
		if !slices.ContainsFunc(j.events, func(o belay.Event) bool { return o.ID == e.ID }) {
			j.events = append(j.events, e)
		}
	}
	return nil
}

func (j *journal) Rollback(_ context.Context, id string) (belay.Rollback, error) {
	if j.touched != nil {
		j.touched(id)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	rb, ok := j.rollbacks[id]
	if !ok {
		return rb, belay.Errorf(belay.CodeNotFound, "there is no rollback %q", id)
	}
	return rb, nil
}

func (j *journal) Rollbacks(_ context.Context, f belay.RollbackFilter) ([]belay.Rollback, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	var out []belay.Rollback
	for _, rb := range j.rollbacks {
		other := f.Service != "" && rb.Plan.Service != f.Service || f.Environment != "" && rb.Plan.Environment != f.Environment
		if other || f.Active && rb.State.Final() || rb.StartedAt.Before(f.Since) {
			continue
		}
		out = append(out, rb)
	}
	return out, nil
}

func (j *journal) Quarantine(_ context.Context, q belay.Quarantine) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.quarantine = append(j.quarantine, q)
	return nil
}

func (j *journal) Quarantined(_ context.Context, _ belay.Ref, key string) (belay.Quarantine, bool, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, q := range j.quarantine {
		if q.Key == key {
			return q, true, nil
		}
	}
	return belay.Quarantine{}, false, nil
}

func (j *journal) StableHistory(context.Context, belay.Ref, int) ([]belay.StableRelease, error) {
	return j.stable, nil
}

func (j *journal) eventIDs() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	var s []string
	for _, e := range j.events {
		s = append(s, e.ID)
	}
	return strings.Join(s, " ")
}

// target is a fake system with a driver: it knows, for each step name, what a look reads and what an act does.
type target struct {
	mu    sync.Mutex
	acts  []string // names of the steps in the order of their acts
	state map[string]belay.Progress
	do    func(ctx context.Context, a belay.Action) error // replaces the act
	look  func(a belay.Action) (belay.Look, error)        // replaces the look
}

func (d *target) Inspect(ctx context.Context, a belay.Action) (belay.Look, error) {
	d.mu.Lock()
	look := d.look
	p, ok := d.state[a.Name]
	d.mu.Unlock()
	if look != nil {
		return look(a)
	}
	if err := ctx.Err(); err != nil {
		return belay.Look{}, err
	}
	if !ok {
		p = belay.ProgressPending
	}
	return belay.Look{Progress: p, Detail: a.Name + " is " + string(p)}, nil
}

func (d *target) Do(ctx context.Context, a belay.Action) error {
	d.mu.Lock()
	d.acts = append(d.acts, a.Name)
	do := d.do
	d.mu.Unlock()
	if do != nil {
		if err := do(ctx, a); err != nil {
			return err
		}
	}
	d.set(a.Name, belay.ProgressDone)
	return nil
}

func (d *target) set(name string, p belay.Progress) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.state == nil {
		d.state = map[string]belay.Progress{}
	}
	d.state[name] = p
}

func (d *target) acted() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.acts, " ")
}

type proverFunc func(ctx context.Context, rb belay.Rollback) (belay.Certificate, error)

func (f proverFunc) Prove(ctx context.Context, rb belay.Rollback) (belay.Certificate, error) {
	return f(ctx, rb)
}

func verdict(results ...belay.CheckResult) proverFunc {
	n := 0
	return func(context.Context, belay.Rollback) (belay.Certificate, error) {
		r := results[min(n, len(results)-1)]
		n++
		return belay.Certificate{Checks: []belay.Check{{Name: "release of a:1", Result: r, Want: "1.9", Got: "something"}}}, nil
	}
}

type world struct {
	t       *testing.T
	dir     string
	journal *journal
	target  *target
	options rollback.Options
	engine  *rollback.Engine
}

func newWorld(t *testing.T, prover rollback.Prover) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), journal: newJournal(), target: &target{}}
	w.options = rollback.Options{
		Dir: w.dir, Journal: w.journal, History: w.journal, Prover: prover,
		Drivers: map[string]rollback.Driver{"fake": w.target},
	}
	return w
}

func (w *world) start() *rollback.Engine {
	w.t.Helper()
	e, err := rollback.New(w.options)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := e.Start(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { w.stop(e) })
	w.engine = e
	return e
}

func (w *world) stop(e *rollback.Engine) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := e.Stop(ctx); err != nil {
		w.t.Error(err)
	}
}

// run runs a plan of the named steps to its end.
func (w *world) run(p belay.Plan) belay.Rollback {
	w.t.Helper()
	if err := w.engine.Run(w.t.Context(), p, "belay"); err != nil {
		w.t.Fatal(err)
	}
	return w.wait(p.ID)
}

func (w *world) wait(id string) belay.Rollback {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
	defer cancel()
	rb, err := w.engine.Wait(ctx, id)
	if err != nil {
		w.t.Fatal(err)
	}
	return rb
}

func steps(names ...string) []plan.StepSpec {
	var out []plan.StepSpec
	for _, n := range names {
		out = append(out, plan.StepSpec{Name: n, Driver: "fake", Target: "target " + n, Deadline: 5 * time.Second, Attempts: 2, Backoff: time.Millisecond})
	}
	return out
}

func newPlan(t *testing.T, id string, s []plan.StepSpec, change ...func(*plan.Spec)) belay.Plan {
	t.Helper()
	spec := plan.Spec{
		ID: id, Ref: belay.Ref{Service: "shop", Environment: "production"}, Deployment: "d-1",
		From: belay.Release{Version: "2.0"}, To: belay.Release{Version: "1.9"},
		Steps: s, Budget: time.Minute, ProofTimeout: time.Second,
		Trigger: "regressed", Reason: "error_rate is 12 %", Now: time.Now(),
	}
	for _, c := range change {
		c(&spec)
	}
	p, err := plan.Build(spec)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func states(rb belay.Rollback) string {
	var s []string
	for _, r := range rb.Steps {
		s = append(s, fmt.Sprintf("%d/%s=%s", r.Rung, r.Name, r.State))
	}
	return strings.Join(s, " ")
}

var errBoom = errors.New("boom")
