package learning_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/app/learning"
	"github.com/belaydev/belay/internal/app/session"
	"github.com/belaydev/belay/internal/config"
	"github.com/belaydev/belay/internal/observe/metric"
)

// store keeps what it is told, as the real one does.
type store struct {
	mu          sync.Mutex
	learned     map[belay.Ref]belay.Learned
	deployments []belay.Deployment
	rollbacks   []belay.Rollback
	refuse      error // of the next SetLearned
	reads       int   // of what was learned
}

func (s *store) Stable(_ context.Context, ref belay.Ref) (belay.StableRelease, bool, error) {
	return belay.StableRelease{Ref: ref, Release: belay.Release{Version: "1.0"}}, true, nil
}

func (s *store) Deployment(context.Context, string) (belay.Deployment, error) {
	return belay.Deployment{}, errors.New("none")
}

func (s *store) Deployments(context.Context, belay.DeploymentFilter) ([]belay.Deployment, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.deployments), nil
}

func (s *store) Rollbacks(context.Context, belay.RollbackFilter) ([]belay.Rollback, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.rollbacks), nil
}

func (s *store) Learned(_ context.Context, ref belay.Ref) (belay.Learned, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	l, ok := s.learned[ref]
	return l, ok, nil
}

func (s *store) SetLearned(_ context.Context, ref belay.Ref, l belay.Learned) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.refuse; err != nil {
		s.refuse = nil
		return err
	}
	if l.Until.After(s.learned[ref].Until) {
		s.learned[ref] = l
	}
	return nil
}

func (s *store) LearnedBefore(ctx context.Context, ref belay.Ref, at time.Time) (belay.Learned, bool, error) {
	l, ok, err := s.Learned(ctx, ref)
	if !ok || l.Until.After(at) {
		return belay.Learned{}, false, err
	}
	return l, true, err
}

func (s *store) ForgetLearned(_ context.Context, ref belay.Ref, _ string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.learned[ref]; !ok {
		return belay.Errorf(belay.CodeNotFound, "nothing was learned of %s yet", ref)
	}
	s.learned[ref] = belay.Learned{Until: time.Now()}
	return nil
}

func shop() belay.Ref { return belay.Ref{Service: "shop", Environment: "production"} }

func (s *store) asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reads
}

func (s *store) of(ref belay.Ref) belay.Learned {
	l, _, _ := s.Learned(context.Background(), ref)
	return l
}

// signal is what is known of one signal of the shop.
func (s *store) signal(t *testing.T, name string) belay.LearnedSignal {
	t.Helper()
	for _, sig := range s.of(shop()).Signals {
		if sig.Signal == name {
			return sig
		}
	}
	t.Fatalf("nothing is known of %s: %+v", name, s.of(shop()))
	return belay.LearnedSignal{}
}

// requests is how many requests were learned from, if nothing faded.
func (s *store) requests(t *testing.T) (n, bad float64) {
	t.Helper()
	for _, in := range s.signal(t, "error_rate").Bad {
		n, bad = n+in.N, bad+in.X
	}
	return n, bad
}

// reader has counters of some instances, which serve ten requests a second each, one in a hundred of them bad.
type reader struct {
	mu        sync.Mutex
	began     time.Time
	instances []string
	version   string               // that their series carry
	older     string               // an instance of which the series carry 0.9
	badAt     func(time.Time) bool // all requests are bad then
	err       error
}

const perScrape = 150 // requests of an instance in 15 seconds

func (r *reader) set(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
}

func (r *reader) Samples(_ context.Context, selector string, from, to time.Time) ([]metric.Series, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return nil, r.err
	}
	if strings.Contains(selector, "target_info") {
		return nil, nil
	}
	var out []metric.Series
	for _, in := range r.instances {
		series := map[string]*metric.Series{}
		version := r.version
		if in == r.older {
			version = "0.9"
		}
		for _, status := range []string{"200", "500"} {
			series[status] = &metric.Series{Labels: map[string]string{"__name__": "http_requests_total", "instance": in, "job": "shop", "status": status, "version": version}}
		}
		good, bad := 0.0, 0.0
		for at, i := r.began, 0; !at.After(to); at, i = at.Add(15*time.Second), i+1 {
			x := 1.0 + float64(i%2) // one or two, one and a half on average
			if r.badAt != nil && r.badAt(at) {
				x = perScrape
			}
			good, bad = good+perScrape-x, bad+x
			if at.After(from) {
				series["200"].Points = append(series["200"].Points, metric.Point{T: at, V: good})
				series["500"].Points = append(series["500"].Points, metric.Point{T: at, V: bad})
			}
		}
		for _, status := range slices.Sorted(maps.Keys(series)) {
			if len(series[status].Points) > 0 {
				out = append(out, *series[status])
			}
		}
	}
	return out, nil
}

// Eval gives a value of each instance that differs from minute to minute.
func (r *reader) Eval(_ context.Context, _ string, at time.Time) ([]metric.Series, error) {
	var out []metric.Series
	for i, in := range r.instances {
		v := 10 + float64(i) + float64(at.Minute()%7)
		out = append(out, metric.Series{Labels: map[string]string{"instance": in}, Points: []metric.Point{{T: at, V: v}}})
	}
	return out, nil
}

func (r *reader) Ready(context.Context) error { return nil }

// world is a service, its metrics, and what is known of it.
type world struct {
	*store
	reader *reader
	memory *session.History
	cfg    *config.Config
	log    *bytes.Buffer
	reg    *prometheus.Registry
	l      *learning.Learner
}

func parse(t *testing.T, service string) *config.Config {
	t.Helper()
	cfg, err := config.Parse("/etc/belay.yaml", []byte("services: {shop: {"+service+"}}"), nil)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// newWorld must be called inside a bubble: its counters run since two hours before.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := still(t)
	w.begin(t)
	return w
}

// still is a world in which nobody learns yet.
func still(t *testing.T) *world {
	t.Helper()
	return &world{store: &store{learned: map[belay.Ref]belay.Learned{}}, memory: &session.History{}, log: &bytes.Buffer{},
		reader: &reader{began: time.Now().Add(-2 * time.Hour), instances: []string{"a:1", "b:1", "c:1"}, version: "1.0"},
		cfg:    parse(t, "targets: [a:1, b:1, c:1]")}
}

// begin makes the learner of a new process.
func (w *world) begin(t *testing.T) {
	t.Helper()
	w.l = w.learner(t, w.store)
	w.l.Start()
}

// config is what is configured now; tests change it under the same lock.
func (w *world) config() *config.Config {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.cfg
}

// change is a change to the store or to the configuration while somebody learns.
func (w *world) change(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

func (w *world) learner(t *testing.T, s learning.Store) *learning.Learner {
	t.Helper()
	w.reg = prometheus.NewRegistry()
	l, err := learning.New(learning.Options{
		Config: w.config, Store: s, Reader: w.reader,
		Memory: func(belay.Ref) *session.History { return w.memory }, Actor: func(s string) string { return s }, Log: slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})), Reg: w.reg,
	})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// counted are the hours by what came of them: "learned 2, sick 1".
func (w *world) counted(t *testing.T) string {
	t.Helper()
	families, err := w.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range families {
		for _, m := range f.GetMetric() {
			out = append(out, fmt.Sprintf("%s %v", m.GetLabel()[0].GetValue(), m.GetCounter().GetValue()))
		}
	}
	return strings.Join(out, ", ")
}

func near(got, want, tolerance float64) bool { return math.Abs(got-want) <= tolerance*want }
