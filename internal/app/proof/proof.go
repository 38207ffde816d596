// Package proof gives package verify its readers: weights from the proxy, freshly probed health checks, the releases
// that targets report, and the signals compared with the past. It is part of the composition root; what the readings
// mean is for verify and judge.
package proof

import (
	"context"
	"log/slog"
	"math"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/app/edge"
	"github.com/belaydev/belay/internal/app/session"
	"github.com/belaydev/belay/internal/app/translate"
	"github.com/belaydev/belay/internal/config"
	"github.com/belaydev/belay/internal/judge"
	"github.com/belaydev/belay/internal/judge/recovery"
	"github.com/belaydev/belay/internal/observe/health"
	"github.com/belaydev/belay/internal/observe/metric"
	"github.com/belaydev/belay/internal/observe/metric/kpi"
	"github.com/belaydev/belay/internal/observe/traffic"
	"github.com/belaydev/belay/internal/prove/verify"
)

// Store is what proving reads of the past.
type Store interface {
	Deployment(ctx context.Context, id string) (belay.Deployment, error)
	Ticks(ctx context.Context, deployment string, fromT float64) ([]belay.Tick, error)
}

// Prover validates rollbacks: what package rollback wants of the proof. It reads everything from the systems
// themselves and never asks the drivers.
type Prover struct {
	Config      func() *config.Config
	Store       Store
	Reader      metric.Reader
	Health      *health.Monitor
	Edges       *edge.Set
	NeedTraffic func(config.Service) bool // whether nothing is well again without requests
	Now         func() time.Time
	Log         *slog.Logger
	Reg         prometheus.Registerer
}

// Register makes the count of certificates readable before the first one.
func (p *Prover) Register() { verify.New(verify.Options{Reg: p.Reg}) }

// Prove issues the certificate of a rollback whose steps are done.
func (p *Prover) Prove(ctx context.Context, rb belay.Rollback) (belay.Certificate, error) {
	cfg := p.Config()
	s, ok := cfg.Service(rb.Plan.Ref)
	if !ok {
		return belay.Certificate{}, belay.Errorf(belay.CodeNotFound, "prove rollback %s: %s is not configured any more", rb.ID, rb.Plan.Ref)
	}
	now := p.Now()
	d := belay.Deployment{
		ID: "proof of " + rb.ID, Ref: rb.Plan.Ref, Release: rb.Plan.To, Slot: rb.Plan.ToSlot, CreatedAt: now,
		Targets: translate.Behind(translate.Targets(s, cfg), rb.Plan.ToSlot),
	}
	var before []belay.Tick
	if rb.Plan.Deployment != "" {
		dep, err := p.Store.Deployment(ctx, rb.Plan.Deployment)
		switch {
		case belay.CodeOf(err) == belay.CodeNotFound: // the configured targets then
		case err != nil:
			return belay.Certificate{}, err // nothing may be proven on the wrong machines
		case len(dep.PreviousTargets) > 0:
			d.Targets = dep.PreviousTargets
		case len(dep.Targets) > 0 && dep.Slot == "":
			d.Targets = dep.Targets // taken back in place
		}
		ticks, err := p.Store.Ticks(ctx, rb.Plan.Deployment, -math.MaxFloat64)
		if err != nil {
			return belay.Certificate{}, err
		}
		before = baseline(ticks)
	}
	signals := p.recovery(s, d, before)
	defer signals.close()
	o := verify.Options{Releases: p.releases(ctx, s, d), Health: probes{p, s, d}, Signals: signals, Log: p.Log, Reg: p.Reg}
	if e := p.Edges.Of(s.Rollout.Proxy); e != nil && rb.Plan.ToSlot != "" {
		o.Weights, o.Proxy = weights{e}, s.Rollout.Proxy
	}
	if o.Releases == nil && o.Weights == nil {
		// Nothing tells the two releases apart: a step that did nothing would pass. What cannot be read is unknown.
		o.Releases = Releases{p, s, d}
	}
	if len(s.Health) == 0 {
		o.Health = nil
	}
	if f := s.Verify.FrontDoor; f != nil {
		o.FrontDoor = frontDoor(f)
	}
	return verify.New(o).Prove(ctx, verify.Subject{
		Rollback: rb.ID, Ref: rb.Plan.Ref, Rung: rb.Rung, Release: rb.Plan.To, From: rb.Plan.From, Slot: rb.Plan.ToSlot,
		Targets: d.Targets, ProofTime: s.Verify.ProofTime, Timeout: rb.Plan.ProofTimeout.D(),
	})
}

