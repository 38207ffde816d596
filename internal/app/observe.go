package app

import (
	"context"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/app/session"
	"github.com/belaydev/belay/internal/app/translate"
	"github.com/belaydev/belay/internal/config"
	"github.com/belaydev/belay/internal/judge"
	"github.com/belaydev/belay/internal/observe/metric"
	"github.com/belaydev/belay/internal/observe/metric/kpi"
	"github.com/belaydev/belay/internal/watch"
)

// Observe opens the observation of a deployment: what package watch wants of the outside to look at.
func (a *App) Observe(ctx context.Context, d belay.Deployment) (watch.Session, error) {
	cfg := a.config()
	s, ok := cfg.Service(d.Ref)
	if !ok {
		return nil, belay.Errorf(belay.CodeNotFound, "observe %s: it is not configured any more", d.Ref)
	}
	stored, err := a.store.Ticks(ctx, d.ID, -math.MaxFloat64)
	if err != nil {
		return nil, err
	}
	o := session.Options{Key: d.ID, Start: d.CreatedAt, Health: a.health, After: math.Inf(-1),
		Checks: append(translate.Assignments(s, cfg.Dir, belay.ArmCandidate, d.Targets),
			translate.Assignments(s, cfg.Dir, belay.ArmBaseline, d.PreviousTargets)...)}
	if len(stored) > 0 {
		// After a restart: what was judged already must not be counted again.
		o.After = stored[len(stored)-1].T
	}
	if e := a.edges.Of(s.Rollout.Proxy); e != nil && d.Slot != "" {
		o.Traffic = e.Session(d)
		if len(stored) == 0 {
			o.History = a.standing.history(d.Ref).Before(d.CreatedAt)
		}
	}
	if err := a.scrape(ctx); err != nil { // every second from now on
		return nil, err
	}
	if specs := translate.Specs(s); len(specs) > 0 && (len(d.Targets) > 0 || len(s.Metrics.Selector) > 0) {
		c := kpi.New(a.reader, translate.Subject(s, d, specs))
		if !d.DeployedAt.IsZero() {
			c.Deployed(d.DeployedAt)
		}
		if len(stored) > 0 {
			c.Counted(d.CreatedAt.Add(time.Duration(o.After * float64(time.Second))))
		}
		o.Metrics = c
	}
	return &observation{Session: session.New(o), end: func() { a.rescrape() }}, nil
}

// observation goes back to the usual scrape interval when it ends.
type observation struct {
	*session.Session
	end func()
}

// Close ends the observation.
func (o *observation) Close() {
	o.Session.Close()
	o.end()
}

// judge makes a fresh judge for a deployment.
func (a *App) judge(d belay.Deployment) watch.Judge {
	s, ok := a.config().Service(d.Ref)
	if !ok {
		return judge.New(judge.DefaultPolicy())
	}
	return judge.New(translate.JudgePolicy(s, d, a.countsRequests(s)))
}

// countsRequests tells whether the requests of a service can be counted: by its proxy, by an external server that
// was told where to look, or by targets that have been scraped with success.
func (a *App) countsRequests(s config.Service) bool {
	if s.Rollout.Proxy != "" || a.metrics == nil {
		return s.Rollout.Proxy != "" || len(s.Metrics.Selector) > 0
	}
	for _, t := range a.metrics.Targets() {
		if t.Health == metric.TargetUp && strings.HasPrefix(t.Job, s.Ref().String()) {
			return true
		}
	}
	return false
}

// active lists the deployments that are observed now; on an error none, and the next change corrects it.
func (a *App) active(ctx context.Context) []belay.Deployment {
	list, err := a.store.Deployments(ctx, belay.DeploymentFilter{Active: true})
	if err != nil {
		a.log.Warn("active deployments not read", "error", err)
		return nil
	}
	return list
}

// scrape tells the scraper what to scrape how often.
func (a *App) scrape(ctx context.Context) error {
	if a.metrics == nil {
		return nil
	}
	return a.metrics.SetJobs(a.jobs(a.config(), a.active(ctx)))
}

