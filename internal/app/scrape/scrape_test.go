package scrape_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/app/scrape"
	"github.com/belaydev/belay/internal/config"
	"github.com/belaydev/belay/internal/observe/metric"
)

func parse(t *testing.T, yaml string) *config.Config {
	t.Helper()
	cfg, err := config.Parse("belay.yaml", []byte(yaml), func(string) (string, bool) { return "hunter2", true })
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

const yaml = `
metrics: {scrape_interval: 20s, watch_interval: 2s, scrape_timeout: 5s}
services:
  shop: {targets: [a:1, b:1], metrics: {path: /m, scheme: https, bearer_token: {env: T}}}
  cart: {targets: [c:1]}
`

func shop(state belay.State, targets ...string) belay.Deployment {
	d := belay.Deployment{ID: "d-1", Ref: belay.Ref{Service: "shop", Environment: "production"}, State: state}
	for _, a := range targets {
		d.Targets = append(d.Targets, belay.Target{Address: a})
	}
	return d
}

func TestJobs(t *testing.T) {
	jobs := scrape.Jobs(parse(t, yaml), []belay.Deployment{shop(belay.StateWatching, "a:1", "new:1", "no address")})
	if len(jobs) != 2 {
		t.Fatalf("jobs %+v", jobs)
	}
	j := jobs[0]
	if j.Name != "shop/production" || strings.Join(j.Targets, " ") != "a:1 b:1 new:1" || j.Interval != 2*time.Second || j.Timeout != 2*time.Second ||
		j.Path != "/m" || j.Scheme != "https" || j.BearerToken.Reveal() != "hunter2" || j.Labels["service"] != "shop" || j.Labels["environment"] != "production" {
		t.Errorf("watched: %+v", j)
	}
	if j = jobs[1]; j.Interval != 20*time.Second || j.Timeout != 5*time.Second {
		t.Errorf("not watched: %+v", j)
	}
	cfg := parse(t, yaml)
	cfg.Leaving, cfg.Services = cfg.Services[:1], cfg.Services[1:]
	if jobs := scrape.Jobs(cfg, nil); len(jobs) != 2 {
		t.Errorf("a service that leaves is not scraped any more: %+v", jobs)
	}
}

// world is a store and a scraper.
type world struct {
	mu     sync.Mutex
	active []belay.Deployment
	err    error
	sets   int
	jobs   []metric.Job
	woken  chan struct{}
	set    chan struct{}
}

func (w *world) Deployments(context.Context, belay.DeploymentFilter) ([]belay.Deployment, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.active, w.err
}
func (w *world) Subscribe() (<-chan struct{}, func()) { return w.woken, func() {} }
func (w *world) SetJobs(jobs []metric.Job) error {
	w.mu.Lock()
	w.sets, w.jobs = w.sets+1, jobs
	w.mu.Unlock()
	w.set <- struct{}{}
	return nil
}

func TestTargetsFollowTheDeployments(t *testing.T) {
	w := &world{woken: make(chan struct{}, 1), set: make(chan struct{}, 10)}
	cfg := parse(t, yaml)
	targets := scrape.New(scrape.Options{Config: func() *config.Config { return cfg }, Store: w, Scraper: w, Log: slog.New(slog.DiscardHandler)})
	if err := targets.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer targets.Stop()
	<-w.set
	w.mu.Lock()
	w.active = []belay.Deployment{shop(belay.StateRollingBack)}
	w.mu.Unlock()
	w.woken <- struct{}{}
	<-w.set
	if w.jobs[0].Interval != 2*time.Second {
		t.Errorf("watched: %+v", w.jobs[0])
	}
	w.mu.Lock()
	w.active = nil // it has ended, and nobody observes it any more
	w.mu.Unlock()
	if err := targets.Update(t.Context()); err != nil || w.jobs[0].Interval != 20*time.Second {
		t.Errorf("after the end: %+v, %v", w.jobs[0], err)
	}
	before := w.sets
	if err := targets.Update(t.Context()); err != nil || w.sets != before {
		t.Errorf("the same jobs were set again, %v", err)
	}
	w.err = errors.New("disk full")
	committed := false
	if err := targets.Replace(t.Context(), cfg, func() { committed = true }); err == nil || committed || w.sets != before {
		t.Errorf("a store that fails: %v, committed %t", err, committed)
	}
}
