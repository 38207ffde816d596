package app

import (
	"context"
	"slices"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/lib/id"
)

// Deploy begins a deployment, or registers one.
func (a *App) Deploy(ctx context.Context, req belay.DeployRequest) (belay.Deployment, error) {
	ref, err := a.resolve(req.Ref)
	if err != nil {
		return belay.Deployment{}, err
	}
	req.Ref, req.Actor = ref, orUnknown(req.Actor)
	if req.Started && !req.Register {
		return belay.Deployment{}, belay.Errorf(belay.CodeInvalid, "started is only for registered deployments")
	}
	if err := a.vouch(ctx, req); err != nil {
		return belay.Deployment{}, err
	}
	return a.conductor.Deploy(ctx, req)
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
	s := belay.StableRelease{Ref: req.Ref, Release: belay.Release{Version: req.Previous}, Verified: true, Since: a.now().UTC(), Slot: a.servingSlot(ctx, req.Ref)}
	if err := a.store.SetStable(ctx, s); err != nil {
		return err
	}
	return a.store.Append(ctx, belay.Event{
		ID: id.New("e", s.Since), Time: s.Since, Ref: req.Ref, Actor: req.Actor, Kind: belay.EventAct,
		Message: req.Actor + " vouches for " + req.Previous + " as the release to go back to",
	})
}

// servingSlot is the proxy slot with the most traffic, or "" without a proxy or an answer.
func (a *App) servingSlot(ctx context.Context, ref belay.Ref) string {
	s, ok := a.config().Service(ref)
	if !ok {
		return ""
	}
	p, ok := a.proxies()[s.Rollout.Proxy]
	if !ok {
		return ""
	}
	status, err := p.Slots(ctx)
	if err != nil {
		return ""
	}
	best, most := "", 0
	for _, v := range status.Slots {
		if v.Weight > most {
			best, most = v.Name, v.Weight
		}
	}
	return best
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
	return a.conductor.Ask(ctx, id, req.Act, orUnknown(req.Actor), req.Reason)
}

// Timeline returns the events of a deployment and of its rollback, oldest first.
func (a *App) Timeline(ctx context.Context, id string) ([]belay.Event, error) {
	d, err := a.store.Deployment(ctx, id)
	if err != nil {
		return nil, err
	}
	events, err := a.store.Events(ctx, belay.EventFilter{Deployment: d.ID})
	if err != nil || d.Rollback == "" {
		return events, err
	}
	more, err := a.store.Events(ctx, belay.EventFilter{Rollback: d.Rollback})
	if err != nil {
		return nil, err
	}
	for _, e := range more {
		if !slices.ContainsFunc(events, func(o belay.Event) bool { return o.ID == e.ID }) {
			events = append(events, e)
		}
	}
	slices.SortStableFunc(events, func(x, y belay.Event) int { return x.Time.Compare(y.Time) })
	return events, nil
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
	return a.store.LiftQuarantine(ctx, ref, key, orUnknown(actor))
}

// Services returns the state of every configured service.
func (a *App) Services(ctx context.Context) ([]belay.ServiceStatus, error) {
	quarantines, err := a.store.Quarantines(ctx)
	if err != nil {
		return nil, err
	}
	out := []belay.ServiceStatus{}
	for _, s := range a.config().Services {
		v := belay.ServiceStatus{Ref: s.Ref(), Health: a.standing.healthOf(s.Ref()), Sources: a.standing.sourcesOf(s.Ref())}
		stable, known, err := a.store.Stable(ctx, v.Ref)
		if err != nil {
			return nil, err
		}
		if known {
			v.Stable = &stable
		}
		newest, err := a.store.Deployments(ctx, belay.DeploymentFilter{Service: v.Service, Environment: v.Environment, Limit: 1})
		if err != nil {
			return nil, err
		}
		if len(newest) == 1 {
			v.Deployment = &newest[0]
		}
		if p, ok := a.proxies()[s.Rollout.Proxy]; ok {
			if status, err := p.Slots(ctx); err == nil {
				v.Weights = status.Weights()
			} else {
				v.Sources = append(v.Sources, belay.SourceStatus{Source: "proxy " + s.Rollout.Proxy, Detail: err.Error()})
			}
		}
		for _, q := range quarantines {
			if q.Ref == v.Ref {
				v.Quarantine = append(v.Quarantine, q)
			}
		}
		for _, w := range warnings(s) {
			v.Warnings = append(v.Warnings, w.text)
		}
		if !known {
			v.Warnings = append(v.Warnings, "nothing to roll back to yet: no release is known to be good")
		}
		out = append(out, v)
	}
	return out, nil
}
