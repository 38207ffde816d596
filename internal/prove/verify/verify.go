// Package verify proves a rollback: it reads everything back from the real systems, whatever the steps
// claimed, and issues a belay.Certificate. It changes nothing, and it does not decide what happens after a
// certificate that says failed.
//
// Reading goes on until every check has passed at the same time for the proof time, or a reading contradicts the
// rollback beyond its grace, or the time is up. What could not be read is unknown and what is not configured is
// absent; neither is ever counted as passed.
//
// Every reader must return when its context ends: a proof waits for all of them.
package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/belaydev/belay"
)

// Releases tells which version each target reports.
type Releases interface {
	Releases(ctx context.Context, targets []belay.Target) ([]Reported, error)
}

// Reported is the version that a target reports, or why it could not be read.
type Reported struct {
	Target  string // belay.Target.Address
	Version string
	Problem string // why there is no version: "connection refused"
}

// Weights reads the shares of traffic, in percent by slot, back from the router.
type Weights interface {
	Weights(ctx context.Context) (map[string]int, error)
}

// Health probes the checks of the targets. A status that is older than the proof does not count.
type Health interface {
	Health(ctx context.Context) ([]belay.HealthStatus, error)
}

// Signals tells for each signal whether it is back at the level from before the deployment.
type Signals interface {
	Recovered(ctx context.Context) ([]SignalReading, error)
}

// SignalReading is what is known of the recovery of one signal.
type SignalReading struct {
	Name      string
	State     belay.CheckResult // passed, failed or unknown
	Want, Got string            // in words
}

// FrontDoor sends a request as a user would. HTTPFrontDoor does it by HTTP.
type FrontDoor interface {
	Knock(ctx context.Context, want belay.Release) DoorReading
}

// DoorReading is what the front door answered.
type DoorReading struct {
	State     belay.CheckResult
	Want, Got string
}

// Options are what a Verifier reads. A reader that is nil is not configured: its check is absent.
type Options struct {
	Releases  Releases
	Weights   Weights
	Proxy     string // name of the router that Weights reads
	Health    Health
	Signals   Signals
	FrontDoor FrontDoor

	Poll        time.Duration // between readings; default 500ms
	ReadTimeout time.Duration // for one reading; default 5s
	// Grace is how long the router may contradict the rollback before the proof ends early. Default 3s.
	Grace time.Duration
	// ReleaseGrace is the same for instances that all still report the release that was to go; longer, because
	// they need time to restart. Default 30s.
	ReleaseGrace time.Duration

	Log *slog.Logger          // default: nowhere
	Reg prometheus.Registerer // default: no metrics
}

// Subject is what is to be proven.
type Subject struct {
	Rollback string
	belay.Ref
	Rung      int
	Release   belay.Release  // that should be serving
	From      belay.Release  // that should be gone
	Slot      string         // that should have all traffic
	Targets   []belay.Target // that should run Release
	ProofTime time.Duration  // all checks must hold for this long; default 5s
	Timeout   time.Duration  // default 2m
}

// Verifier issues certificates. It is safe for concurrent use.
type Verifier struct {
	o      Options
	issued *prometheus.CounterVec
}

// New returns a verifier.
func New(o Options) *Verifier {
	o.Poll = cmp.Or(o.Poll, 500*time.Millisecond)
	o.ReadTimeout = cmp.Or(o.ReadTimeout, 5*time.Second)
	o.Grace = cmp.Or(o.Grace, 3*time.Second)
	o.ReleaseGrace = cmp.Or(o.ReleaseGrace, 30*time.Second)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	v := &Verifier{o: o, issued: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "belay_certificates_total",
		Help: "Certificates issued for rollbacks, by result.",
	}, []string{"result"})}
	if o.Reg != nil {
		// Several verifiers may count into one registry.
		if err := o.Reg.Register(v.issued); err != nil {
			if are, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
				if existing, ok := are.ExistingCollector.(*prometheus.CounterVec); ok {
					v.issued = existing
				}
			}
		}
	}
	return v
}

// Prove reads until the certificate can be issued. An error means that ctx ended first: then nothing is
// certified.
func (v *Verifier) Prove(ctx context.Context, s Subject) (belay.Certificate, error) {
	s.ProofTime = cmp.Or(s.ProofTime, 5*time.Second)
	// What must hold for five seconds cannot be proven in three.
	s.Timeout = max(cmp.Or(s.Timeout, 2*time.Minute), s.ProofTime+v.o.Poll)
	p := newProof(s, time.Now())
	families := v.families(s, p.start)
	for {
		v.look(ctx, p, families)
		now := time.Now()
		if ctx.Err() != nil {
			return belay.Certificate{}, fmt.Errorf("prove rollback %s: %w", s.Rollback, context.Cause(ctx))
		}
		if p.done(now) {
			c := p.certificate(now)
			v.issued.WithLabelValues(string(c.Result)).Inc()
			v.o.Log.Info("certificate issued", "service", s.Service, "environment", s.Environment, "rollback", s.Rollback,
				"result", string(c.Result), "duration", c.Took.D())
			return c, nil
		}
		if err := wait(ctx, min(v.o.Poll, p.deadline().Sub(now))); err != nil {
			return belay.Certificate{}, fmt.Errorf("prove rollback %s: %w", s.Rollback, err)
		}
	}
}

// look reads all families at the same time and notes them at one moment.
func (v *Verifier) look(ctx context.Context, p *proof, families []family) {
	ctx, cancel := context.WithTimeout(ctx, v.o.ReadTimeout)
	defer cancel()
	type answer struct {
		readings []reading
		err      error
	}
	answers := make([]answer, len(families))
	var wg sync.WaitGroup
	for i, f := range families {
		if f.read == nil {
			continue
		}
		wg.Go(func() {
			readings, err := f.read(ctx)
			if err == nil && ctx.Err() != nil {
				err = ctx.Err()
			}
			answers[i] = answer{readings, err}
		})
	}
	wg.Wait()
	now := time.Now()
	for i, f := range families {
		err := answers[i].err
		if errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("no answer in %s", belay.Duration(v.o.ReadTimeout))
		}
		p.note(f, answers[i].readings, err, now)
	}
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
