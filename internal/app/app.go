// Package app is the composition root: it builds every part, connects them, starts and stops them in order, and
// reloads the configuration. It is the only package that knows everybody, and it decides nothing about deployments.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/alert/notify"
	"github.com/belaydev/belay/internal/app/days"
	"github.com/belaydev/belay/internal/app/deploy"
	"github.com/belaydev/belay/internal/app/edge"
	"github.com/belaydev/belay/internal/app/front"
	"github.com/belaydev/belay/internal/app/gate"
	"github.com/belaydev/belay/internal/app/labels"
	"github.com/belaydev/belay/internal/app/learning"
	"github.com/belaydev/belay/internal/app/proof"
	"github.com/belaydev/belay/internal/app/record"
	"github.com/belaydev/belay/internal/app/scrape"
	"github.com/belaydev/belay/internal/app/standing"
	"github.com/belaydev/belay/internal/app/upkeep"
	"github.com/belaydev/belay/internal/config"
	"github.com/belaydev/belay/internal/lib/flock"
	"github.com/belaydev/belay/internal/lib/stopstack"
	"github.com/belaydev/belay/internal/observe/health"
	"github.com/belaydev/belay/internal/observe/metric"
	"github.com/belaydev/belay/internal/observe/metric/kpi"
	"github.com/belaydev/belay/internal/observe/metric/past"
	"github.com/belaydev/belay/internal/proxy/proxyclient"
	"github.com/belaydev/belay/internal/rollback"
	"github.com/belaydev/belay/internal/store/sqlite"
	"github.com/belaydev/belay/internal/watch"
)

// Options are what an App is made from.
type Options struct {
	ConfigFile string
	Lookup     func(string) (string, bool) // environment variables, for secrets
	Version    string
	Logger     *slog.Logger
	// Standalone listens on a free loopback port instead of the configured address: the engine inside a command.
	Standalone bool
	Now        func() time.Time // time.Now when nil
}

// App is one running belay. Start, Stop and Reload may be called in any order and from several goroutines.
type App struct {
	opts Options
	log  *slog.Logger
	now  func() time.Time
	reg  *prometheus.Registry

	cfg  atomic.Pointer[config.Config]
	data string
	ln   net.Listener

	store      *sqlite.Store
	reader     metric.Reader
	source     past.Source   // reader, for ranges
	metrics    *metric.Store // nil with an external server
	health     *health.Monitor
	engine     *rollback.Engine
	conductor  *watch.Conductor
	deployer   *deploy.Deployer
	dispatcher *notify.Dispatcher
	edges      *edge.Set
	prover     *proof.Prover
	targets    *scrape.Targets
	standing   *standing.Watch
	upkeep     *upkeep.Upkeep
	learner    *learning.Learner
	days       *days.Reader
	*labels.Labels
	*record.Records

	life     sync.Mutex // held by Start and Stop throughout
	phase    phase
	stopping context.Context //nolint:containedctx // the owner's own: ends with the first Stop
	stopped  context.CancelFunc
	stops    stopstack.Stack
	ready    atomic.Bool
	failed   chan error

	settle    sync.Mutex // held while a deployment begins, and while a release that was found becomes the stable one
	reloading sync.Mutex
	refused   atomic.Pointer[error] // why the newest configuration was not taken
}

type phase int

const (
	built phase = iota
	running
	ended
)

// cleanupTimeout bounds the stops of a start that failed.
const cleanupTimeout = 20 * time.Second

// New reads the configuration, takes the data folder and opens everything in it. Nothing acts before Start. What
// was opened is closed again when New fails.
func New(ctx context.Context, o Options) (*App, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	cfg, err := load(o)
	if err != nil {
		return nil, err
	}
	a := &App{opts: o, log: o.Logger, now: o.Now, reg: prometheus.NewRegistry(), failed: make(chan error, 1)}
	a.stopping, a.stopped = context.WithCancel(context.WithoutCancel(ctx))
	a.cfg.Store(cfg)
	if err := a.build(ctx, cfg); err != nil {
		return nil, errors.Join(err, a.undo(ctx))
	}
	return a, nil
}

// CheckQuery says what is wrong with the PromQL query of a signal, or nil.
func CheckQuery(query string) error { return kpi.CheckQuery(query) }

// load reads the configuration file.
func load(o Options) (*config.Config, error) {
	cfg, err := config.Load(o.ConfigFile, o.Lookup, CheckQuery)
	if errors.Is(err, os.ErrNotExist) {
		return nil, belay.Errorf(belay.CodeInvalid, "there is no configuration file %s", o.ConfigFile).
			WithNext("name one with --config, or write one: docs/quickstart.md starts with five lines")
	}
	return cfg, err
}

