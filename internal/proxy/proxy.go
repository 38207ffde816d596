// Package proxy is the data plane: a reverse proxy process with named slots whose shares of traffic are changed
// atomically through a local admin API. It keeps serving, and keeps its weights, when the controller dies; it
// counts what it answers and streams the counts. It decides nothing: when to move traffic is for package watch and
// for rollback plans. It is one host in front of releases on plain addresses, not a load balancer or a gateway.
package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/lib/id"
	"github.com/belaydev/belay/internal/proxy/admin"
	"github.com/belaydev/belay/internal/proxy/count"
)

// DefaultDrain is how long requests may go on once their slot has no weight.
const DefaultDrain = 30 * time.Second

// DefaultResponseTimeout is how long a release may take to begin its response.
const DefaultResponseTimeout = time.Minute

// Options say what a proxy is.
type Options struct {
	Name   string // "edge"
	Listen string // for traffic: "127.0.0.1:8480"
	Admin  string // for the admin API: "127.0.0.1:8481" or "unix:/path"
	// StateFile keeps weights, releases and addresses over a restart; empty keeps them in memory only.
	StateFile string
	// Slots are those of the configuration. Without a state file that says otherwise their weights count; if none
	// has weight, the first one gets all traffic.
	Slots []Slot
	// Token must come with each admin request if set. Without it the admin API listens on loopback only.
	Token belay.Secret
	// ResponseTimeout is how long a release may take to begin its response; 0 is the default, negative is without
	// end. It does not hold for gRPC, whose calls bring a deadline of their own.
	ResponseTimeout time.Duration
	// SlotHeader adds X-Belay-Slot to responses.
	SlotHeader bool
	Logger     *slog.Logger
	Registry   *prometheus.Registry // for /metrics; nil makes one
	Now        func() time.Time     // nil is time.Now

	save func(path string, data []byte) error // replaced in tests
}

// Slot is a named place that a release can stand behind.
type Slot struct {
	Name    string
	Address string        // "host:port", "http://host:port", "https://host:port", or "h2c://host:port" for HTTP/2 without TLS
	Release string        // the version there, if known
	Weight  int           // percent of new requests
	Drain   time.Duration // how long requests may go on without weight; 0 is DefaultDrain, negative is without end
}

// Proxy is a running or startable proxy.
type Proxy struct {
	opt    Options
	log    *slog.Logger
	bootID string
	now    func() time.Time

	table    atomic.Pointer[table] // the data plane reads nothing else
	counts   count.Set
	unrouted atomic.Uint64
	forward  *forwarder

	control control
	saver   *saver

	life       sync.Mutex // Start and Stop
	phase      phase
	base       context.Context //nolint:containedctx // the owner's own: all requests end with it
	cancel     context.CancelFunc
	stopStream chan struct{}
	running    sync.WaitGroup
	data       *http.Server
	adminAPI   http.Handler
	admin      *http.Server
	dataAddr   net.Addr
	adminAddr  net.Addr
	unlock     func() error
	ready      atomic.Bool
}

type phase int

const (
	phaseNew phase = iota
	phaseRunning
	phaseStopped
)

// New checks the options, reads the state file and makes a proxy that is not yet listening.
func New(o Options) (*Proxy, error) {
	if o.Name == "" {
		return nil, belay.Errorf(belay.CodeInvalid, "make proxy: it has no name")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Registry == nil {
		o.Registry = prometheus.NewRegistry()
	}
	if o.save == nil {
		o.save = saveFile
	}
	if err := admin.CheckAddress(o.Name, o.Admin, o.Token); err != nil {
		return nil, err
	}
	p := &Proxy{opt: o, log: o.Logger.With("proxy", o.Name), now: o.Now, bootID: id.New("boot", o.Now())}
	p.base, p.cancel = context.WithCancel(context.Background())
	p.stopStream = make(chan struct{})
	p.forward = newForwarder(p)
	if err := p.load(); err != nil {
		p.cancel()
		return nil, err
	}
	var err error
	p.adminAPI, err = admin.New(p, admin.Options{
		Name: o.Name, Unix: strings.HasPrefix(o.Admin, "unix:"), Token: o.Token, Logger: p.log, Registry: o.Registry, Now: o.Now,
		DrainTime: DefaultDrain, Stop: p.stopStream,
	})
	if err != nil {
		p.cancel()
		return nil, fmt.Errorf("make proxy %s: %w", o.Name, err)
	}
	return p, nil
}

// Start listens and serves. It returns once both addresses accept connections.
func (p *Proxy) Start(ctx context.Context) (err error) {
	p.life.Lock()
	defer p.life.Unlock()
	if p.phase != phaseNew {
		return belay.Errorf(belay.CodeConflict, "start proxy %s: it was started or stopped before", p.opt.Name)
	}
	unlock, err := p.lockState()
	if err != nil {
		return err
	}
	// Read again under the lock: the proxy that held it before may have saved since New.
	if err := p.load(); err != nil {
		return errors.Join(err, unlock())
	}
	dataL, err := (&net.ListenConfig{}).Listen(ctx, "tcp", p.opt.Listen)
	if err != nil {
		return errors.Join(listenError(p.opt.Name, "traffic", "listen", err), unlock())
	}
	adminL, err := admin.Listen(ctx, p.opt.Admin)
	if err != nil {
		return errors.Join(listenError(p.opt.Name, "its admin API", "admin", err), dataL.Close(), unlock())
	}
	p.unlock, p.dataAddr, p.adminAddr = unlock, dataL.Addr(), adminL.Addr()
	p.data, p.admin = p.newDataServer(), p.newAdminServer()
	p.serve("traffic", p.data, dataL)
	p.serve("admin", p.admin, adminL)
	p.running.Go(func() { p.saver.keep(p.base) })
	p.phase = phaseRunning
	p.ready.Store(true)
	p.log.Info("proxy started", "listen", p.dataAddr.String(), "admin", p.adminAddr.String(), "weights", p.table.Load().String())
	return nil
}

func listenError(name, what, key string, err error) error {
	return belay.Errorf(belay.CodeUnavailable, "start proxy %s: listen for %s: %w", name, what, err).
		WithNext("is another \"belay proxy %s\" running? Else change proxies.%s.%s", name, name, key)
}

func (p *Proxy) serve(what string, s *http.Server, l net.Listener) {
	p.running.Go(func() {
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			p.ready.Store(false)
			p.log.Error("listener broke", "listener", what, "error", err)
		}
	})
}

