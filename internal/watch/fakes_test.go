package watch_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/watch"
	"github.com/belaydev/belay/internal/watch/state"
)

// memory is the store: it outlives conductors.
type memory struct {
	mu          sync.Mutex
	broken      bool
	full        bool          // ticks are refused
	slow        time.Duration // how long reading ticks takes
	deployments map[string]belay.Deployment
	events      []belay.Event
	seen        map[string]bool
	stable      map[belay.Ref]belay.StableRelease
	quarantine  map[string]belay.Quarantine
	ticks       map[string][]belay.Tick
}

func newMemory() *memory {
	return &memory{
		deployments: map[string]belay.Deployment{}, seen: map[string]bool{}, stable: map[belay.Ref]belay.StableRelease{},
		quarantine: map[string]belay.Quarantine{}, ticks: map[string][]belay.Tick{},
	}
}

func (m *memory) locked(f func()) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken {
		return errors.New("disk is full")
	}
	f()
	return nil
}

func (m *memory) SaveDeployment(_ context.Context, d belay.Deployment, events ...belay.Event) error {
	return m.locked(func() {
		m.deployments[d.ID] = d
		for _, e := range events {
			if !m.seen[e.ID] {
				m.seen[e.ID] = true
				m.events = append(m.events, e)
			}
		}
	})
}

func (m *memory) Deployment(_ context.Context, id string) (d belay.Deployment, err error) {
	found := false
	if err := m.locked(func() { d, found = m.deployments[id] }); err != nil {
		return d, err
	}
	if !found {
		return d, belay.Errorf(belay.CodeNotFound, "there is no deployment %s", id)
	}
	return d, nil
}

func (m *memory) Deployments(_ context.Context, f belay.DeploymentFilter) (ds []belay.Deployment, err error) {
	err = m.locked(func() {
		for _, id := range slices.Backward(slices.Sorted(maps.Keys(m.deployments))) {
			d := m.deployments[id]
			if (f.Active && d.State.Final()) || (f.Service != "" && f.Service != d.Service) {
				continue
			}
			ds = append(ds, d)
		}
	})
	return ds, err
}

func (m *memory) Stable(_ context.Context, ref belay.Ref) (s belay.StableRelease, ok bool, err error) {
	err = m.locked(func() { s, ok = m.stable[ref] })
	return s, ok, err
}

func (m *memory) SetStable(_ context.Context, s belay.StableRelease) error {
	return m.locked(func() { m.stable[s.Ref] = s })
}

func (m *memory) Quarantined(_ context.Context, ref belay.Ref, key string) (q belay.Quarantine, ok bool, err error) {
	err = m.locked(func() { q, ok = m.quarantine[ref.String()+key] })
	return q, ok, err
}

func (m *memory) Quarantine(_ context.Context, q belay.Quarantine) error {
	return m.locked(func() { m.quarantine[q.String()+q.Key] = q })
}

func (m *memory) AppendTick(_ context.Context, id string, t belay.Tick) error {
	full := false
	err := m.locked(func() {
		if full = m.full; !full {
			m.ticks[id] = append(m.ticks[id], t)
		}
	})
	if full {
		return errors.New("no room for ticks")
	}
	return err
}

func (m *memory) Ticks(ctx context.Context, id string, fromT float64) (ts []belay.Tick, err error) {
	if !wait(ctx, m.slow) {
		return nil, ctx.Err()
	}
	err = m.locked(func() {
		for _, t := range m.ticks[id] {
			if t.T >= fromT {
				ts = append(ts, t)
			}
		}
	})
	return ts, err
}

func (m *memory) breakDown(b bool) { m.mu.Lock(); m.broken = b; m.mu.Unlock() }

