// Package gate looks at a deployment before anything is done. Here it warns; gates that refuse come with readiness. It
// is part of the composition root.
package gate

import (
	"context"
	"slices"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/config"
	"github.com/belaydev/belay/internal/watch"
)

// Gate stands before every deployment.
type Gate struct {
	Config func() *config.Config
	Active func(ctx context.Context) ([]belay.Deployment, error) // the deployments that are under way
}

// Check says what is missing for a safe deployment.
func (g Gate) Check(ctx context.Context, d belay.Deployment) ([]watch.Finding, error) {
	s, ok := g.Config().Service(d.Ref)
	if !ok {
		return nil, nil
	}
	out := Warnings(s)
	active, err := g.Active(ctx)
	if err != nil {
		return nil, err
	}
	if d.Previous.IsZero() && !slices.ContainsFunc(active, func(o belay.Deployment) bool { return o.Ref == d.Ref }) {
		out = append(out, watch.Finding{Name: "first deployment", Message: "nothing to roll back to yet: belay knows no earlier release of " + d.Ref.String() + " (--previous names one)"})
	}
	if len(s.Deploy.Command) == 0 && !d.Registered {
		out = append(out, watch.Finding{Name: "deploy", Refuse: true, Message: d.Ref.String() + " has no deploy.command: add one, give the command after --, or register the deployment (--register)"})
	}
	return out, nil
}

// Warnings says what a service lacks to be watched and taken back.
func Warnings(s config.Service) []watch.Finding {
	var out []watch.Finding
	if len(s.Rollback.Steps) == 0 {
		out = append(out, watch.Finding{Name: "plan", Message: "there is no rollback plan: a bad release cannot be taken back (services." + s.Name + ".rollback)"})
	}
	if len(s.Health) == 0 {
		out = append(out, watch.Finding{Name: "health", Message: "there are no health checks (services." + s.Name + ".health)"})
	}
	if len(s.Targets) == 0 && s.Rollout.Proxy == "" && len(s.Metrics.Selector) == 0 {
		out = append(out, watch.Finding{Name: "monitoring", Message: "no metrics are read: there are no targets, no proxy and no selector"})
	}
	if !s.Rollback.Auto {
		out = append(out, watch.Finding{Name: "auto", Message: "automatic rollback is off: a bad release is held for a person"})
	}
	return out
}
