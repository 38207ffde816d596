package app

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/app/forecast"
	"github.com/belaydev/belay/internal/app/translate"
	"github.com/belaydev/belay/internal/lib/id"
	"github.com/belaydev/belay/internal/rollback/plan"
)

// reverter builds plans and hands them to the rollback engine: what package watch wants of the way back.
type reverter struct{ a *App }

// Revert begins the rollback of a deployment, or finds it begun: its id is the deployment's to give.
func (r reverter) Revert(ctx context.Context, d belay.Deployment, trigger, reason, actor string) (string, error) {
	p, err := r.a.planOf(d, trigger, reason)
	if err != nil {
		return "", err
	}
	if err := r.a.engine.Run(ctx, p, actor); err != nil {
		return "", fmt.Errorf("roll back %s: %w", d.Ref, err)
	}
	return p.ID, nil
}

// Wait returns the rollback when it has ended.
func (r reverter) Wait(ctx context.Context, id string) (belay.Rollback, error) {
	return r.a.engine.Wait(ctx, id)
}

// planOf builds the plan that takes d back.
func (a *App) planOf(d belay.Deployment, trigger, reason string) (belay.Plan, error) {
	cfg := a.config()
	s, ok := cfg.Service(d.Ref)
	if !ok {
		return belay.Plan{}, belay.Errorf(belay.CodeNotFound, "%s is not configured any more, so there is no plan", d.Ref)
	}
	steps, err := translate.Steps(s, cfg)
	if err != nil {
		return belay.Plan{}, err
	}
	return plan.Build(plan.Spec{
		ID: d.Rollback, Ref: d.Ref, Deployment: d.ID, From: d.Release, To: d.Previous, FromSlot: d.Slot, ToSlot: d.PreviousSlot,
		Steps: steps, Budget: s.Rollback.Budget, ProofTimeout: s.Rollback.ProofTimeout,
		Trigger: trigger, Reason: reason, Now: a.now().UTC(),
	})
}

// RequestRollback takes a service back by a person's word, or says what that would do.
func (a *App) RequestRollback(ctx context.Context, req belay.RollbackRequest) (belay.RollbackAnswer, error) {
	ref, err := a.resolve(req.Ref)
	if err != nil {
		return belay.RollbackAnswer{}, err
	}
	to, err := a.releaseNamed(ctx, ref, req.To)
	if err != nil {
		return belay.RollbackAnswer{}, err
	}
	actor := named(req.Actor)
	if len(req.Reason) > maxReason {
		return belay.RollbackAnswer{}, belay.Errorf(belay.CodeInvalid, "the reason is longer than %d characters", maxReason)
	}
	if req.DryRun {
		d, err := a.conductor.Preview(ctx, ref, to)
		if err != nil {
			return belay.RollbackAnswer{}, err
		}
		return a.preview(ctx, d, actor, req.Reason)
	}
	if d, err := a.conductor.Preview(ctx, ref, to); err != nil {
		return belay.RollbackAnswer{}, err
	} else if err := a.wayBack(d); err != nil {
		return belay.RollbackAnswer{}, err
	}
	d, err := a.conductor.Rollback(ctx, ref, to, actor, req.Reason)
	if err != nil {
		return belay.RollbackAnswer{}, err
	}
	if err := a.begun(ctx, d); err != nil {
		return belay.RollbackAnswer{}, err
	}
	answer := belay.RollbackAnswer{Rollback: d.Rollback, Deployment: d.ID}
	if answer.Plan, err = a.planOf(d, actor, req.Reason); err == nil {
		answer.Text = plan.Text(answer.Plan)
	}
	return answer, nil
}

// wayBack refuses to take back what has nowhere to go: aborting such a deployment would end its watch, and put the
// release that serves into quarantine, for nothing.
func (a *App) wayBack(d belay.Deployment) error {
	if d.Rollback == "" {
		d.Rollback = id.New("r", a.now())
	}
	p, err := a.planOf(d, "preview", "")
	if err != nil {
		return err
	}
	if p.RollForward != "" {
		return belay.Errorf(belay.CodeConflict, "%s cannot be rolled back: %s", d.Ref, p.RollForward)
	}
	return nil
}

