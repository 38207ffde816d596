package app

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/config"
	"github.com/belaydev/belay/internal/proxy"
	"github.com/belaydev/belay/internal/serve/api"
)

// handler is the HTTP API over the parts.
func (a *App) handler() http.Handler {
	return api.New(api.Options{
		Deployments: a, Evidence: a, Rollbacks: a, Services: a, Learning: a.learner, Server: a,
		Metrics: promhttp.HandlerFor(a.reg, promhttp.HandlerOpts{Registry: a.reg}),
		Token:   a.Token, Hosts: a.hosts(), Logger: a.part("api"),
	})
}

// The App is all of these to the API.
var (
	_ api.Deployments = (*App)(nil)
	_ api.Rollbacks   = (*App)(nil)
	_ api.Services    = (*App)(nil)
	_ api.Server      = (*App)(nil)
)

// RunProxy runs one proxy of the configuration until ctx ends. It needs nothing of the controller.
func RunProxy(ctx context.Context, o Options, name string) error {
	cfg, err := load(o)
	if err != nil {
		return err
	}
	p, err := pickProxy(cfg, name)
	if err != nil {
		return err
	}
	po := proxy.Options{Name: p.Name, Listen: p.Listen, Admin: p.Admin, StateFile: inDir(cfg.Dir, p.State), Token: p.Token.Value, Logger: o.Logger}
	for _, s := range p.Slots {
		po.Slots = append(po.Slots, proxy.Slot{Name: s.Name, Address: s.Address, Drain: s.Drain})
	}
	srv, err := proxy.New(po)
	if err != nil {
		return err
	}
	if err := srv.Start(ctx); err != nil {
		return err
	}
	o.Logger.Info("proxy is ready", "proxy", p.Name, "listen", srv.Addr(), "admin", srv.AdminAddr())
	<-ctx.Done()
	o.Logger.Info("stopping, requests under way may end")
	return srv.Stop(context.WithoutCancel(ctx))
}

func pickProxy(cfg *config.Config, name string) (config.Proxy, error) {
	var names []string
	for _, p := range cfg.Proxies {
		names = append(names, p.Name)
	}
	switch {
	case len(names) == 0:
		return config.Proxy{}, belay.Errorf(belay.CodeInvalid, "the configuration has no proxies").WithNext("add one under proxies:")
	case name == "" && len(names) == 1:
		name = names[0]
	case name == "":
		return config.Proxy{}, belay.Errorf(belay.CodeInvalid, "the configuration has %d proxies", len(names)).WithNext("name one: %s", join(names))
	case !slices.Contains(names, name):
		return config.Proxy{}, belay.Errorf(belay.CodeNotFound, "there is no proxy %q", name).WithNext("the configuration has: %s", join(names))
	}
	p, ok := cfg.Proxy(name)
	if !ok {
		return p, errors.New("read the proxies")
	}
	return p, nil
}
