// Package days reads, when a deployment begins, what its service showed in the days before, for the judge to compare a
// release with that has no old one beside it. It is read in the background and handed to the watch when it is there. It
// is part of the composition root.
package days

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/app/translate"
	"github.com/belaydev/belay/internal/config"
	"github.com/belaydev/belay/internal/observe/metric/kpi"
	"github.com/belaydev/belay/internal/observe/metric/past"
)

// Limit is how long the reading for one deployment may take; what was read by then is used.
const Limit = time.Minute

// atOnce is how many deployments are read for at once: memory and the metrics server are spared.
const atOnce = 2

// Store is where earlier deployments are looked up.
type Store interface {
	Deployments(ctx context.Context, f belay.DeploymentFilter) ([]belay.Deployment, error)
}

// Options are the parts of a Reader; all are needed.
type Options struct {
	Source past.Source
	Own    bool // it is the embedded store, where the name of a service is a label
	Store  Store
	Log    *slog.Logger
	Reg    prometheus.Registerer
}

// Reader reads for all deployments. It is safe for concurrent use.
type Reader struct {
	o      Options
	ctx    context.Context //nolint:containedctx // the owner's own: ends with Stop
	cancel context.CancelFunc
	slots  chan struct{}
	wg     sync.WaitGroup
	took   *prometheus.HistogramVec

	mu   sync.Mutex // guards all below; never held while waiting
	read map[string]*reading
}

// reading is that for one deployment.
type reading struct {
	ref     belay.Ref
	samples []belay.Sample
	done    bool
}

// New returns a Reader that reads nothing yet.
func New(o Options) *Reader {
	r := &Reader{o: o, slots: make(chan struct{}, atOnce), read: map[string]*reading{}}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.took = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "belay_history_read_seconds",
		Help: "Time it took to read the days before a deployment, by result: complete, partial, none.", Buckets: []float64{0.1, 0.3, 1, 3, 10, 30, 60}}, []string{"result"})
	o.Reg.MustRegister(r.took)
	return r
}

// Stop ends all reading and waits for it.
func (r *Reader) Stop() {
	r.cancel()
	r.wg.Wait()
}

// Begin begins to read for a deployment, unless there is nothing to read or it was begun.
func (r *Reader) Begin(s config.Service, d belay.Deployment) {
	specs := Specs(s, d)
	if len(specs) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.read[d.ID] != nil || r.ctx.Err() != nil {
		return
	}
	for id, other := range r.read { // nobody fetched it, and nobody will
		if other.ref == d.Ref {
			delete(r.read, id)
		}
	}
	one := &reading{ref: d.Ref}
	r.read[d.ID] = one
	r.wg.Go(func() {
		samples := r.all(s, d, specs)
		r.mu.Lock()
		defer r.mu.Unlock()
		one.samples, one.done = samples, true
	})
}

// Take gives what was read for a deployment, once, when it is there; nil before, and for ever when nothing was begun.
func (r *Reader) Take(id string) []belay.Sample {
	r.mu.Lock()
	defer r.mu.Unlock()
	one := r.read[id]
	if one == nil || !one.done {
		return nil
	}
	delete(r.read, id)
	return one.samples
}

func (r *Reader) all(s config.Service, d belay.Deployment, specs []kpi.Spec) []belay.Sample {
	ctx, cancel := context.WithTimeout(r.ctx, Limit)
	defer cancel()
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-ctx.Done():
		return nil
	}
	began := time.Now()
	skip, err := r.skip(ctx, d)
	if err != nil {
		r.o.Log.Warn("the days before a deployment are not read", "service", d.Service, "deployment", d.ID, "error", err)
		return nil
	}
	o := past.Options{Source: r.o.Source, Subject: r.subject(s, d, specs), Skip: skip}
	if r.o.Own { // its memory is ours, and another question costs little
		o.Piece = 12 * time.Hour
	}
	h := past.Read(ctx, o)
	took, result := time.Since(began).Seconds(), "complete"
	switch {
	case h.Failed != nil && len(h.Samples) == 0:
		result = "none"
	case h.Failed != nil:
		result = "partial"
	}
	r.took.WithLabelValues(result).Observe(took)
	log := r.o.Log.With("service", d.Service, "environment", d.Environment, "deployment", d.ID, "samples", len(h.Samples), "seconds", took)
	if h.Failed != nil && r.ctx.Err() == nil {
		log.Warn("not all of the days before a deployment could be read", "error", h.Failed)
	} else {
		log.Debug("the days before a deployment were read")
	}
	return h.Samples
}

