package watch

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/lib/id"
	"github.com/belaydev/belay/internal/watch/state"
)

// Deploy begins a deployment, or registers one that a pipeline carries out, and returns it as it is on record:
// pending, or refused by a gate. An older active deployment of the same service is superseded by a pending one.
func (c *Conductor) Deploy(ctx context.Context, req belay.DeployRequest) (belay.Deployment, error) {
	if err := c.ready(); err != nil {
		return belay.Deployment{}, err
	}
	if req.Service == "" || req.IsZero() {
		return belay.Deployment{}, belay.Errorf(belay.CodeInvalid, "a deployment needs a service and a version or a digest")
	}
	settings, err := c.o.Policies(req.Ref)
	if err != nil {
		return belay.Deployment{}, err
	}
	c.one.Lock()
	defer c.one.Unlock()
	if req.Force == "" {
		if err := c.clash(ctx, req); err != nil {
			return belay.Deployment{}, err
		}
	}
	now := c.o.Now()
	d := belay.Deployment{
		ID: id.New("d", now), Ref: req.Ref, Release: req.Release, State: belay.StatePending, Actor: req.Actor,
		Registered: req.Register, Targets: req.Targets, CreatedAt: now,
	}
	if req.Register && !req.Started {
		d.DeployedAt = now
	}
	if d, err = c.place(ctx, d, settings); err != nil {
		return belay.Deployment{}, err
	}
	events, err := c.gates(ctx, &d, req)
	if err != nil {
		return belay.Deployment{}, err
	}
	if d.State == belay.StatePending {
		d.Reason = fmt.Sprintf("%s accepted", d.Release)
		if older := c.of(d.Ref); len(older) > 0 {
			d.Reason += "; waits until " + older[len(older)-1].id + " has ended"
		}
	}
	events = append(events, event(d, belay.EventState, d.Reason))
	if err := c.o.Store.SaveDeployment(ctx, d, events...); err != nil {
		return belay.Deployment{}, fmt.Errorf("store deployment of %s: %w", d.Ref, err)
	}
	if d.State == belay.StateRefused {
		c.metrics.deployments.WithLabelValues(string(d.State)).Inc()
		c.log.Warn("deployment refused", "service", d.Service, "environment", d.Environment, "deployment", d.ID, "reason", d.Reason)
		return d, nil
	}
	c.conduct(d, settings, false)
	return d, nil
}

func event(d belay.Deployment, kind belay.EventKind, message string) belay.Event {
	e := belay.Event{
		ID: id.New("e", d.CreatedAt), Time: d.CreatedAt, Ref: d.Ref, Deployment: d.ID, Actor: d.Actor, Kind: kind, Message: message,
	}
	if kind == belay.EventState {
		e.State = d.State
	}
	return e
}

// clash refuses a deployment of what is there already, or is on its way.
func (c *Conductor) clash(ctx context.Context, req belay.DeployRequest) error {
	older := c.of(req.Ref)
	for _, w := range slices.Backward(older) {
		if w.release.Key() == req.Key() {
			return belay.Errorf(belay.CodeConflict, "%s of %s is being deployed already, by %s", req.Release, req.Ref, w.id).
				WithNext("follow it with \"belay verify %s\", or force a new deployment with a reason", w.id)
		}
	}
	stable, has, err := c.o.Store.Stable(ctx, req.Ref)
	if err != nil {
		return fmt.Errorf("read stable release of %s: %w", req.Ref, err)
	}
	if !has || stable.Release.Key() != req.Key() {
		return nil
	}
	next := "force it with a reason to deploy it again"
	if len(older) > 0 {
		next = "to go back to it, abort " + older[len(older)-1].id
	}
	return belay.Errorf(belay.CodeConflict, "%s is the stable release of %s already", req.Release, req.Ref).WithNext("%s", next)
}

// place fills in what d stands beside: the last stable release, never one that is still unproven. With a proxy
// the new release takes the slot that its given targets name, else the first one that the stable release does
// not serve from.
func (c *Conductor) place(ctx context.Context, d belay.Deployment, settings Settings) (belay.Deployment, error) {
	stable, has, err := c.o.Store.Stable(ctx, d.Ref)
	if err != nil {
		return d, fmt.Errorf("read stable release of %s: %w", d.Ref, err)
	}
	given := len(d.Targets) > 0 && !slices.Equal(d.Targets, behind(settings.Targets, d.Slot))
	d.Previous, d.PreviousSlot, d.PreviousTargets = belay.Release{}, "", nil
	d.Slot, d.Weight, d.Serving = "", 100, 100
	if has {
		d.Previous = stable.Release
	}
	if len(settings.Slots) > 0 {
		d.Weight, d.Serving = 0, 0
		d.PreviousSlot = stable.Slot
		free := func(s string) bool { return s != stable.Slot }
		if given && free(d.Targets[0].Slot) && slices.Contains(settings.Slots, d.Targets[0].Slot) {
			free = func(s string) bool { return s == d.Targets[0].Slot } // a pipeline knows where it deployed to
		}
		if i := slices.IndexFunc(settings.Slots, free); i >= 0 {
			d.Slot = settings.Slots[i]
		} else {
			return d, belay.Errorf(belay.CodeConflict, "%s has no slot beside %s, which serves the stable release", d.Ref, stable.Slot).
				WithNext("give its proxy a second slot")
		}
	}
	if !given {
		d.Targets = behind(settings.Targets, d.Slot)
	}
	switch {
	case d.PreviousSlot != "":
		d.PreviousTargets = behind(settings.Targets, d.PreviousSlot)
	case has && stable.Deployment != "":
		// Instances of its own, beside the new ones. In place of each other, there is only one set.
		if old, err := c.o.Store.Deployment(ctx, stable.Deployment); err == nil && !slices.Equal(old.Targets, d.Targets) {
			d.PreviousTargets = old.Targets
		}
	}
	return d, nil
}

