package app

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/app/gate"
	"github.com/belaydev/belay/internal/config"
	"github.com/belaydev/belay/internal/observe/metric"
	"github.com/belaydev/belay/internal/proxy/proxyclient"
)

// askTimeout is how long a status waits for what it asks: people look at it when things are down.
const askTimeout = 2 * time.Second

// weighed is what a proxy says of its weights.
type weighed struct {
	weights map[string]int
	err     error
}

// weights asks all proxies at the same time.
func (a *App) weights(ctx context.Context) map[string]weighed {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	var (
		wg  sync.WaitGroup
		mu  sync.Mutex
		out = map[string]weighed{}
	)
	ask := func(name string, p *proxyclient.Client) {
		status, err := p.Slots(ctx)
		mu.Lock()
		defer mu.Unlock()
		if out[name] = (weighed{err: err}); err == nil {
			out[name] = weighed{weights: status.Weights()}
		}
	}
	for name, p := range a.proxies() {
		wg.Go(func() { ask(name, p) })
	}
	wg.Wait()
	return out
}

// Services returns the state of every configured service.
func (a *App) Services(ctx context.Context) ([]belay.ServiceStatus, error) {
	quarantines, err := a.store.Quarantines(ctx)
	if err != nil {
		return nil, err
	}
	weights := a.weights(ctx)
	out := []belay.ServiceStatus{}
	for _, s := range a.config().Services {
		v, err := a.service(ctx, s)
		if err != nil {
			return nil, err
		}
		if w, ok := weights[s.Rollout.Proxy]; ok {
			if v.Weights = w.weights; w.err != nil {
				v.Sources = append(v.Sources, belay.SourceStatus{Source: "admin API of proxy " + s.Rollout.Proxy, Detail: w.err.Error()})
			}
		}
		for _, q := range quarantines {
			if q.Ref == v.Ref {
				v.Quarantine = append(v.Quarantine, q)
			}
		}
		out = append(out, v)
	}
	return out, nil
}

// service is what belay itself knows of a service.
func (a *App) service(ctx context.Context, s config.Service) (belay.ServiceStatus, error) {
	v := belay.ServiceStatus{Ref: s.Ref(), Health: a.standing.Health(s.Ref()), Sources: slices.Concat(a.standing.Sources(s.Ref()), a.scraped(s), a.learner.Sources(s.Ref()))}
	stable, known, err := a.store.Stable(ctx, v.Ref)
	if err != nil {
		return v, err
	}
	if known {
		v.Stable = &stable
	}
	f := belay.DeploymentFilter{Service: v.Service, Environment: v.Environment, Active: true, Limit: 1}
	newest, err := a.store.Deployments(ctx, f)
	if err == nil && len(newest) == 0 {
		f.Active = false
		newest, err = a.store.Deployments(ctx, f)
	}
	if err != nil {
		return v, err
	}
	if len(newest) == 1 {
		v.Deployment = &newest[0]
	}
	for _, w := range gate.Warnings(s) {
		v.Warnings = append(v.Warnings, w.Message)
	}
	if !known {
		v.Warnings = append(v.Warnings, "nothing to roll back to yet: no release is known to be good")
	}
	return v, nil
}

// scraped names the targets of a service that cannot be scraped. Of a service behind a proxy only the targets of
// empty slots are missing as a rule, and the proxy's counts say what matters.
func (a *App) scraped(s config.Service) []belay.SourceStatus {
	if a.metrics == nil || s.Rollout.Proxy != "" {
		return nil
	}
	var out []belay.SourceStatus
	for _, t := range a.metrics.Targets() {
		if t.Job == s.Ref().String() && t.Health == metric.TargetDown {
			out = append(out, belay.SourceStatus{Source: "scrape of " + t.Instance, Detail: t.LastError})
		}
	}
	return out
}

// Health answers /health: one entry for each thing that belay itself depends on.
func (a *App) Health(ctx context.Context) belay.ServerHealth {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	h := belay.ServerHealth{Status: "healthy", Timestamp: a.now().UTC().Truncate(time.Millisecond), Version: a.opts.Version, Checks: map[string]belay.HealthEntry{}}
	check := func(name string, err error) {
		h.Checks[name] = belay.HealthEntry{Status: "healthy"}
		if err != nil {
			h.Status = "unhealthy"
			h.Checks[name] = belay.HealthEntry{Status: "unhealthy", Detail: err.Error()}
		}
	}
	var readable error
	var wg sync.WaitGroup
	wg.Go(func() { readable = a.reader.Ready(ctx) }) // may be far away, as the proxies may
	for name, w := range a.weights(ctx) {
		check("proxy "+name, w.err)
	}
	check("store", a.store.Health(ctx))
	if n := a.conductor.Unsaved(); n > 0 {
		check("store", belay.Errorf(belay.CodeUnavailable, "decisions that are in memory only, because the store refuses them: %d; is the disk full?", n))
	}
	check("data_folder", writable(a.data))
	wg.Wait()
	check("metrics", readable)
	h.Checks["configuration"] = belay.HealthEntry{Status: "healthy"}
	if err := a.lastReload(); err != nil {
		h.Checks["configuration"] = belay.HealthEntry{Status: "healthy", Detail: "the newest file was refused and the one before is in use: " + err.Error()}
	}
	return h
}

func writable(dir string) error {
	f, err := os.CreateTemp(dir, ".writable-*")
	if err != nil {
		return err
	}
	return errors.Join(probe(f.Write, f.Sync), f.Close(), os.Remove(f.Name()))
}

// probe writes for good: on a full disk an empty file can still be made, and a write may fail only when it is synced.
func probe(write func([]byte) (int, error), sync func() error) error {
	_, err := write(make([]byte, 64<<10))
	return errors.Join(err, sync())
}

// Ready says whether the server takes part: started and not stopping.
func (a *App) Ready(context.Context) error {
	if !a.ready.Load() {
		return errors.New("starting or stopping")
	}
	return nil
}