// build is one straight line: each part is made, and its stop registered, in the order in which they depend on
// each other. Wiring is the one place where long and linear is right.
func (a *App) build(ctx context.Context, cfg *config.Config) error {
	a.reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	a.data = inDir(cfg.Dir, cfg.Server.Data)
	if err := a.lockData(); err != nil {
		return err
	}
	address := cfg.Server.Listen
	if a.opts.Standalone {
		address = "127.0.0.1:0"
	}
	var err error
	if a.ln, err = front.Listen(ctx, address); err != nil {
		return err
	}
	a.stops.Push("listener", func(context.Context) error { return ignoreClosed(a.ln.Close()) })

	if a.store, err = sqlite.Open(ctx, filepath.Join(a.data, "belay.db"), sqlite.Options{Logger: a.part("store")}); err != nil {
		return err
	}
	a.stops.Push("store", func(context.Context) error { return a.store.Close() })
	a.Labels = &labels.Labels{Store: a.store, Now: a.now, Actor: named}
	a.Records = &record.Records{Store: a.store, Subscribe: a.SubscribeDeployment, Policy: a.judgePolicy}
	if err := a.openMetrics(cfg); err != nil {
		return err
	}
	a.health = health.NewMonitor(health.Options{Log: a.part("health"), Reg: a.reg})
	a.edges = edge.New(a.part("proxy"))
	if err := a.edges.Apply(cfg); err != nil {
		return err
	}
	a.stops.Push("proxy counts", func(context.Context) error { a.edges.Stop(); return nil })
	if err := a.buildDispatcher(cfg); err != nil {
		return err
	}
	if err := a.buildEngine(cfg); err != nil {
		return err
	}
	if err := a.buildKeepers(); err != nil {
		return err
	}
	return a.buildConductor()
}

func (a *App) lockData() error {
	if err := os.MkdirAll(a.data, 0o700); err != nil {
		return fmt.Errorf("make the data folder: %w", err)
	}
	release, err := flock.Lock(filepath.Join(a.data, "lock"))
	if errors.Is(err, flock.ErrHeld) {
		return belay.Errorf(belay.CodeConflict, "another belay works in the data folder %s: %w", a.data, err).
			WithNext("stop it, ask it with --server instead of running a second one, or set another server.data")
	}
	if err != nil {
		return err
	}
	a.stops.Push("data folder lock", func(context.Context) error { return release() })
	return nil
}

func (a *App) openMetrics(cfg *config.Config) error {
	if cfg.Metrics.URL != "" {
		remote, err := metric.NewRemote(metric.RemoteOptions{URL: cfg.Metrics.URL, BearerToken: cfg.Metrics.BearerToken.Value})
		if err != nil {
			return err
		}
		a.reader, a.source = remote, remote
		a.stops.Push("metrics client", remote.Close)
		return nil
	}
	maxBytes := int64(cfg.Metrics.Retention.Size)
	if maxBytes == 0 {
		maxBytes = -1 // no limit
	}
	store, err := metric.Open(metric.Options{
		Dir: filepath.Join(a.data, "metrics"), Retention: cfg.Metrics.Retention.Time, MaxBytes: maxBytes,
		Logger: a.part("metrics"), Registerer: a.reg,
	})
	if err != nil {
		return err
	}
	a.metrics, a.reader, a.source = store, store, store
	a.stops.Push("metrics store", store.Close)
	return nil
}

func (a *App) buildDispatcher(cfg *config.Config) error {
	var err error
	a.dispatcher, err = notify.New(notify.Options{Outbox: a.store, Logger: a.part("notify"), Registerer: a.reg})
	if err != nil {
		return err
	}
	channels, err := a.channels(cfg)
	if err != nil {
		return err
	}
	a.setChannels(cfg, channels)
	return nil
}

func (a *App) buildEngine(cfg *config.Config) error {
	a.prover = &proof.Prover{Config: a.config, Store: a.store, Reader: a.reader, Health: a.health, Edges: a.edges,
		NeedTraffic: a.countsRequests, Now: a.now, Log: a.part("verify"), Reg: a.reg}
	a.prover.Register()
	var err error
	a.engine, err = rollback.New(rollback.Options{
		Dir: a.data, Drivers: a.drivers(cfg), Journal: a.store, Prover: a.prover, History: a.store,
		Limits: func(ref belay.Ref) rollback.Limits {
			s, ok := a.config().Service(ref)
			if !ok {
				return rollback.Limits{}
			}
			return rollback.Limits{MaxPerHour: s.Rollback.MaxPerHour}
		},
		Logger: a.part("rollback"), Registerer: a.reg, Now: a.opts.Now,
	})
	return err
}

func (a *App) buildConductor() error {
	d := &deploy.Deployer{Config: a.config, Proxies: a.proxies, Logs: filepath.Join(a.data, "deploys"), Log: a.part("deploy")}
	a.deployer = d
	var err error
	a.conductor, err = watch.New(watch.Options{
		Store: a.store, Observer: a, Deployer: d, Traffic: d, Reverter: reverter{a}, Judge: a.judge, Foresee: a.foresee,
		Policies: a.policies, Gate: gate.Gate{Config: a.config, Active: a.active}, Logger: a.part("watch"), Registerer: a.reg, Now: a.opts.Now,
	})
	return err
}

