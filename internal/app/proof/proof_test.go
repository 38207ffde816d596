package proof

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/app/edge"
	"github.com/belaydev/belay/internal/config"
	"github.com/belaydev/belay/internal/observe/health"
	"github.com/belaydev/belay/internal/observe/metric"
)

func TestBaselineIsHistoryAndTheOldReleaseBeside(t *testing.T) {
	got := baseline([]belay.Tick{
		{T: 1, Samples: []belay.Sample{{T: -30, Arm: belay.ArmBaseline}, {T: -5, Arm: belay.ArmCandidate}, {T: 1, Arm: belay.ArmCandidate}, {T: 1, Arm: belay.ArmBaseline}}},
		{T: 2, Samples: []belay.Sample{{T: 2, Arm: belay.ArmCandidate}}},
	})
	if len(got) != 1 || len(got[0].Samples) != 3 {
		t.Errorf("baseline %+v, want three samples of the first tick", got)
	}
}

// prover reads a real store; its service has the targets.
func prover(t *testing.T, service string) (*Prover, *metric.Store, config.Service) {
	t.Helper()
	cfg, err := config.Parse(filepath.Join(t.TempDir(), "belay.yaml"), []byte("services: {shop: {"+service+"}}"), nil)
	if err != nil {
		t.Fatal(err)
	}
	store, err := metric.Open(metric.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close(t.Context()) })
	log := slog.New(slog.DiscardHandler)
	return &Prover{Config: func() *config.Config { return cfg }, Reader: store, Health: health.NewMonitor(health.Options{}), Edges: edge.New(log),
		NeedTraffic: func(config.Service) bool { return false }, Now: time.Now, Log: log}, store, cfg.Services[0]
}

func appended(t *testing.T, store *metric.Store, age time.Duration, instance, version string) {
	t.Helper()
	err := store.Append(t.Context(), []metric.Sample{{
		Labels: map[string]string{"__name__": "shop_build_info", "instance": instance, "version": version}, T: time.Now().Add(-age), V: 1}})
	if err != nil {
		t.Fatal(err)
	}
}

func targets(addresses ...string) (out []belay.Target) {
	for _, a := range addresses {
		out = append(out, belay.Target{Address: a})
	}
	return out
}

func TestReleaseReportedByMetrics(t *testing.T) {
	p, store, s := prover(t, "targets: [127.0.0.1:1, 127.0.0.1:2]")
	both := targets("127.0.0.1:1", "127.0.0.1:2")
	if got := p.Reported(t.Context(), s, both); got != "" {
		t.Errorf("nothing was scraped, and %q is reported", got)
	}
	appended(t, store, 3*time.Second, "127.0.0.1:1", "1.0")
	if got := p.Reported(t.Context(), s, both); got != "" {
		t.Errorf("one target is silent, and %q is reported", got)
	}
	appended(t, store, 3*time.Second, "127.0.0.1:2", "1.0")
	if got := p.Reported(t.Context(), s, both); got != "1.0" {
		t.Errorf("both report 1.0, and %q is reported", got)
	}
	appended(t, store, time.Second, "127.0.0.1:2", "2.0")
	if got := p.Reported(t.Context(), s, both); got != "" {
		t.Errorf("they differ, and %q is reported", got)
	}
	if got := p.Reported(t.Context(), s, nil); got != "" {
		t.Errorf("nobody reports %q", got)
	}
}

func TestScrapeFromBeforeTheProofDoesNotCount(t *testing.T) {
	p, store, s := prover(t, "targets: [127.0.0.1:1]")
	appended(t, store, 5*time.Second, "127.0.0.1:1", "1.0")
	read := func(since time.Duration) string {
		d := belay.Deployment{Ref: s.Ref(), CreatedAt: time.Now().Add(-since)}
		list, err := Releases{Prover: p, Service: s, Deployment: d}.Releases(t.Context(), targets("127.0.0.1:1"))
		if err != nil || len(list) != 1 {
			t.Fatalf("%+v, %v", list, err)
		}
		return list[0].Version + list[0].Problem
	}
	if got := read(2 * time.Second); got != "not scraped since the rollback" {
		t.Errorf("an old scrape says %q", got)
	}
	if got := read(10 * time.Second); got != "1.0" {
		t.Errorf("a fresh scrape says %q", got)
	}
}

func TestReleaseReportedByPages(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"status":"ok","version":"3.1","build":"4.1"}`))
	}))
	defer srv.Close()
	address := strings.TrimPrefix(srv.URL, "http://")
	for service, want := range map[string]string{
		"health: /healthz": "3.1",
		"verify: {release: {http: /version, json: .build}}, health: /healthz": "4.1",
	} {
		p, _, s := prover(t, "targets: ["+address+"], "+service)
		if got := p.Reported(t.Context(), s, targets(address)); got != want {
			t.Errorf("%s: %q, want %q", service, got, want)
		}
		if p.releases(t.Context(), s, belay.Deployment{Targets: targets(address)}) == nil {
			t.Errorf("%s: the certificate has no release", service)
		}
	}
	p, _, s := prover(t, "targets: [127.0.0.1:1]")
	if p.releases(t.Context(), s, belay.Deployment{Targets: targets("127.0.0.1:1")}) != nil {
		t.Error("nothing can report a release, and the certificate waits for it")
	}
}

// Where nothing tells the releases apart, a step that did nothing must not pass: a service that is well proves only
// that something is well.
func TestNothingTellsTheReleasesApart(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(srv.Close)
	p, _, _ := prover(t, `targets: ["`+srv.Listener.Addr().String()+`"], health: {http: /healthz, interval: 100ms}, rollback: {command: ["true"]}, verify: {proof_time: 10ms}`)
	c, err := p.Prove(t.Context(), belay.Rollback{ID: "r-1", Plan: belay.Plan{
		Ref: belay.Ref{Service: "shop", Environment: "production"}, From: belay.Release{Version: "2"}, To: belay.Release{Version: "1"},
		ProofTimeout: belay.Duration(50 * time.Millisecond)}})
	if err != nil || c.Result != belay.ResultUnverified {
		t.Errorf("certificate %s, %v; want unverified: %+v", c.Result, err, c.Checks)
	}
}
