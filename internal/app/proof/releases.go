package proof

import (
	"context"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/app/translate"
	"github.com/belaydev/belay/internal/config"
	"github.com/belaydev/belay/internal/observe/health"
	"github.com/belaydev/belay/internal/observe/metric"
	"github.com/belaydev/belay/internal/observe/metric/kpi"
	"github.com/belaydev/belay/internal/prove/verify"
)

// Releases says which version each target reports: by its version page, its metrics or its health page.
type Releases struct {
	Prover     *Prover
	Service    config.Service
	Deployment belay.Deployment // metrics from before its beginning do not count
}

// releases returns nil when the targets have no way to report a release, so that the certificate says so. Whether
// they have is asked of scrapes from before the proof too: of its own there is none yet.
func (p *Prover) releases(ctx context.Context, s config.Service, d belay.Deployment) verify.Releases {
	r := Releases{p, s, d}
	if s.Verify.Release != nil {
		return r
	}
	past := r
	past.Deployment.CreatedAt = time.Time{}
	everywhere := translate.Targets(s, p.Config())
	list, err := past.Releases(ctx, append(everywhere, d.Targets...))
	if err != nil {
		return r
	}
	for _, v := range list {
		if v.Version != "" {
			return r
		}
	}
	return nil
}

// Releases asks the targets.
func (r Releases) Releases(ctx context.Context, targets []belay.Target) ([]verify.Reported, error) {
	if v := r.Service.Verify.Release; v != nil {
		return verify.HTTPReleases{Path: v.HTTP, Version: verify.Version{JSON: v.JSON}}.Releases(ctx, targets)
	}
	subject := translate.Subject(r.Service, r.Deployment, nil)
	subject.Candidate.Targets, subject.Baseline = targets, kpi.Arm{}
	byMetrics, merr := kpi.ReleasesReported(ctx, r.Prover.Reader, subject, r.Prover.Now())
	byHealth := map[string]string{}
	for _, h := range health.ProbeAll(ctx, translate.Assignments(r.Service, r.Prover.Config().Dir, belay.ArmCandidate, targets)) {
		if h.Release != "" {
			byHealth[h.Target] = h.Release
		}
	}
	out := make([]verify.Reported, len(targets))
	for i, t := range targets {
		out[i] = verify.Reported{Target: t.Address, Problem: "it reports no version"}
		// A scrape tells of the past; one from before the proof began would tell of the release that is gone.
		m, ok := byMetrics[metric.Instance(t.Address)]
		switch {
		case byHealth[translate.HostOf(r.Service, t.Address)] != "":
			out[i].Version, out[i].Problem = byHealth[translate.HostOf(r.Service, t.Address)], ""
		case ok && !m.At.Before(r.Deployment.CreatedAt):
			out[i].Version, out[i].Problem = m.Version, ""
		case ok:
			out[i].Problem = "not scraped since the rollback"
		case merr != nil:
			out[i].Problem = merr.Error()
		}
	}
	return out, nil
}

// Reported is the one version that all targets of a service report now, by its version page, its metrics or its
// health page; "" when they differ or do not say.
func (p *Prover) Reported(ctx context.Context, s config.Service, targets []belay.Target) string {
	interval := p.Config().Metrics.ScrapeInterval
	if len(targets) == 0 {
		return ""
	}
	// Scrapes of a while ago are good enough here: nothing is being deployed.
	d := belay.Deployment{Ref: s.Ref(), CreatedAt: p.Now().Add(-2*interval - time.Second), Targets: targets}
	list, err := Releases{Prover: p, Service: s, Deployment: d}.Releases(ctx, targets)
	if err != nil || len(list) != len(targets) {
		return ""
	}
	for _, r := range list {
		if r.Version == "" || r.Version != list[0].Version {
			return ""
		}
	}
	return list[0].Version
}