// buildKeepers makes what goes on beside the deployments.
func (a *App) buildKeepers() error {
	o := scrape.Options{Config: a.config, Store: a.store, Log: a.part("scrape")}
	if a.metrics != nil {
		o.Scraper = a.metrics
	}
	a.targets = scrape.New(o)
	a.days = days.New(days.Options{Source: a.source, Own: a.metrics != nil, Store: a.store, Log: a.part("watch"), Reg: a.reg})
	a.stops.Push("reading of the past", func(context.Context) error { a.days.Stop(); return nil })
	a.standing = standing.New(standing.Options{
		Config: a.config, Store: a.store, Health: a.health, Edges: a.edges, Reported: a.prover.Reported,
		Settle: &a.settle, Log: a.part("standing"), Now: a.opts.Now,
	})
	a.upkeep = upkeep.New(upkeep.Options{
		Store: a.store, History: func() time.Duration { return a.config().Server.History }, Now: a.opts.Now,
		Steps: filepath.Join(a.data, "steps"), Deploys: filepath.Join(a.data, "deploys"), Log: a.part("upkeep"),
	})
	var err error
	a.learner, err = learning.New(learning.Options{
		Config: a.config, Store: a.store, Reader: a.reader, Memory: a.standing.History, Actor: named, Log: a.part("learning"), Reg: a.reg, Now: a.opts.Now,
	})
	return err
}

// Start begins to act: goes on with what was under way, watches, serves. When it fails, everything is stopped, and
// closed, again.
func (a *App) Start(ctx context.Context) error {
	a.life.Lock()
	defer a.life.Unlock()
	switch a.phase {
	case running:
		return belay.Errorf(belay.CodeConflict, "start belay: it runs already")
	case ended:
		return belay.Errorf(belay.CodeConflict, "start belay: it was stopped; make a new one")
	case built:
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(a.stopping, cancel)() // a Stop need not wait for a start that takes long
	if err := a.start(ctx); err != nil {
		a.phase = ended
		return errors.Join(err, a.undo(ctx))
	}
	a.phase = running
	return nil
}

// undo closes what was opened and stops what was started, in reverse.
func (a *App) undo(ctx context.Context) error {
	a.stopped()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	return a.stops.Stop(ctx, a.log)
}

// start is one straight line, too. A stop that is safe before its start is registered first: a part that failed
// half-way is stopped like one that runs.
func (a *App) start(ctx context.Context) error {
	a.health.Start()
	a.stops.Push("health checks", func(context.Context) error { a.health.Stop(); return nil })
	a.dispatcher.Start()
	a.stops.Push("notifications", func(context.Context) error { a.dispatcher.Stop(); return nil })
	a.edges.Start()
	a.stops.Push("scrape targets", func(context.Context) error { a.targets.Stop(); return nil })
	if err := a.targets.Start(ctx); err != nil {
		return err
	}
	a.upkeep.Leftovers()
	a.deployer.Leftovers(ctx) // before a rollback could run beside one
	a.stops.Push("rollback engine", a.engine.Stop)
	if err := a.engine.Start(ctx); err != nil {
		return err
	}
	a.stops.Push("conductor", func(context.Context) error { a.conductor.Stop(); return nil })
	if err := a.conductor.Start(ctx); err != nil {
		return err
	}
	a.standing.Start()
	a.stops.Push("standing watch", func(context.Context) error { a.standing.Stop(); return nil })
	a.upkeep.Start()
	a.stops.Push("upkeep", func(context.Context) error { a.upkeep.Stop(); return nil })
	a.learner.Start()
	a.stops.Push("learning", func(context.Context) error { a.learner.Stop(); return nil })
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("start belay: %w", err)
	}
	srv := front.New(a.ln, a.handler(), a.part("api"), a.failed)
	a.stops.Push("api", srv.Stop)
	a.stops.Push("readiness", func(context.Context) error { a.ready.Store(false); return nil })
	a.ready.Store(true)
	a.log.Info("belay is ready", "address", a.URL(), "data", a.data, "services", len(a.config().Services), "version", a.opts.Version)
	if ip, ok := a.ln.Addr().(*net.TCPAddr); ok && !ip.IP.IsLoopback() {
		a.log.Warn("the api is reachable from other machines and speaks plain http: the token crosses the network in the clear unless a tls proxy stands in front", "address", a.URL())
	}
	return nil
}

// Stop ends everything in reverse order, each part once, and waits. What was under way goes on at the next start.
// It may be called before Start, during it and again.
func (a *App) Stop(ctx context.Context) error {
	a.stopped()
	a.life.Lock()
	defer a.life.Unlock()
	a.phase = ended
	return a.stops.Stop(ctx, a.log)
}

// Failed receives when a part cannot go on.
func (a *App) Failed() <-chan error { return a.failed }

// URL is where the API is served.
func (a *App) URL() string { return "http://" + a.ln.Addr().String() }

// Token is what the API asks for.
func (a *App) Token() belay.Secret { return a.config().Server.Token.Value }

func (a *App) config() *config.Config { return a.cfg.Load() }

func (a *App) proxies() map[string]*proxyclient.Client { return a.edges.Clients() }

func (a *App) part(name string) *slog.Logger { return a.log.With("component", name) }

// inDir resolves a path of the configuration against the folder of its file.
func inDir(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

func join(names []string) string { return strings.Join(names, ", ") }

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