// Stop takes no more requests, waits for those in flight until the context ends but no longer than DefaultDrain,
// cuts off the rest and returns when nothing of the proxy runs any more. Stopping twice, or without a start, does
// nothing.
func (p *Proxy) Stop(ctx context.Context) error {
	p.life.Lock()
	defer p.life.Unlock()
	was := p.phase
	p.phase = phaseStopped
	p.ready.Store(false)
	if was != phaseRunning {
		p.cancel()
		return nil
	}
	ctx, done := context.WithTimeout(ctx, DefaultDrain)
	defer done()
	// Shutdown waits for plain requests, waitIdle for upgraded connections too, which it does not know.
	err := p.data.Shutdown(ctx)
	left := p.waitIdle(ctx)
	p.cancel()
	close(p.stopStream)
	err = errors.Join(ignoreDeadline(err), ignoreClosed(p.data.Close()))
	short, over := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer over()
	if p.admin.Shutdown(short) != nil {
		err = errors.Join(err, ignoreClosed(p.admin.Close()))
	}
	p.control.stop()
	p.running.Wait()
	p.forward.close()
	if left > 0 {
		p.log.Warn("requests cut at stop", "requests", left)
	}
	p.log.Info("proxy stopped")
	return errors.Join(err, p.unlock())
}

// ignoreDeadline drops the end of the time given to a stop: the requests that were cut are told in the log.
func ignoreDeadline(err error) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) || errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Ready tells whether the proxy serves.
func (p *Proxy) Ready() bool { return p.ready.Load() }

// Addr returns the address of the data plane once started.
func (p *Proxy) Addr() string { return addrString(p.dataAddr) }

// AdminAddr returns the address of the admin API once started: "host:port" or "unix:/path".
func (p *Proxy) AdminAddr() string { return addrString(p.adminAddr) }

func addrString(a net.Addr) string {
	switch {
	case a == nil:
		return ""
	case a.Network() == "unix":
		return "unix:" + a.String()
	}
	return a.String()
}

func (p *Proxy) newDataServer() *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:           p.forward,
		Protocols:         &protocols,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute, // longer than that of usual load balancers before it
		MaxHeaderBytes:    128 << 10,
		BaseContext:       func(net.Listener) context.Context { return p.base },
		ErrorLog:          slog.NewLogLogger(p.log.Handler(), slog.LevelDebug), // broken clients, not ours to mend
		// No read or write timeout: uploads and streams may last.
	}
}

func (p *Proxy) newAdminServer() *http.Server {
	return &http.Server{
		Handler:           p.adminAPI,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(p.log.Handler(), slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return p.base },
	}
}

// waitIdle waits until nothing is in flight and returns what is when the context ends.
func (p *Proxy) waitIdle(ctx context.Context) int64 {
	return poll(ctx, func() int64 { return p.table.Load().inFlight() + p.control.retiredInFlight("") })
}

// poll reads until it gets 0 or the context ends, and returns the last reading.
func poll(ctx context.Context, read func() int64) int64 {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		n := read()
		if n == 0 {
			return 0
		}
		select {
		case <-ctx.Done():
			return read()
		case <-tick.C:
		}
	}
}
