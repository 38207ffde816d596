// Package scrape says which targets are scraped how often: those of the configuration, and those of deployments
// under way, every watch_interval while a service is watched. It is part of the composition root; the scraping
// itself is package metric's.
package scrape

import (
	"context"
	"log/slog"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/app/translate"
	"github.com/belaydev/belay/internal/config"
	"github.com/belaydev/belay/internal/observe/metric"
)

// Store tells which deployments are under way, and when that may have changed.
type Store interface {
	Deployments(ctx context.Context, f belay.DeploymentFilter) ([]belay.Deployment, error)
	Subscribe() (woken <-chan struct{}, cancel func())
}

// Scraper takes the whole set of jobs at once.
type Scraper interface {
	SetJobs(jobs []metric.Job) error
}

// Options are the parts of Targets. Scraper is nil with an external metrics server: then nothing is scraped.
type Options struct {
	Config  func() *config.Config
	Store   Store
	Scraper Scraper
	Log     *slog.Logger
}

// Targets keeps the scraper's jobs those of the configuration and of the deployments under way.
type Targets struct {
	o Options

	mu   sync.Mutex // held from reading what is wanted until it is set: the newest wish wins
	last []metric.Job

	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// New returns Targets that do nothing before Start.
func New(o Options) *Targets { return &Targets{o: o} }

const (
	followAtMost  = time.Second // a store that is busy is not asked for each commit
	updateTimeout = 5 * time.Second
)

// Start sets the jobs and follows the deployments from then on.
func (t *Targets) Start(ctx context.Context) error {
	if t.o.Scraper == nil {
		return nil
	}
	if err := t.Update(ctx); err != nil {
		return err
	}
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	t.cancel = cancel
	woken, unsubscribe := t.o.Store.Subscribe()
	t.wg.Go(func() {
		defer unsubscribe()
		t.follow(run, woken)
	})
	return nil
}

// Stop ends following.
func (t *Targets) Stop() {
	if t.cancel != nil {
		t.cancel()
	}
	t.wg.Wait()
}

func (t *Targets) follow(ctx context.Context, woken <-chan struct{}) {
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-woken:
		}
		uctx, cancel := context.WithTimeout(ctx, updateTimeout)
		err := t.Update(uctx)
		cancel()
		if err != nil && !failing && ctx.Err() == nil {
			t.o.Log.Warn("scrape targets not changed", "error", err)
		}
		failing = err != nil
		pause := time.NewTimer(followAtMost)
		select {
		case <-ctx.Done():
			pause.Stop()
			return
		case <-pause.C:
		}
	}
}

// Update sets the jobs that are wanted now. On an error the earlier ones stay.
func (t *Targets) Update(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.set(ctx, t.o.Config())
}

// Replace sets the jobs of cfg and calls commit; on an error nothing changed and commit was not called.
func (t *Targets) Replace(ctx context.Context, cfg *config.Config, commit func()) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.set(ctx, cfg); err != nil {
		return err
	}
	commit() // still with the lock: nobody sets the jobs of the old configuration in between
	return nil
}

func (t *Targets) set(ctx context.Context, cfg *config.Config) error {
	if t.o.Scraper == nil {
		return nil
	}
	active, err := t.o.Store.Deployments(ctx, belay.DeploymentFilter{Active: true})
	if err != nil {
		return err
	}
	jobs := Jobs(cfg, active)
	if reflect.DeepEqual(jobs, t.last) {
		return nil
	}
	if err := t.o.Scraper.SetJobs(jobs); err != nil {
		return err
	}
	t.last = jobs
	return nil
}

// Jobs lists every configured target, and the targets of active deployments, each once: every watch_interval
// while its service is being watched or rolled back, every scrape_interval otherwise. A deployment's target that
// cannot be an address is left out: it must not keep all others from being scraped.
func Jobs(cfg *config.Config, active []belay.Deployment) []metric.Job {
	var jobs []metric.Job
	for _, s := range slices.Concat(cfg.Services, cfg.Leaving) {
		j := metric.Job{
			Name: s.Ref().String(), Path: s.Metrics.Path, Scheme: s.Metrics.Scheme, BearerToken: s.Metrics.BearerToken.Value,
			Interval: cfg.Metrics.ScrapeInterval, Timeout: cfg.Metrics.ScrapeTimeout,
			Labels: map[string]string{"service": s.Name, "environment": s.Environment},
		}
		add := func(list []belay.Target) {
			for _, t := range list {
				if !slices.Contains(j.Targets, t.Address) && metric.CheckTarget(t.Address) == nil {
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
