package app

import (
	"context"
	"net"
	"slices"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/app/translate"
	"github.com/belaydev/belay/internal/lib/id"
)

// Deploy begins a deployment, or registers one.
func (a *App) Deploy(ctx context.Context, req belay.DeployRequest) (belay.Deployment, error) {
	ref, err := a.resolve(req.Ref)
	if err != nil {
		return belay.Deployment{}, err
	}
	req.Ref, req.Actor = ref, named(req.Actor)
	if err := acceptable(req); err != nil {
		return belay.Deployment{}, err
	}
	a.settle.Lock()
	defer a.settle.Unlock()
	if err := a.vouch(ctx, req); err != nil {
		return belay.Deployment{}, err
	}
	if err := a.spare(ctx, req); err != nil {
		return belay.Deployment{}, err
	}
	return a.conductor.Deploy(ctx, req)
}

// spare refuses a first deployment that would take the slot of a release that serves users and that belay does not
// know: it would be the first one that is chosen.
func (a *App) spare(ctx context.Context, req belay.DeployRequest) error {
	s, ok := a.config().Service(req.Ref)
	if !ok || s.Rollout.Proxy == "" || req.Force != "" || req.Register {
		return nil
	}
	if _, known, err := a.store.Stable(ctx, req.Ref); err != nil || known {
		return err
	}
	active, err := a.store.Deployments(ctx, belay.DeploymentFilter{Service: req.Service, Environment: req.Environment, Active: true, Limit: 1})
	if err != nil || len(active) > 0 {
		return err
	}
	slot, err := a.servingSlot(ctx, req.Ref)
	if err != nil || slot == "" {
		return nil //nolint:nilerr // a proxy that cannot be asked serves nobody that belay could know of; the deployment says so itself
	}
	for _, t := range translate.Behind(translate.Targets(s, a.config()), slot) {
		conn, err := (&net.Dialer{Timeout: 2 * time.Second}).DialContext(ctx, "tcp", t.Address)
		if err != nil {
			continue
		}
		_ = conn.Close()
		return belay.Errorf(belay.CodeConflict, "slot %s of proxy %s serves a release that belay does not know, and the first deployment would take its place", slot, s.Rollout.Proxy).
			WithNext("name the version that runs there with --previous; or let belay find it by verify.release; or take its place with --force REASON")
	}
	return nil
}

// acceptable checks what comes from outside and goes into queries, commands and records.
func acceptable(req belay.DeployRequest) error {
	for _, v := range []struct{ what, text string }{
		{"version", req.Version}, {"commit", req.Commit}, {"digest", req.Digest}, {"config", req.Config}, {"previous", req.Previous},
	} {
		if err := plain(v.what, v.text, maxName); err != nil {
			return err
		}
	}
	switch {
	case req.Started && !req.Register:
		return belay.Errorf(belay.CodeInvalid, "started is only for registered deployments")
	case len(req.Force) > maxReason:
		return belay.Errorf(belay.CodeInvalid, "the reason is longer than %d characters", maxReason)
	case req.Previous != "" && req.Previous == req.Version:
		return belay.Errorf(belay.CodeInvalid, "%s cannot be deployed in place of itself", req.Version).
			WithNext("give --previous the version that runs now")
	}
	return checkTargets(req.Targets)
}

// vouch takes a person's word for the release that runs now, when belay has not verified one itself.
func (a *App) vouch(ctx context.Context, req belay.DeployRequest) error {
	if req.Previous == "" {
		return nil
	}
	stable, known, err := a.store.Stable(ctx, req.Ref)
	if err != nil {
		return err
	}
	if known && stable.Release.Version == req.Previous {
		return nil
	}
	if known {
		return belay.Errorf(belay.CodeConflict, "%s is not the release that belay verified last: that is %s", req.Previous, stable.Release).
			WithNext("leave out --previous, or roll back first")
	}
	slot, err := a.servingSlot(ctx, req.Ref)
	if err != nil {
		// Without the slot the new release might be put in the place of the old one.
		return belay.Errorf(belay.CodeUnavailable, "find the slot that %s serves from: %w", req.Previous, err).WithNext("start the proxy first")
	}
	s := belay.StableRelease{Ref: req.Ref, Release: belay.Release{Version: req.Previous}, Verified: true, Since: a.now().UTC(), Slot: slot}
	if err := a.store.SetStable(ctx, s); err != nil {
		return err
	}
	return a.store.Append(ctx, belay.Event{
		ID: id.New("e", s.Since), Time: s.Since, Ref: req.Ref, Actor: req.Actor, Kind: belay.EventAct,
		Message: req.Actor + " vouches for " + req.Previous + " as the release to go back to",
	})
}

// servingSlot is the proxy slot with the most traffic, or "" without a proxy.
func (a *App) servingSlot(ctx context.Context, ref belay.Ref) (string, error) {
	s, _ := a.config().Service(ref)
	e := a.edges.Of(s.Rollout.Proxy)
	if e == nil {
		return "", nil
	}
	return e.Serving(ctx)
}

// Deployment returns one deployment.
func (a *App) Deployment(ctx context.Context, id string) (belay.Deployment, error) {
	return a.store.Deployment(ctx, id)
}

// Deployments lists deployments, the newest first.
func (a *App) Deployments(ctx context.Context, f belay.DeploymentFilter) ([]belay.Deployment, error) {
	return a.store.Deployments(ctx, f)
}

// Act asks something of a deployment.
func (a *App) Act(ctx context.Context, id string, req belay.ActRequest) (belay.Deployment, error) {
	known := []belay.Act{belay.ActPause, belay.ActResume, belay.ActPromote, belay.ActAbort, belay.ActDeployed, belay.ActFailed}
	if !slices.Contains(known, req.Act) {
		return belay.Deployment{}, belay.Errorf(belay.CodeInvalid, "there is no act %q", req.Act).WithNext("use pause, resume, promote or abort")
	}
	if len(req.Reason) > maxReason {
		return belay.Deployment{}, belay.Errorf(belay.CodeInvalid, "the reason is longer than %d characters", maxReason)
	}
	if req.Act == belay.ActAbort {
		// A deploy command that still runs is ended by an abort even where there is nothing to go back to.
		d, err := a.store.Deployment(ctx, id)
		if err != nil {
			return d, err
		}
		if !d.State.Final() && !d.DeployedAt.IsZero() && d.Rollback == "" {
			if err := a.wayBack(d); err != nil {
				return d, err
			}
		}
	}
	return a.conductor.Ask(ctx, id, req.Act, named(req.Actor), req.Reason)
}

// SubscribeDeployment delivers the newest state of a deployment after each change.
func (a *App) SubscribeDeployment(id string) (<-chan belay.Deployment, func()) {
	return a.conductor.Subscribe(id)
}

// LiftQuarantine allows a release that was rolled back to be deployed again.
func (a *App) LiftQuarantine(ctx context.Context, ref belay.Ref, key, actor string) error {
	ref, err := a.resolve(ref)
	if err != nil {
		return err
	}
	return a.store.LiftQuarantine(ctx, ref, key, named(actor))
}