// begun waits until the rollback of d is on record, so that whoever asked for it can follow it, or was refused.
func (a *App) begun(ctx context.Context, d belay.Deployment) error {
	rollbacks, done := a.engine.Subscribe(d.Rollback)
	defer done()
	deployments, end := a.conductor.Subscribe(d.ID)
	defer end()
	for {
		_, err := a.store.Rollback(ctx, d.Rollback)
		if belay.CodeOf(err) != belay.CodeNotFound {
			return err
		}
		now, err := a.store.Deployment(ctx, d.ID)
		if err != nil {
			return err
		}
		if now.State.Final() {
			return belay.Errorf(belay.CodeConflict, "roll back %s: %s", d.Ref, now.Reason).WithNext("belay show %s tells more", d.ID)
		}
		select {
		case <-rollbacks:
		case _, more := <-deployments:
			if !more {
				deployments = nil
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// preview is the plan that would be followed, with what every step's target says now.
func (a *App) preview(ctx context.Context, d belay.Deployment, actor, reason string) (belay.RollbackAnswer, error) {
	if d.Rollback == "" {
		d.Rollback = id.New("r", a.now())
	}
	p, err := a.planOf(d, actor, reason)
	if err != nil {
		return belay.RollbackAnswer{}, err
	}
	return belay.RollbackAnswer{Plan: p, Text: plan.Text(p), Looks: a.engine.Look(ctx, p), Deployment: d.ID}, nil
}

// Plan is the plan that a rollback of the service would follow now.
func (a *App) Plan(ctx context.Context, ref belay.Ref) (belay.RollbackAnswer, error) {
	ref, err := a.resolve(ref)
	if err != nil {
		return belay.RollbackAnswer{}, err
	}
	d, err := a.conductor.Preview(ctx, ref, belay.Release{})
	if belay.CodeOf(err) == belay.CodeConflict {
		// Nothing can be taken back now: show the way back of the next deployment.
		d, err = a.next(ctx, ref)
	}
	if err != nil {
		return belay.RollbackAnswer{}, err
	}
	d.Rollback = "preview"
	p, err := a.planOf(d, "preview", "")
	if err != nil {
		return belay.RollbackAnswer{}, err
	}
	return belay.RollbackAnswer{Plan: p, Text: plan.Text(p), Outlook: a.outlook(ctx, ref)}, nil
}

// outlook says what the next watch of a service will be able to see, or why that is not known.
func (a *App) outlook(ctx context.Context, ref belay.Ref) string {
	s, ok := a.config().Service(ref)
	if !ok {
		return ""
	}
	if !translate.CountsRequests(s) && len(translate.Targets(s, a.config())) == 0 {
		return forecast.NotCounted
	}
	known, err := a.learner.Learned(ctx, ref)
	if err != nil {
		return "what was learned of it could not be read: " + err.Error()
	}
	ctx, cancel := context.WithTimeout(ctx, outlookTimeout)
	defer cancel()
	past, err := a.learner.Lately(ctx, s, forecast.Window)
	if err != nil {
		return "its traffic is not known: " + err.Error()
	}
	latest, err := a.store.Deployments(ctx, belay.DeploymentFilter{Service: ref.Service, Environment: ref.Environment, Active: true, Limit: 1})
	if err != nil || len(latest) == 0 {
		return forecast.Of(s, past, known, nil)
	}
	return forecast.Of(s, past, known, &latest[0])
}

// outlookTimeout is how long a plan waits for the traffic of its service.
const outlookTimeout = 5 * time.Second

// foresee is the same for a watch that has begun.
func (a *App) foresee(d belay.Deployment, t belay.Tick, c belay.Card) string {
	s, ok := a.config().Service(d.Ref)
	if !ok {
		return ""
	}
	return forecast.Live(s, d, t, c)
}

// next stands for the deployment that comes next.
func (a *App) next(ctx context.Context, ref belay.Ref) (belay.Deployment, error) {
	d := belay.Deployment{Ref: ref, Release: belay.Release{Version: "(the next release)"}, Previous: belay.Release{Version: "(the release before it)"}}
	stable, known, err := a.store.Stable(ctx, ref)
	if err != nil {
		return d, err
	}
	if known {
		d.Previous, d.PreviousSlot = stable.Release, stable.Slot
	}
	return d, nil
}

// releaseNamed finds a release of the service by its version; an empty version is no wish.
func (a *App) releaseNamed(ctx context.Context, ref belay.Ref, version string) (belay.Release, error) {
	if version == "" {
		return belay.Release{}, nil
	}
	history, err := a.store.StableHistory(ctx, ref, 0)
	if err != nil {
		return belay.Release{}, err
	}
	for _, s := range history {
		if s.Release.Version == version || s.Release.Digest == version {
			return s.Release, nil
		}
	}
	return belay.Release{}, belay.Errorf(belay.CodeNotFound, "%s never ran %s as a verified release, as far as belay knows", ref, version).
		WithNext("belay history %s lists what did", ref.Service)
}

// Rollback returns one rollback.
func (a *App) Rollback(ctx context.Context, id string) (belay.Rollback, error) {
	return a.store.Rollback(ctx, id)
}

// AbortRollback stops a rollback before its next step.
func (a *App) AbortRollback(ctx context.Context, id, actor string) error {
	return a.engine.Abort(ctx, id, named(actor))
}

// SubscribeRollback delivers the newest state of a rollback after each change.
func (a *App) SubscribeRollback(id string) (<-chan belay.Rollback, func()) {
	return a.engine.Subscribe(id)
}

// resolve fills in the environment of a service that has only one, and refuses what is not configured.
func (a *App) resolve(ref belay.Ref) (belay.Ref, error) {
	var found []belay.Ref
	var known []string
	for _, s := range a.config().Services {
		known = append(known, s.Ref().String())
		if s.Name == ref.Service && (ref.Environment == "" || s.Environment == ref.Environment) {
			found = append(found, s.Ref())
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return ref, belay.Errorf(belay.CodeInvalid, "service %q has %d environments", ref.Service, len(found)).WithNext("name one of them")
	case ref.Environment == "":
		return ref, belay.Errorf(belay.CodeNotFound, "there is no service %q", ref.Service).WithNext("configured are: %s", join(known))
	}
	return ref, belay.Errorf(belay.CodeNotFound, "there is no service %q in environment %q", ref.Service, ref.Environment).
		WithNext("configured are: %s", join(known))
}

// named is the actor as it is recorded. Nobody may speak in the name of the rules: a person is "user:..." and a
// pipeline "ci" or "ci:...", whatever was sent.
func named(actor string) string {
	actor = strings.TrimSpace(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, actor))
	if runes := []rune(actor); len(runes) > maxActor {
		actor = string(runes[:maxActor])
	}
	kind, name, ok := strings.Cut(actor, ":")
	switch {
	case actor == "" || strings.EqualFold(actor, "belay") || ok && strings.TrimSpace(name) == "":
		return "user:unknown"
	case actor == "ci" || ok && !strings.EqualFold(strings.TrimSpace(kind), "belay"):
		return actor
	}
	return "user:" + actor
}

const maxActor = 128
