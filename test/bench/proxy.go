package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/belaydev/belay/test/bench/figure"
	"github.com/belaydev/belay/test/bench/rig"
)

// play is what this binary does as a process of its own beside the bench: an application that answers at once, or
// the least that a reverse proxy in Go can be.
func play(ctx context.Context, role string, args []string) error {
	var h http.Handler
	switch {
	case role == "application" && len(args) == 1:
		body := strings.Repeat("x", 1023) + "\n"
		h = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) })
	case role == "bare" && len(args) == 2:
		to, err := url.Parse(args[1])
		if err != nil {
			return err
		}
		h = &httputil.ReverseProxy{
			Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(to); r.SetXForwarded() },
			Transport: &http.Transport{MaxIdleConnsPerHost: 512, DisableCompression: true},
			ErrorLog:  log.New(io.Discard, "", 0),
			// As belay proxy has one: without it, every request costs 32 KiB of garbage.
			BufferPool: &buffers{},
		}
	default:
		return fmt.Errorf("there is no role %q with %d arguments", role, len(args))
	}
	srv := &http.Server{Addr: args[0], Handler: h, ReadHeaderTimeout: 5 * time.Second}
	done := make(chan struct{})
	go func() { defer close(done); <-ctx.Done(); _ = srv.Close() }()
	err := srv.ListenAndServe()
	<-done
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// buffers lets the bare proxy use its copy buffers again.
type buffers struct{ pool sync.Pool }

// Get returns a buffer.
func (b *buffers) Get() []byte {
	if v, ok := b.pool.Get().(*[]byte); ok {
		return *v
	}
	return make([]byte, 32<<10)
}

// Put takes one back.
func (b *buffers) Put(v []byte) { b.pool.Put(&v) }

// peer is one way to the application.
type peer struct {
	name, url             string
	rate, p50, p99, alone figure.Series
}

const nginxConf = `daemon off; worker_processes auto; pid nginx.pid; error_log stderr error;
events { worker_connections 1024; }
http {
  access_log off; client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3; uwsgi_temp_path t4; scgi_temp_path t5;
  upstream app { server %s; keepalive 64; }
  server { listen %s; keepalive_requests 1000000;
    location / { proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host; } }
}
`

// overhead measures what the proxy costs, beside other ways to the same application.
func overhead(ctx context.Context, b *bench) error {
	dir, err := os.MkdirTemp("", "belay-bench-proxy-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	l := lane{b: b, dir: dir}
	defer l.stop()
	peers, err := l.build(ctx)
	if err != nil {
		return err
	}
	rounds, length := b.times(4, 1), 2*time.Second
	if b.quick {
		length = time.Second
	}
	for round := range rounds {
		for i := range peers {
			p := &peers[(i+round)%len(peers)] // not always in the same order
			rig.Loop(p.url, connections, 200*time.Millisecond)
			c := rig.Loop(p.url, connections, length)
			one := rig.Loop(p.url, 1, length/2)
			if c.Failed+one.Failed > 0 {
				return fmt.Errorf("%s: %d requests failed", p.name, c.Failed+one.Failed)
			}
			p.rate.Add(c.PerSecond)
			p.p50.Add(figure.Series(c.Latency).Quantile(0.5))
			p.p99.Add(figure.Series(c.Latency).Quantile(0.99))
			p.alone.Add(figure.Series(one.Latency).Quantile(0.5))
			b.say("   %-32s %6.0f/s  p50 %s  p99 %s  alone %s", p.name, c.PerSecond, figure.Seconds(last(p.p50)), figure.Seconds(last(p.p99)), figure.Seconds(last(p.alone)))
		}
	}
	t := figure.NewTable("Way to the application", "rounds", "requests/s (median)", "min", "max", "against bare", "p50", "p99", "one alone, p50")
	for _, p := range peers {
		t.Row(p.name, fmt.Sprint(len(p.rate)), figure.Count(p.rate.Median()), figure.Count(p.rate.Min()), figure.Count(p.rate.Max()),
			figure.Ratio(p.rate.Median()/peers[1].rate.Median()), figure.Seconds(p.p50.Median()), figure.Seconds(p.p99.Median()), figure.Seconds(p.alone.Median()))
	}
	b.headline(headline{
		"requests/s through `belay proxy`", figure.Count(peers[2].rate.Median()) + "/s", "none", "",
		figure.Ratio(peers[2].rate.Median()/peers[1].rate.Median()) + " of a bare httputil.ReverseProxy",
	})
	b.part("What the proxy costs", `
%d connections, each asking one request after the other for 1 KiB, for %s in each round; p50 and p99 are medians of the
rounds. "One alone" is the median answer time with a single connection. The client, the application and the proxy are
processes on the same cores, so these are upper bounds of what each costs. "Bare" is httputil.ReverseProxy with a
transport, a pool of buffers and nothing else; belay proxy counts by slot, release and route, measures latencies, and can be switched and
drained. nginx is Debian's, with keep-alive to the application and without an access log.

%s`, connections, length, t)
	return nil
}

// lane keeps the processes.
type lane struct {
	b     *bench
	dir   string
	procs []*rig.Process
}

func (l *lane) stop() {
	for _, p := range l.procs {
		p.Stop()
	}
}

func (l *lane) start(ctx context.Context, url, name string, argv ...string) error {
	p, err := rig.Start(name, l.dir, argv...)
	if err != nil {
		return err
	}
	l.procs = append(l.procs, p)
	return p.AwaitOK(ctx, url)
}

func (l *lane) build(ctx context.Context) ([]peer, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	var at [6]string // the last one is of a slot that gets nothing
	for i := range at {
		if at[i], err = rig.FreeAddress(); err != nil {
			return nil, err
		}
	}
	app, bare, edge, admin, engine := at[0], at[1], at[2], at[3], at[4]
	if err := l.start(ctx, "http://"+app, "the application", self, "-role", "application", app); err != nil {
		return nil, err
	}
	if err := l.start(ctx, "http://"+bare, "the bare proxy", self, "-role", "bare", bare, "http://"+app); err != nil {
		return nil, err
	}
	conf := fmt.Sprintf("proxies: {edge: {listen: %q, admin: %q, slots: {blue: %q, green: %q}}}\nservices: {shop: {rollout: {proxy: edge}}}\n", edge, admin, app, at[5])
	if err := os.WriteFile(filepath.Join(l.dir, "belay.yaml"), []byte(conf), 0o600); err != nil {
		return nil, err
	}
	if err := l.start(ctx, "http://"+edge, "belay proxy", l.b.belay, "proxy"); err != nil {
		return nil, err
	}
	peers := []peer{{name: "direct", url: "http://" + app}, {name: "bare httputil.ReverseProxy", url: "http://" + bare}, {name: "`belay proxy`", url: "http://" + edge}}
	nginx, err := exec.LookPath("/usr/sbin/nginx")
	if err != nil {
		return peers, nil //nolint:nilerr // a peer more where it is installed
	}
	if err := os.WriteFile(filepath.Join(l.dir, "nginx.conf"), fmt.Appendf(nil, nginxConf, app, engine), 0o600); err != nil {
		return nil, err
	}
	if err := l.start(ctx, "http://"+engine, "nginx", nginx, "-p", l.dir, "-c", filepath.Join(l.dir, "nginx.conf")); err != nil {
		return nil, err
	}
	return append(peers, peer{name: "nginx", url: "http://" + engine}), nil
}