// behind returns the targets behind a slot; those that name none stand behind each.
func behind(all []belay.Target, slot string) []belay.Target {
	var ts []belay.Target
	for _, t := range all {
		if slot == "" || t.Slot == "" || t.Slot == slot {
			ts = append(ts, t)
		}
	}
	return ts
}

// gates asks whether d may begin; a refusal makes it refused, unless it is overridden. What is said is returned
// as events.
func (c *Conductor) gates(ctx context.Context, d *belay.Deployment, req belay.DeployRequest) ([]belay.Event, error) {
	var findings []Finding
	for _, key := range []string{d.Release.Key(), d.Release.Version} {
		q, bad, err := c.o.Store.Quarantined(ctx, d.Ref, key)
		if err != nil {
			return nil, fmt.Errorf("read quarantine of %s: %w", d.Ref, err)
		}
		if bad && (key == d.Release.Key() || q.Key == key) { // another build of the version is another release
			findings = append(findings, Finding{Name: "quarantine", Refuse: true, Message: fmt.Sprintf(
				"%s is quarantined since %s, when %s took it back: %s", d.Release, q.Since.UTC().Format("2006-01-02 15:04 MST"), q.Rollback, q.Reason)})
			break
		}
	}
	if c.o.Gate != nil {
		more, err := c.o.Gate.Check(ctx, *d)
		if err != nil {
			return nil, fmt.Errorf("check gates of %s: %w", d.Ref, err)
		}
		findings = append(findings, more...)
	}
	var events []belay.Event
	var refusals []string
	for _, f := range findings {
		switch {
		case !f.Refuse:
			events = append(events, event(*d, belay.EventEvidence, "warning, "+f.Name+": "+f.Message))
		case req.Force != "":
			events = append(events, event(*d, belay.EventAct, fmt.Sprintf("%s overrode %s (%s): %s", req.Actor, f.Name, f.Message, req.Force)))
		default:
			refusals = append(refusals, f.Message)
		}
	}
	if req.Force != "" && len(events) == 0 {
		events = append(events, event(*d, belay.EventAct, fmt.Sprintf("%s forced the deployment: %s", req.Actor, req.Force)))
	}
	if len(refusals) > 0 {
		d.State, d.Reason, d.EndedAt = belay.StateRefused, strings.Join(refusals, "; "), d.CreatedAt
	}
	return events, nil
}

// Rollback takes a service back in the name of actor. An active deployment is aborted; without one, what is
// stable is taken back, which makes a record of its own. An empty release to means the one before.
func (c *Conductor) Rollback(ctx context.Context, ref belay.Ref, to belay.Release, actor, reason string) (belay.Deployment, error) {
	if err := c.ready(); err != nil {
		return belay.Deployment{}, err
	}
	settings, err := c.o.Policies(ref)
	if err != nil {
		return belay.Deployment{}, err
	}
	if active := c.of(ref); len(active) > 0 {
		newest := active[len(active)-1]
		return c.ask(ctx, newest.id, state.Asked{Act: belay.ActAbort, Actor: actor, Reason: reason, To: to, Now: c.o.Now()})
	}
	c.one.Lock()
	defer c.one.Unlock()
	if len(c.of(ref)) > 0 {
		return belay.Deployment{}, belay.Errorf(belay.CodeConflict, "a deployment of %s has begun at this moment", ref).
			WithNext("look at it with \"belay status\", then ask again")
	}
	d, err := c.takeBackStable(ctx, ref, to)
	if err != nil {
		return belay.Deployment{}, err
	}
	if slices.Contains(settings.Slots, d.Slot) {
		d.Targets, d.PreviousTargets = behind(settings.Targets, d.Slot), behind(settings.Targets, d.PreviousSlot)
	}
	d.Actor, d.Reason = actor, "rolled back by "+actor
	if reason != "" {
		d.Reason += ": " + reason
	}
	if err := c.o.Store.SaveDeployment(ctx, d, event(d, belay.EventState, d.Reason)); err != nil {
		return belay.Deployment{}, fmt.Errorf("store rollback of %s: %w", ref, err)
	}
	c.conduct(d, settings, false)
	return d, nil
}