func wait(ctx context.Context, d time.Duration) bool {
	if d == 0 {
		return ctx.Err() == nil
	}
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// states lists the states that a deployment went through, as its events tell.
func (m *memory) states(id string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var s []string
	for _, e := range m.events {
		if e.Deployment == id && e.Kind == belay.EventState {
			s = append(s, string(e.State))
		}
	}
	return strings.Join(s, " ")
}

// told tells whether an event says what.
func (m *memory) told(what string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.ContainsFunc(m.events, func(e belay.Event) bool { return strings.Contains(e.Message, what) })
}

// world is everything outside: it outlives conductors too. What a version shows is told by shows.
type world struct {
	mu        sync.Mutex
	shows     map[string]func(age time.Duration) belay.Verdict
	deploys   map[string]int // version -> times its deploy command ran
	deployFor time.Duration
	deployErr error
	trafficOK bool
	weights   map[string]int // slot -> percent
	moves     []string
	reverts   map[string]int // rollback -> times it was asked for
	begun     map[string]time.Time
	outcome   belay.RollbackState
	takes     time.Duration
	refuse    error
	news      chan struct{}
	looks     int
	opened    int           // observations
	gathered  []float64     // what each of them was told
	downUntil time.Duration // health checks fail until this age of a deployment
}

func newWorld() *world {
	return &world{
		shows: map[string]func(time.Duration) belay.Verdict{}, deploys: map[string]int{}, deployFor: 5 * time.Second, trafficOK: true,
		weights: map[string]int{}, reverts: map[string]int{}, begun: map[string]time.Time{}, outcome: belay.RollbackVerified,
		takes: 3 * time.Second,
	}
}

func always(v belay.Verdict) func(time.Duration) belay.Verdict {
	return func(time.Duration) belay.Verdict { return v }
}

// goodUntil is healthy until an age and bad from then on.
func goodUntil(bad time.Duration) func(time.Duration) belay.Verdict {
	return func(age time.Duration) belay.Verdict {
		if age >= bad {
			return belay.VerdictRegressed
		}
		return belay.VerdictHealthy
	}
}

func (w *world) set(f func(w *world)) { w.mu.Lock(); defer w.mu.Unlock(); f(w) }

func (w *world) Deploy(ctx context.Context, d belay.Deployment) error {
	w.mu.Lock()
	w.deploys[d.Release.Version]++
	t, err := w.deployFor, w.deployErr
	w.mu.Unlock()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(t):
		return err
	}
}

func (w *world) SetWeight(_ context.Context, d belay.Deployment, pct int) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.trafficOK {
		return errors.New("connection refused")
	}
	w.weights[d.Slot] = pct
	if d.PreviousSlot != "" {
		w.weights[d.PreviousSlot] = 100 - pct
	}
	w.moves = append(w.moves, fmt.Sprintf("%s=%d", d.Slot, pct))
	return nil
}

func (w *world) Revert(_ context.Context, d belay.Deployment, _, _, _ string) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.refuse != nil {
		return "", w.refuse
	}
	w.reverts[d.Rollback]++
	if w.begun[d.Rollback].IsZero() {
		w.begun[d.Rollback] = time.Now()
	}
	return d.Rollback, nil
}

func (w *world) Wait(ctx context.Context, id string) (belay.Rollback, error) {
	w.mu.Lock()
	left, outcome := w.takes-time.Since(w.begun[id]), w.outcome
	w.mu.Unlock()
	select {
	case <-ctx.Done():
		return belay.Rollback{}, ctx.Err()
	case <-time.After(left):
		return belay.Rollback{ID: id, State: outcome}, nil
	}
}

func (w *world) Observe(_ context.Context, d belay.Deployment, gathered float64) (watch.Session, error) {
	w.set(func(w *world) { w.opened++; w.gathered = append(w.gathered, gathered) })
	return &session{w, d}, nil
}

// looked is how many looks there were.
func (w *world) looked() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.looks
}

type session struct {
	w *world
	d belay.Deployment
}

func (s *session) Collect(_ context.Context, now time.Time) (belay.Tick, error) {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	s.w.looks++
	age := now.Sub(s.d.CreatedAt)
	v := belay.VerdictNone
	if f := s.w.shows[s.d.Release.Version]; f != nil {
		v = f(age)
	}
	h := belay.HealthStatus{Arm: belay.ArmCandidate, State: belay.HealthHealthy}
	if age < s.w.downUntil {
		h.State = belay.HealthUnhealthy
	}
	return belay.Tick{T: age.Seconds(), Samples: []belay.Sample{{Signal: string(v)}}, Health: []belay.HealthStatus{h}}, nil
}

func (s *session) Updated() <-chan struct{} { return s.w.news }
func (s *session) Close()                   {}

