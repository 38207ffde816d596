package standing_test

import (
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/app/edge"
	"github.com/belaydev/belay/internal/app/standing"
	"github.com/belaydev/belay/internal/config"
	"github.com/belaydev/belay/internal/observe/health"
)

// store keeps one service's release in memory.
type store struct {
	mu     sync.Mutex
	stable *belay.StableRelease
	past   []belay.Deployment
	events []belay.Event
	set    chan struct{}
}

func (s *store) Stable(context.Context, belay.Ref) (belay.StableRelease, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stable == nil {
		return belay.StableRelease{}, false, nil
	}
	return *s.stable, true, nil
}

func (s *store) SetStable(_ context.Context, r belay.StableRelease) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stable = &r
	close(s.set)
	return nil
}

func (s *store) Deployments(context.Context, belay.DeploymentFilter) ([]belay.Deployment, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.past, nil
}

func (s *store) Append(_ context.Context, events ...belay.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, events...)
	return nil
}

// world is a healthy service that reports its version.
type world struct {
	*store
	watch    *standing.Watch
	monitor  *health.Monitor
	asked    chan struct{} // receives when the targets were asked for their release
	reported string
	cfg      *config.Config
}

func newWorld(t *testing.T, past ...belay.Deployment) *world {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	cfg, err := config.Parse(filepath.Join(t.TempDir(), "belay.yaml"), []byte(
		"services: {shop: {targets: ["+l.Addr().String()+"], health: {tcp: "+l.Addr().String()+", interval: 100ms, rise: 1}, watch: {min_time: 0s}}}"), nil)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{store: &store{set: make(chan struct{}), past: past}, monitor: health.NewMonitor(health.Options{}), asked: make(chan struct{}, 1000), reported: "1.0", cfg: cfg}
	w.monitor.Start()
	t.Cleanup(w.monitor.Stop)
	log := slog.New(slog.DiscardHandler)
	w.watch = standing.New(standing.Options{
		Config: func() *config.Config { return w.cfg }, Store: w.store, Health: w.monitor, Edges: edge.New(log), Settle: &sync.Mutex{},
		Log: log, Interval: 2 * time.Millisecond,
		Reported: func(context.Context, config.Service, []belay.Target) string {
			w.asked <- struct{}{}
			return w.reported
		},
	})
	t.Cleanup(w.watch.Stop)
	return w
}

func wait(t *testing.T, what string, ch <-chan struct{}) {
	t.Helper()
	select {
	case <-ch:
	case <-time.After(10 * time.Second):
		t.Fatalf("%s: not within 10 s", what)
	}
}

func TestRunningReleaseIsAdopted(t *testing.T) {
	w := newWorld(t, belay.Deployment{State: belay.StateRefused}) // what was refused touched nothing
	w.watch.Start()
	wait(t, "adopted", w.set)
	w.watch.Stop()
	if s := w.stable; s.Release.Version != "1.0" || !s.Verified || s.Service != "shop" {
		t.Errorf("stable %+v", s)
	}
	if len(w.events) != 1 || w.events[0].Actor != "belay" {
		t.Errorf("events %+v", w.events)
	}
	if w.monitor.Status("service shop/production") != nil {
		t.Error("the checks go on after the stop")
	}
}

func TestNothingIsAdoptedThatIsNotCertain(t *testing.T) {
	w := newWorld(t)
	w.reported = "" // they differ, or do not say
	w.watch.Start()
	for range 3 {
		wait(t, "asked", w.asked)
	}
	w.watch.Stop()
	if w.stable != nil {
		t.Errorf("adopted %+v", w.stable)
	}
}

func TestNothingIsAdoptedOnceSomethingWasDeployed(t *testing.T) {
	w := newWorld(t, belay.Deployment{State: belay.StateDeployFailed})
	w.watch.Start()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		if s := w.watch.Health(belay.Ref{Service: "shop", Environment: "production"}); len(s) == 1 && s[0].State == belay.HealthHealthy {
			break
		}
	}
	w.watch.Stop()
	if w.stable != nil || len(w.asked) > 0 {
		t.Errorf("adopted %+v", w.stable)
	}
}

func TestReloadFollowsTheServicesAndEndsInAnyOrder(t *testing.T) {
	w := newWorld(t)
	w.reported = ""
	w.watch.Reload() // before the start it is nothing
	w.watch.Start()
	wait(t, "asked", w.asked)
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(w.watch.Reload)
		wg.Go(func() { w.watch.History(belay.Ref{Service: "shop", Environment: "production"}) })
	}
	wg.Wait()
	w.watch.Stop()
	w.watch.Reload() // begins nothing any more
	w.watch.Start()
	if w.monitor.Status("service shop/production") != nil {
		t.Error("it is watched again after the stop")
	}
}
