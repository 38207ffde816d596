// Package standing is the light watch of every service while nothing is deployed: it remembers what normal looks
// like, knows the health for status, and learns which release runs when belay has deployed none yet. It is part of
// the composition root; it judges nothing.
package standing

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/app/edge"
	"github.com/belaydev/belay/internal/app/session"
	"github.com/belaydev/belay/internal/app/translate"
	"github.com/belaydev/belay/internal/config"
	"github.com/belaydev/belay/internal/observe/health"
	"github.com/belaydev/belay/internal/observe/traffic"
)

// Store is what the light watch reads and, when it finds a running release, writes.
type Store interface {
	Stable(ctx context.Context, ref belay.Ref) (belay.StableRelease, bool, error)
	SetStable(ctx context.Context, s belay.StableRelease) error
	Deployments(ctx context.Context, f belay.DeploymentFilter) ([]belay.Deployment, error)
	Append(ctx context.Context, events ...belay.Event) error
}

// Options are the parts of a Watch; all are needed, except Interval and Now.
type Options struct {
	Config func() *config.Config
	Store  Store
	Health *health.Monitor
	Edges  *edge.Set
	// Reported is the version that the targets of a service report, "" when they differ or do not say.
	Reported func(ctx context.Context, s config.Service, targets []belay.Target) string
	// Settle is held while a release is adopted, and by whoever begins a deployment: what a deployment goes back
	// to must not change under it.
	Settle   sync.Locker
	Log      *slog.Logger
	Interval time.Duration // between two looks; 5 s when zero
	Now      func() time.Time
}

// Watch is the light watch of all configured services.
type Watch struct {
	o Options

	life    sync.Mutex // held by Start, Reload and Stop throughout
	running bool
	stopped bool
	cancel  context.CancelFunc
	wg      sync.WaitGroup

	mu       sync.Mutex // guards services; never held while waiting
	services map[belay.Ref]*stand
}

// stand is what is known of one service.
type stand struct {
	memory  *session.History
	sources []belay.SourceStatus
}

// New returns a Watch that does nothing before Start.
func New(o Options) *Watch {
	if o.Interval <= 0 {
		o.Interval = 5 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Watch{o: o, services: map[belay.Ref]*stand{}}
}

// Start begins to watch every configured service.
func (w *Watch) Start() {
	w.life.Lock()
	defer w.life.Unlock()
	if !w.running && !w.stopped {
		w.running = true
		w.launch()
	}
}

// Reload begins again with the new configuration. What is remembered of services that stay, stays.
func (w *Watch) Reload() {
	w.life.Lock()
	defer w.life.Unlock()
	if !w.running || w.stopped {
		return
	}
	w.cancel()
	w.wg.Wait()
	w.launch()
}

// Stop ends all watching for good.
func (w *Watch) Stop() {
	w.life.Lock()
	defer w.life.Unlock()
	w.stopped = true
	if w.running {
		w.cancel()
		w.wg.Wait()
	}
}

// launch begins the watch of every configured service and forgets those that are configured no more.
func (w *Watch) launch() {
	ctx, cancel := context.WithCancel(context.Background())
	w.cancel = cancel
	w.mu.Lock()
	defer w.mu.Unlock()
	kept := map[belay.Ref]*stand{}
	for _, svc := range w.o.Config().Services {
		st := w.services[svc.Ref()]
		if st == nil {
			st = &stand{memory: &session.History{}}
		}
		st.sources = nil
		kept[svc.Ref()] = st
		w.wg.Go(func() { (&watcher{Watch: w, svc: svc, st: st}).run(ctx) })
	}
	w.services = kept
}

// key names the health checks of the light watch in the monitor.
func key(ref belay.Ref) string { return "service " + ref.String() }

// watcher is the light watch of one service. It belongs to its goroutine.
type watcher struct {
	*Watch
	svc config.Service
	st  *stand

	counts *traffic.Session
	stable belay.StableRelease
	known  bool
}

func (w *watcher) run(ctx context.Context) {
	defer w.o.Health.Unwatch(key(w.svc.Ref()))
	defer w.uncount()
	tick := time.NewTicker(w.o.Interval)
	defer tick.Stop()
	for {
		w.look(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// lookTimeout bounds what one look asks of the proxy and the store.
const lookTimeout = 10 * time.Second

func (w *watcher) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	stable, known, err := w.o.Store.Stable(ctx, w.svc.Ref())
	if err == nil { // else what was known before goes on
		if known != w.known || stable.Release != w.stable.Release || stable.Slot != w.stable.Slot {
			w.uncount()
		}
		w.stable, w.known = stable, known
	}
	e := w.o.Edges.Of(w.svc.Rollout.Proxy)
	if w.counts == nil && w.known && e != nil {
		w.counts = e.Counts.Session(traffic.Side{Slot: w.stable.Slot, Release: w.stable.Release.String()}, traffic.Side{})
	}
	slot, serves := w.slot(ctx, e)
	var targets []belay.Target
	if serves {
		targets = translate.Behind(translate.Targets(w.svc, w.o.Config()), slot)
	}
	w.o.Health.Watch(key(w.svc.Ref()), translate.Assignments(w.svc, w.o.Config().Dir, belay.ArmCandidate, targets))
	if w.counts != nil {
		at := w.o.Now()
		samples, source := w.counts.Collect(at, 0)
		w.st.memory.Add(at, samples)
		w.mu.Lock()
		w.st.sources = []belay.SourceStatus{source}
		w.mu.Unlock()
	}
	if err == nil && !known && serves {
		w.adopt(ctx, slot, targets)
	}
}

// slot is where the stable release serves from, and false when nothing serves: an empty slot is not sick.
func (w *watcher) slot(ctx context.Context, e *edge.Edge) (string, bool) {
	switch {
	case w.stable.Slot != "":
		return w.stable.Slot, true
	case w.svc.Rollout.Proxy == "":
		return "", true
	case e == nil:
		return "", false
	}
	slot, err := e.Serving(ctx)
	return slot, err == nil && slot != ""
}

func (w *watcher) uncount() {
	if w.counts != nil {
		w.counts.Close()
		w.counts = nil
	}
}

// History is what is remembered of a service.
func (w *Watch) History(ref belay.Ref) *session.History {
	w.mu.Lock()
	defer w.mu.Unlock()
	if st := w.services[ref]; st != nil {
		return st.memory
	}
	return &session.History{}
}

// Health is what the checks of a service say now.
func (w *Watch) Health(ref belay.Ref) []belay.HealthStatus { return w.o.Health.Status(key(ref)) }

// Sources says whether the proxy in front of a service can be read.
func (w *Watch) Sources(ref belay.Ref) []belay.SourceStatus {
	w.mu.Lock()
	defer w.mu.Unlock()
	if st := w.services[ref]; st != nil {
		return st.sources
	}
	return nil
}