// took tells whether the deployment replaced, or may have replaced, what stood in slot.
func took(p belay.Deployment, slot string) bool {
	return p.Slot == slot && p.Reverts == "" && p.State != belay.StateRefused && p.State != belay.StatePending
}

// Preview is the deployment that Rollback would take back now. Nothing is changed.
func (c *Conductor) Preview(ctx context.Context, ref belay.Ref, to belay.Release) (belay.Deployment, error) {
	active := c.of(ref)
	if len(active) == 0 {
		return c.takeBackStable(ctx, ref, to)
	}
	d, err := c.o.Store.Deployment(ctx, active[len(active)-1].id)
	if err != nil {
		return d, fmt.Errorf("read the active deployment of %s: %w", ref, err)
	}
	d.Rollback = state.RollbackID(d.ID)
	return state.Redirect(d, to), nil
}

// notTakenBack is the newest deployment when its rollback failed or was aborted: what it brought is there still.
func notTakenBack(past []belay.Deployment, stable belay.Release) (belay.Deployment, bool) {
	i := slices.IndexFunc(past, func(p belay.Deployment) bool {
		return p.State != belay.StateRefused && p.State != belay.StateDeployFailed
	})
	if i < 0 || past[i].State != belay.StateRollbackFailed || past[i].Previous.IsZero() {
		return belay.Deployment{}, false
	}
	return past[i], past[i].Release.Key() != stable.Key()
}

// takeBackStable makes the record of taking back the stable release of a service, or the newest one that a failed
// rollback has left in its place.
func (c *Conductor) takeBackStable(ctx context.Context, ref belay.Ref, to belay.Release) (belay.Deployment, error) {
	stable, has, err := c.o.Store.Stable(ctx, ref)
	if err != nil {
		return belay.Deployment{}, fmt.Errorf("read stable release of %s: %w", ref, err)
	}
	if !has {
		return belay.Deployment{}, belay.Errorf(belay.CodeConflict, "cannot roll back %s: belay knows of no deployment of it that ended well", ref).
			WithNext("deploy the release you want with \"belay deploy\"")
	}
	past, err := c.o.Store.Deployments(ctx, belay.DeploymentFilter{Service: ref.Service, Environment: ref.Environment, Limit: 200})
	if err != nil {
		return belay.Deployment{}, fmt.Errorf("read deployments of %s: %w", ref, err)
	}
	now := c.o.Now()
	d := belay.Deployment{
		ID: id.New("d", now), Ref: ref, State: belay.StatePending, CreatedAt: now, Reverts: stable.Deployment,
		Release: stable.Release, Slot: stable.Slot, Previous: to, Weight: 100, Serving: 100,
	}
	d.Rollback = state.RollbackID(d.ID)
	if left, ok := notTakenBack(past, stable.Release); ok {
		// It is not the stable release that users are on, and that must not be taken away from them too.
		d.Reverts, d.Release, d.Slot, d.Targets = left.ID, left.Release, left.Slot, left.Targets
		d.Previous, d.PreviousSlot, d.PreviousTargets = left.Previous, left.PreviousSlot, left.PreviousTargets
		d.Weight, d.Serving = left.Weight, left.Serving
		return state.Redirect(d, to), nil
	}
	// The deployment that brought the stable release knows what was there before.
	came := slices.IndexFunc(past, func(p belay.Deployment) bool {
		return p.Release.Key() == stable.Release.Key() && (p.State == belay.StateSucceeded || p.ID == stable.Deployment)
	})
	if came >= 0 {
		d.Reverts, d.Targets, d.PreviousTargets = past[came].ID, past[came].Targets, past[came].PreviousTargets
		if before := past[came]; to.IsZero() || to.Key() == before.Previous.Key() {
			d.Previous, d.PreviousSlot = before.Previous, before.PreviousSlot
			if slices.ContainsFunc(past[:came], func(p belay.Deployment) bool { return took(p, d.PreviousSlot) }) {
				d.PreviousSlot = "" // a newer deployment was put there: moving traffic would not bring the release back
			}
		}
	}
	if d.Reverts == "" {
		d.Reverts = "unknown"
	}
	switch {
	case d.Previous.IsZero():
		return d, belay.Errorf(belay.CodeConflict, "cannot roll back %s: there is nothing before %s to go back to", ref, stable.Release).
			WithNext("name a release with --to")
	case d.Previous.Key() == stable.Release.Key():
		return d, belay.Errorf(belay.CodeConflict, "cannot roll back %s to %s: it is the stable release already", ref, d.Previous).
			WithNext("name another release with --to")
	}
	return d, nil
}