// subject says whose past is read. The embedded store knows a service by name, whatever instances it had; a server is
// asked for the configured labels, or for the instances that there are.
func (r *Reader) subject(s config.Service, d belay.Deployment, specs []kpi.Spec) kpi.Subject {
	subject := translate.Subject(s, d, specs)
	if r.o.Own && len(subject.Selector) == 0 {
		subject.Selector = map[string]string{"job": s.Ref().String()}
	}
	return subject
}

// Specs are the signals that may come to be compared with their past: all that are compared where no old release runs
// beside the new one, else those with one value for both. None where nothing could be found.
func Specs(s config.Service, d belay.Deployment) []kpi.Spec {
	if len(d.Targets) == 0 && len(s.Metrics.Selector) == 0 {
		return nil
	}
	alone := Alone(d)
	return slices.DeleteFunc(translate.Specs(s), func(spec kpi.Spec) bool {
		i := slices.IndexFunc(s.Signals, func(sig config.Signal) bool { return sig.Name == spec.Name })
		return !s.Signals[i].Compare || !alone && (spec.Query == "" || kpi.TellsApart(spec.Query))
	})
}

// Alone tells whether a release takes the place of the old one: no proxy divides the requests, and the old one has no
// instances of its own. While it is rolled out there may be both for a while.
func Alone(d belay.Deployment) bool {
	if d.Slot != "" {
		return false
	}
	return !slices.ContainsFunc(d.PreviousTargets, func(old belay.Target) bool {
		return !slices.ContainsFunc(d.Targets, func(t belay.Target) bool { return t.Address == old.Address })
	})
}

// skip lists the times that do not count: while a release ran that was taken back, or another is being watched. One that
// was found healthy is what is usual.
func (r *Reader) skip(ctx context.Context, d belay.Deployment) ([]past.Span, error) {
	var out []past.Span
	before := ""
	for {
		const page = 200
		list, err := r.o.Store.Deployments(ctx, belay.DeploymentFilter{Service: d.Service, Environment: d.Environment, Limit: page, Before: before})
		if err != nil {
			return nil, err
		}
		for _, o := range list {
			if end, ok := ended(o, d.CreatedAt); ok && o.ID != d.ID {
				out = append(out, past.Span{From: o.CreatedAt, To: end})
			}
		}
		if n := len(list); n < page || list[n-1].CreatedAt.Before(d.CreatedAt.Add(-past.Reach)) {
			return out, nil
		}
		before = list[len(list)-1].ID
	}
}

// ended tells when the trouble with a deployment was over, at the latest at a moment; false when there was none.
func ended(d belay.Deployment, latest time.Time) (time.Time, bool) {
	trouble := !d.DetectedAt.IsZero()
	switch d.State {
	case belay.StateRolledBack, belay.StateUnverified, belay.StateRollbackFailed, belay.StateDeployFailed:
		trouble = true
	case belay.StateRefused, belay.StateSucceeded, belay.StateSuperseded:
	case belay.StatePending, belay.StateDeploying, belay.StateWatching, belay.StateBaking, belay.StatePaused, belay.StateHeld, belay.StateRollingBack:
		return latest, true
	}
	if d.EndedAt.IsZero() || d.EndedAt.After(latest) {
		return latest, trouble
	}
	return d.EndedAt, trouble
}