// baseline keeps what says how users were before: history, and the old release beside the new one.
func baseline(ticks []belay.Tick) []belay.Tick {
	var out []belay.Tick
	for _, t := range ticks {
		kept := belay.Tick{T: t.T}
		for _, m := range t.Samples {
			if m.Arm == belay.ArmBaseline || m.T < 0 {
				kept.Samples = append(kept.Samples, m)
			}
		}
		if len(kept.Samples) > 0 {
			out = append(out, kept)
		}
	}
	return out
}

// weights reads the proxy's weights back.
type weights struct{ e *edge.Edge }

// Weights returns the percent of each slot.
func (w weights) Weights(ctx context.Context) (map[string]int, error) {
	status, err := w.e.Client.Slots(ctx)
	if err != nil {
		return nil, err
	}
	return status.Weights(), nil
}

// probes asks the health checks anew.
type probes struct {
	p *Prover
	s config.Service
	d belay.Deployment
}

// Health probes every check of the targets once.
func (p probes) Health(ctx context.Context) ([]belay.HealthStatus, error) {
	return health.ProbeAll(ctx, translate.Assignments(p.s, p.p.Config().Dir, belay.ArmCandidate, p.d.Targets)), nil
}

// signalsBack watches the signals of the release that should be serving and compares them with the past.
type signalsBack struct {
	policy judge.Policy
	before []belay.Tick
	close  func()

	mu      sync.Mutex
	session *session.Session
	now     func() time.Time
	after   []belay.Tick
}

func (p *Prover) recovery(s config.Service, d belay.Deployment, before []belay.Tick) *signalsBack {
	o := session.Options{Key: d.ID, Start: d.CreatedAt, Health: p.Health, After: math.Inf(-1)}
	if e := p.Edges.Of(s.Rollout.Proxy); e != nil && d.Slot != "" {
		o.Traffic = e.Counts.Session(traffic.Side{Slot: d.Slot, Release: d.Release.String()}, traffic.Side{})
	}
	if specs := translate.Specs(s); len(specs) > 0 && (len(d.Targets) > 0 || len(s.Metrics.Selector) > 0) {
		subject := translate.Subject(s, d, specs)
		subject.History = -1
		o.Metrics = kpi.New(p.Reader, subject)
	}
	v := session.New(o)
	return &signalsBack{policy: translate.JudgePolicy(s, d, p.NeedTraffic(s)), before: before, session: v, now: p.Now, close: v.Close}
}

// afterTicks bounds what is remembered of a proof: a quarter of an hour at two looks a second.
const afterTicks = 1800

// Recovered looks once more and says for each signal whether it is back at the level from before.
func (r *signalsBack) Recovered(ctx context.Context) ([]verify.SignalReading, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	tick, err := r.session.Collect(ctx, r.now())
	if err != nil {
		return nil, err
	}
	if r.after = append(r.after, tick); len(r.after) > afterTicks {
		r.after = r.after[len(r.after)-afterTicks:] // what is over does not count
	}
	var out []verify.SignalReading
	for _, v := range recovery.Recovered(r.before, r.after, r.policy) {
		out = append(out, verify.SignalReading{Name: v.Signal, State: v.Result, Want: v.Want, Got: v.Got})
	}
	return out, nil
}

// frontDoor is the configured request as a user would make it.
func frontDoor(f *config.FrontDoor) verify.FrontDoor {
	door := verify.HTTPFrontDoor{
		Request: verify.Request{Method: f.Method, Timeout: f.Timeout, Headers: map[string]belay.Secret{}},
		URL:     f.URL, Body: translate.Pattern(f.Body),
	}
	for k, v := range f.Headers {
		door.Headers[k] = belay.Secret(v)
	}
	for _, r := range f.Status {
		door.Status = append(door.Status, verify.StatusRange{From: r.Low, To: r.High})
	}
	return door
}
