package app

import (
	"context"
	"fmt"
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
// Gathered is the time of the newest tick that was gathered before; -Inf when none was.
func (a *App) Observe(ctx context.Context, d belay.Deployment, gathered float64) (watch.Session, error) {
	cfg := a.config()
	s, ok := cfg.Service(d.Ref)
	if !ok {
		return nil, belay.Errorf(belay.CodeNotFound, "observe %s: it is not configured any more", d.Ref)
	}
	last, seen, err := a.lastTick(ctx, d, gathered)
	if err != nil {
		return nil, err
	}
	// Every second from now on; on an error, which the next commit of the store makes good, less often.
	if err := a.targets.Update(ctx); err != nil {
		a.log.Warn("scrape targets not changed", "service", d.Service, "deployment", d.ID, "error", err)
	}
	o := session.Options{Key: d.ID, Start: d.CreatedAt, Health: a.health, After: math.Inf(-1),
		Checks: append(translate.Assignments(s, cfg.Dir, belay.ArmCandidate, d.Targets),
			translate.Assignments(s, cfg.Dir, belay.ArmBaseline, d.PreviousTargets)...)}
	if seen {
		o.After = last // what was judged already, before a restart too, must not be counted again
	}
	e := a.edges.Of(s.Rollout.Proxy)
	if e != nil && d.Slot != "" {
		o.Traffic = e.Session(d)
	}
	if !seen {
		if o.Traffic != nil {
			o.History = a.standing.History(d.Ref).Before(d.CreatedAt)
		}
		if o.Learned, err = a.learner.Before(ctx, d, o.History); err != nil {
			return nil, err
		}
	}
	if !seen {
		a.days.Begin(s, d)
	}
	o.Days = func() []belay.Sample { return a.days.Take(d.ID) }
	if specs := translate.Specs(s); len(specs) > 0 && (len(d.Targets) > 0 || len(s.Metrics.Selector) > 0) {
		c := kpi.New(a.reader, translate.Subject(s, d, specs))
		if !d.DeployedAt.IsZero() {
			c.Deployed(d.DeployedAt)
		}
		if seen {
			c.Counted(d.CreatedAt.Add(time.Duration(last * float64(time.Second))))
		}
		o.Metrics = c
	}
	return a.Noting(session.New(o), d), nil
}

// lastTick is the time of the newest tick of a deployment: of those on record, and of those up to gathered, which the
// store may have refused.
func (a *App) lastTick(ctx context.Context, d belay.Deployment, gathered float64) (t float64, found bool, err error) {
	// The newest are nearly always recent; all of them, of a long watch, are many.
	age := a.now().Sub(d.CreatedAt).Seconds()
	for _, from := range []float64{age - 60, -math.MaxFloat64} {
		ticks, err := a.store.Ticks(ctx, d.ID, from)
		if err != nil {
			return 0, false, err
		}
		if n := len(ticks); n > 0 {
			return math.Max(gathered, ticks[n-1].T), true, nil
		}
	}
	return gathered, !math.IsInf(gathered, -1), nil
}

// judge makes a fresh judge for a deployment. Without a proxy or a selector, whether requests can be counted is
// known only once a target could be scraped.
func (a *App) judge(d belay.Deployment) watch.Judge {
	return session.Requiring(judge.New(a.judgePolicy(d)), config.ErrorRate)
}

func (a *App) judgePolicy(d belay.Deployment) judge.Policy {
	s, ok := a.config().Service(d.Ref)
	if !ok {
		return judge.DefaultPolicy()
	}
	return translate.JudgePolicy(s, d, translate.CountsRequests(s))
}

// countsRequests tells whether the requests of a service can be counted: by its proxy, by an external server that
// was told where to look, or by targets that have been scraped with success.
func (a *App) countsRequests(s config.Service) bool {
	if translate.CountsRequests(s) || a.metrics == nil {
		return translate.CountsRequests(s)
	}
	return slices.ContainsFunc(a.metrics.Targets(), func(t metric.TargetStatus) bool {
		return t.Health == metric.TargetUp && t.Job == s.Ref().String()
	})
}

// active lists the deployments that are under way.
func (a *App) active(ctx context.Context) ([]belay.Deployment, error) {
	return a.store.Deployments(ctx, belay.DeploymentFilter{Active: true})
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

// checkTargets refuses what could not be scraped or probed, before a deployment carries it along.
func checkTargets(targets []belay.Target) error {
	if len(targets) > maxTargets {
		return belay.Errorf(belay.CodeInvalid, "%d targets are too many; the most is %d", len(targets), maxTargets)
	}
	for _, t := range targets {
		if err := metric.CheckTarget(t.Address); err != nil {
			return err
		}
	}
	return nil
}

// plain refuses text that has no place in a name: it ends up in logs, queries, label values and environments.
func plain(what, text string, limit int) error {
	if len(text) > limit || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\ufffd' }) {
		return belay.Errorf(belay.CodeInvalid, "%s is not acceptable: want at most %d characters, none of them a control character", fmt.Sprintf("%s %.40q", what, text), limit)
	}
	return nil
}

const (
	maxTargets = 1000
	maxName    = 256
	maxReason  = 2000
)