func (a *App) rescrape() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := a.scrape(ctx); err != nil {
		a.log.Warn("scrape targets not changed", "error", err)
	}
}

// jobs lists every configured target, and the targets of active deployments, each once: every watch_interval
// while its service is being watched, every scrape_interval otherwise.
func (a *App) jobs(cfg *config.Config, active []belay.Deployment) []metric.Job {
	var jobs []metric.Job
	for _, s := range cfg.Services {
		j := metric.Job{
			Name: s.Ref().String(), Path: s.Metrics.Path, Scheme: s.Metrics.Scheme, BearerToken: s.Metrics.BearerToken.Value,
			Interval: cfg.Metrics.ScrapeInterval, Timeout: cfg.Metrics.ScrapeTimeout,
			Labels: map[string]string{"service": s.Name, "environment": s.Environment},
		}
		add := func(list []belay.Target) {
			for _, t := range list {
				if !slices.Contains(j.Targets, t.Address) {
					j.Targets = append(j.Targets, t.Address)
				}
			}
		}
		add(translate.Targets(s, cfg))
		for _, d := range active {
			if d.Ref == s.Ref() {
				add(d.Targets)
				add(d.PreviousTargets)
				j.Interval = min(cfg.Metrics.WatchInterval, cfg.Metrics.ScrapeInterval)
				j.Timeout = min(j.Timeout, j.Interval)
			}
		}
		if len(j.Targets) > 0 {
			jobs = append(jobs, j)
		}
	}
	return jobs
}

// policies is what the configuration says of a service, for package watch.
func (a *App) policies(ref belay.Ref) (watch.Settings, error) {
	cfg := a.config()
	s, ok := cfg.Service(ref)
	if !ok {
		return watch.Settings{}, belay.Errorf(belay.CodeNotFound, "there is no service %s", ref).WithNext("add it to the configuration")
	}
	return translate.Settings(s, cfg), nil
}

// gate looks at a deployment before anything is done. Here it warns; gates that refuse come with readiness.
type gate struct{ a *App }

// Check says what is missing for a safe deployment.
func (g gate) Check(ctx context.Context, d belay.Deployment) ([]watch.Finding, error) {
	cfg := g.a.config()
	s, ok := cfg.Service(d.Ref)
	if !ok {
		return nil, nil
	}
	var out []watch.Finding
	for _, w := range warnings(s) {
		out = append(out, watch.Finding{Name: w.name, Message: w.text})
	}
	if d.Previous.IsZero() && !slices.ContainsFunc(g.a.active(ctx), func(o belay.Deployment) bool { return o.Ref == d.Ref }) {
		out = append(out, watch.Finding{Name: "first deployment", Message: "nothing to roll back to yet: belay knows no earlier release of " + d.Ref.String() + " (--previous names one)"})
	}
	if len(s.Deploy.Command) == 0 && !d.Registered {
		out = append(out, watch.Finding{Name: "deploy", Refuse: true, Message: d.Ref.String() + " has no deploy.command: add one, give the command after --, or register the deployment (--register)"})
	}
	return out, nil
}

type warning struct{ name, text string }

// warnings says what a service lacks to be watched and taken back.
func warnings(s config.Service) []warning {
	var out []warning
	if len(s.Rollback.Steps) == 0 {
		out = append(out, warning{"plan", "there is no rollback plan: a bad release cannot be taken back (services." + s.Name + ".rollback)"})
	}
	if len(s.Health) == 0 {
		out = append(out, warning{"health", "there are no health checks (services." + s.Name + ".health)"})
	}
	if len(s.Targets) == 0 && s.Rollout.Proxy == "" && len(s.Metrics.Selector) == 0 {
		out = append(out, warning{"monitoring", "no metrics are read: there are no targets, no proxy and no selector"})
	}
	if !s.Rollback.Auto {
		out = append(out, warning{"auto", "automatic rollback is off: a bad release is held for a person"})
	}
	return out
}