// judge calls a release regressed after the third bad tick, or the first with failing health, and stays with it:
// it has a memory that a restart must not lose.
type judge struct {
	bad, all int
	sick     bool
	thinks   time.Duration
}

func (j *judge) Observe(t belay.Tick) belay.Card {
	wait(context.Background(), j.thinks)
	j.all++
	c := belay.Card{T: t.T, DecidedBy: "comparison"}
	if len(t.Samples) == 0 {
		c.Verdict, c.Reason = belay.VerdictBlind, "nothing was read"
		return c
	}
	c.Verdict, c.Health = belay.Verdict(t.Samples[0].Signal), t.Health
	for _, h := range t.Health {
		j.sick = j.sick || h.State == belay.HealthUnhealthy
	}
	if j.sick {
		c.Verdict, c.DecidedBy, c.Reason = belay.VerdictRegressed, "health", "it is down"
		return c
	}
	if c.Verdict == belay.VerdictRegressed {
		if j.bad++; j.bad < 3 {
			c.Verdict = belay.VerdictNone
		}
		first := t.T - 2
		c.FirstBad = &first
	}
	c.Reason = fmt.Sprintf("%d of %d ticks bad", j.bad, j.all)
	return c
}

// bench is a conductor in a world.
type bench struct {
	t        *testing.T
	m        *memory
	w        *world
	c        *watch.Conductor
	settings watch.Settings
	reg      *prometheus.Registry
	gate     watch.Gate
	log      *slog.Logger
	thinks   time.Duration // how long a judge takes for a tick
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, m: newMemory(), w: newWorld(), settings: watch.Settings{Policy: state.Default()}, log: slog.New(slog.DiscardHandler)}
	b.settings.Policy.Bake = time.Minute
	return b
}

func (b *bench) proxied() *bench {
	b.settings.Slots = []string{"blue", "green"}
	b.settings.Policy.Steps = []int{10, 50, 100}
	b.m.stable[shop] = belay.StableRelease{Ref: shop, Release: v("1"), Slot: "blue", Verified: true}
	b.w.weights["blue"] = 100
	return b
}

var shop = belay.Ref{Service: "shop", Environment: "production"}

func v(version string) belay.Release { return belay.Release{Version: version} }

func (b *bench) start() *bench {
	b.t.Helper()
	b.reg = prometheus.NewRegistry()
	c, err := watch.New(watch.Options{
		Store: b.m, Observer: b.w, Deployer: b.w, Traffic: b.w, Reverter: b.w, Gate: b.gate,
		Judge:    func(belay.Deployment) watch.Judge { return &judge{thinks: b.thinks} },
		Policies: func(belay.Ref) (watch.Settings, error) { return b.settings, nil },
		Logger:   b.log, Registerer: b.reg,
	})
	if err != nil {
		b.t.Fatal(err)
	}
	b.c = c
	if err := c.Start(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	return b
}

// restart drops the conductor and starts another one on the same store and world.
func (b *bench) restart() {
	b.t.Helper()
	b.c.Stop()
	b.start()
}

func (b *bench) deploy(version string) string {
	b.t.Helper()
	d, err := b.c.Deploy(b.t.Context(), belay.DeployRequest{Ref: shop, Release: v(version), Actor: "ci"})
	if err != nil {
		b.t.Fatal(err)
	}
	return d.ID
}

// end waits for the final state.
func (b *bench) end(id string) belay.Deployment {
	b.t.Helper()
	ch, cancel := b.c.Subscribe(id)
	defer cancel()
	var d belay.Deployment
	for d = range ch {
	}
	if !d.State.Final() {
		b.t.Fatalf("the last that was heard of %s is %s", id, d.State)
	}
	return d
}

// is waits until the deployment is in a state.
func (b *bench) is(id string, s belay.State) belay.Deployment {
	b.t.Helper()
	ch, cancel := b.c.Subscribe(id)
	defer cancel()
	for d := range ch {
		if d.State == s {
			return d
		}
		if d.State.Final() {
			b.t.Fatalf("%s ended as %s (%s) before it was %s", id, d.State, d.Reason, s)
		}
	}
	b.t.Fatalf("%s never was %s", id, s)
	return belay.Deployment{}
}
