package standing

import (
	"context"
	"fmt"
	"slices"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/lib/id"
)

// adopt learns the release that was there before belay: when every target reports the same one and every health
// check passes, it is what a first rollback goes back to. Nothing is adopted once something was deployed.
func (w *watcher) adopt(ctx context.Context, slot string, targets []belay.Target) {
	probed := w.o.Health.Status(key(w.svc.Ref()))
	if len(targets) == 0 || len(probed) == 0 {
		return
	}
	for _, h := range probed {
		if h.State != belay.HealthHealthy || w.o.Now().Sub(h.Since) < w.svc.Watch.MinTime {
			return
		}
	}
	if w.deployed(ctx) {
		return
	}
	version := w.o.Reported(ctx, w.svc, targets)
	if version == "" {
		return
	}
	// Asking took a while. From here on no deployment can begin.
	w.o.Settle.Lock()
	defer w.o.Settle.Unlock()
	if _, known, err := w.o.Store.Stable(ctx, w.svc.Ref()); err != nil || known || w.deployed(ctx) {
		return
	}
	now := w.o.Now().UTC()
	stable := belay.StableRelease{Ref: w.svc.Ref(), Release: belay.Release{Version: version}, Slot: slot, Verified: true, Since: now}
	if err := w.o.Store.SetStable(ctx, stable); err != nil {
		w.o.Log.Warn("running release not recorded", "service", w.svc.Name, "environment", w.svc.Environment, "error", err)
		return
	}
	message := fmt.Sprintf("found %s running and healthy on all %d targets: it is what a rollback goes back to", version, len(targets))
	if len(targets) == 1 {
		message = fmt.Sprintf("found %s running and healthy: it is what a rollback goes back to", version)
	}
	e := belay.Event{ID: id.New("e", now), Time: now, Ref: w.svc.Ref(), Actor: "belay", Kind: belay.EventEvidence, Message: message}
	if err := w.o.Store.Append(ctx, e); err != nil {
		w.o.Log.Warn("event not stored", "error", err)
	}
	w.o.Log.Info("running release found", "service", w.svc.Name, "environment", w.svc.Environment, "release", version)
}

// deployed tells whether belay has ever touched the service; also when it cannot know.
func (w *watcher) deployed(ctx context.Context) bool {
	list, err := w.o.Store.Deployments(ctx, belay.DeploymentFilter{Service: w.svc.Name, Environment: w.svc.Environment, Limit: 50})
	return err != nil || slices.ContainsFunc(list, func(d belay.Deployment) bool { return d.State != belay.StateRefused })
}
