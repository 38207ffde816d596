package app

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/app/proof"
	"github.com/belaydev/belay/internal/app/session"
	"github.com/belaydev/belay/internal/app/translate"
	"github.com/belaydev/belay/internal/config"
	"github.com/belaydev/belay/internal/lib/id"
	"github.com/belaydev/belay/internal/observe/traffic"
)

// standing is the light watch of every service while nothing is deployed: it remembers what normal looks like,
// knows the health for status, and learns which release runs when belay has deployed none yet.
type standing struct {
	a *App

	mu       sync.Mutex
	services map[belay.Ref]*stand
	cancel   context.CancelFunc
	wg       sync.WaitGroup
}

// stand is one service's.
type stand struct {
	memory  *session.History
	sources []belay.SourceStatus
	cancel  context.CancelFunc
}

// standInterval is how often the light watch looks.
const standInterval = 5 * time.Second

func newStanding(a *App) *standing { return &standing{a: a, services: map[belay.Ref]*stand{}} }

func (s *standing) start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	s.launch(ctx)
}

// launch begins the watch of every configured service; it is called with the lock held.
func (s *standing) launch(ctx context.Context) {
	for _, svc := range s.a.config().Services {
		st := s.services[svc.Ref()]
		if st == nil {
			st = &stand{memory: &session.History{}}
			s.services[svc.Ref()] = st
		}
		sctx, cancel := context.WithCancel(ctx)
		st.cancel = cancel
		s.wg.Go(func() { s.watch(sctx, svc, st) })
	}
}

// reload begins again with the new configuration; what is remembered stays.
func (s *standing) reload() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cancel == nil {
		return
	}
	s.cancel()
	s.wg.Wait()
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	s.launch(ctx)
}

func (s *standing) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cancel != nil {
		s.cancel()
	}
	s.wg.Wait()
}

// key names the health checks of the light watch in the monitor.
func standKey(ref belay.Ref) string { return "service " + ref.String() }

func (s *standing) watch(ctx context.Context, svc config.Service, st *stand) {
	a := s.a
	key := standKey(svc.Ref())
	defer a.health.Unwatch(key)
	tick := time.NewTicker(standInterval)
	defer tick.Stop()
	var counts *traffic.Session
	var now belay.StableRelease
	close := func() {
		if counts != nil {
			counts.Close()
			counts = nil
		}
	}
	defer close()
	for {
		stable, known, err := a.store.Stable(ctx, svc.Ref())
		if err == nil && (counts == nil && known || stable.Release != now.Release || stable.Slot != now.Slot) {
			now = stable
			close()
			if e := a.edges.Of(svc.Rollout.Proxy); e != nil && known {
				counts = e.Counts.Session(traffic.Side{Slot: stable.Slot, Release: stable.Release.String()}, traffic.Side{})
			}
		}
		a.health.Watch(key, translate.Assignments(svc, a.config().Dir, belay.ArmCandidate, s.serving(ctx, svc, stable)))
		if counts != nil {
			at := a.now()
			samples, source := counts.Collect(at, 0)
			st.memory.Add(at, samples)
			s.mu.Lock()
			st.sources = []belay.SourceStatus{source}
			s.mu.Unlock()
		}
		if err == nil && !known {
			s.adopt(ctx, svc)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// serving lists the instances that serve the stable release: those behind its slot, or all.
func (s *standing) serving(ctx context.Context, svc config.Service, stable belay.StableRelease) []belay.Target {
	slot := stable.Slot
	if slot == "" && svc.Rollout.Proxy != "" {
		if slot = s.a.servingSlot(ctx, svc.Ref()); slot == "" {
			return nil // nothing serves: empty slots are not sick
		}
	}
	return translate.Behind(translate.Targets(svc, s.a.config()), slot)
}

// adopt learns the release that was there before belay: when every target reports the same one and every health
// check passes, it is what a first rollback goes back to. Nothing is adopted while something is being deployed.
func (s *standing) adopt(ctx context.Context, svc config.Service) {
	a := s.a
	slot := ""
	if svc.Rollout.Proxy != "" {
		if slot = a.servingSlot(ctx, svc.Ref()); slot == "" {
			return
		}
	}
	targets := translate.Behind(translate.Targets(svc, a.config()), slot)
	probed := a.health.Status(standKey(svc.Ref()))
	if len(targets) == 0 || len(probed) == 0 {
		return
	}
	for _, h := range probed {
		if h.State != belay.HealthHealthy || a.now().Sub(h.Since) < svc.Watch.MinTime {
			return
		}
	}
	if active, err := a.store.Deployments(ctx, belay.DeploymentFilter{Service: svc.Name, Environment: svc.Environment, Limit: 1}); err != nil || len(active) > 0 {
		return
	}
	version := s.reported(ctx, svc, targets)
	if version == "" {
		return
	}
	now := a.now().UTC()
	stable := belay.StableRelease{Ref: svc.Ref(), Release: belay.Release{Version: version}, Slot: slot, Verified: true, Since: now}
	if err := a.store.SetStable(ctx, stable); err != nil {
		a.log.Warn("running release not recorded", "service", svc.Name, "error", err)
		return
	}
	message := fmt.Sprintf("found %s running and healthy on all %d targets: it is what a rollback goes back to", version, len(targets))
	if err := a.store.Append(ctx, belay.Event{ID: id.New("e", now), Time: now, Ref: svc.Ref(), Actor: "belay", Kind: belay.EventEvidence, Message: message}); err != nil {
		a.log.Warn("event not stored", "error", err)
	}
	a.log.Info("running release found", "service", svc.Name, "environment", svc.Environment, "release", version)
}

// reported is the one version that every target reports, by its metrics, its version page or its health page;
// "" when they differ or do not say.
func (s *standing) reported(ctx context.Context, svc config.Service, targets []belay.Target) string {
	d := belay.Deployment{Ref: svc.Ref(), CreatedAt: s.a.now(), Targets: targets}
	list, err := proof.Releases{Prover: s.a.prover, Service: svc, Deployment: d}.Releases(ctx, targets)
	if err != nil || len(list) != len(targets) {
		return ""
	}
	version := list[0].Version
	for _, r := range list {
		if r.Version == "" || r.Version != version {
			return ""
		}
	}
	return version
}

// history is what is remembered of a service.
func (s *standing) history(ref belay.Ref) *session.History {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st := s.services[ref]; st != nil {
		return st.memory
	}
	return &session.History{}
}

func (s *standing) healthOf(ref belay.Ref) []belay.HealthStatus {
	return s.a.health.Status(standKey(ref))
}

func (s *standing) sourcesOf(ref belay.Ref) []belay.SourceStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st := s.services[ref]; st != nil {
		return st.sources
	}
	return nil
}
