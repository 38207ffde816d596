package app

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/alert/notify"
	"github.com/belaydev/belay/internal/alert/notify/webhook"
	"github.com/belaydev/belay/internal/config"
	"github.com/belaydev/belay/internal/lib/id"
)

// Reload reads the configuration again. All that can fail is done before anything running is touched: an error
// means that nothing changed. Deployments under way keep the policy that they began with, and go on also when
// their service is configured no more.
func (a *App) Reload(ctx context.Context) error {
	a.reloading.Lock()
	defer a.reloading.Unlock()
	if a.stopping.Err() != nil {
		return belay.Errorf(belay.CodeUnavailable, "reload the configuration: belay is stopping")
	}
	err := a.reload(ctx)
	if err != nil {
		a.refused.Store(&err)
		a.record(ctx, "configuration refused, the one before stays in use: "+err.Error())
		return err
	}
	a.refused.Store(nil)
	a.record(ctx, "configuration loaded")
	a.log.Info("configuration loaded", "services", len(a.config().Services))
	return nil
}

func (a *App) reload(ctx context.Context) error {
	cfg, err := load(a.opts)
	if err != nil {
		return err
	}
	old := a.config()
	if err := unchangeable(old, cfg); err != nil {
		return err
	}
	active, err := a.active(ctx)
	if err != nil {
		return err
	}
	if err := keepLeaving(old, cfg, active); err != nil {
		return err
	}
	channels, err := a.channels(cfg)
	if err != nil {
		return err
	}
	commit, err := a.edges.Prepare(cfg)
	if err != nil {
		return err
	}
	// Only the scraper can still refuse, and then nothing was changed.
	return a.targets.Replace(ctx, cfg, func() {
		a.cfg.Store(cfg)
		commit()
		a.setChannels(cfg, channels)
		a.standing.Reload()
	})
}

// keepLeaving carries the services of deployments under way, and their proxies, over into a configuration that has
// them no longer. It refuses to move a proxy while a deployment counts its requests.
func keepLeaving(old, cfg *config.Config, active []belay.Deployment) error {
	for _, d := range active {
		was, known := old.Service(d.Ref)
		if !known {
			continue
		}
		if _, stays := cfg.Service(d.Ref); !stays {
			cfg.Leaving = append(cfg.Leaving, was)
		}
		p, used := old.Proxy(was.Rollout.Proxy)
		if !used {
			continue
		}
		next, stays := cfg.Proxy(p.Name)
		if !stays {
			cfg.Proxies = append(cfg.Proxies, p)
		} else if next.Admin != p.Admin {
			return belay.Errorf(belay.CodeConflict, "proxies.%s.admin cannot change while %s of %s is under way", p.Name, d.ID, d.Ref).
				WithNext("reload when it has ended")
		}
	}
	return nil
}

// unchangeable refuses what only a restart can change, instead of quietly not doing it.
func unchangeable(old, cfg *config.Config) error {
	for _, c := range []struct{ name, was, is string }{
		{"server.listen", old.Server.Listen, cfg.Server.Listen},
		{"server.data", old.Server.Data, cfg.Server.Data},
		{"server.external_url", old.Server.ExternalURL, cfg.Server.ExternalURL},
		{"metrics.url", old.Metrics.URL, cfg.Metrics.URL},
		{"metrics.bearer_token", old.Metrics.BearerToken.Value.Reveal(), cfg.Metrics.BearerToken.Value.Reveal()},
		{"metrics.retention", fmt.Sprint(old.Metrics.Retention), fmt.Sprint(cfg.Metrics.Retention)},
	} {
		if c.was != c.is {
			return belay.Errorf(belay.CodeConflict, "%s cannot change while belay runs", c.name).WithNext("restart belay to change it")
		}
	}
	return nil
}

func (a *App) lastReload() error {
	if e := a.refused.Load(); e != nil {
		return *e
	}
	return nil
}

// record puts it on the timeline, also when whoever asked for the reload does not wait any more.
func (a *App) record(ctx context.Context, message string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	now := a.now().UTC()
	e := belay.Event{ID: id.New("e", now), Time: now, Actor: "belay", Kind: belay.EventConfig, Message: message}
	if err := a.store.Append(ctx, e); err != nil {
		a.log.Error("event not stored", "error", err)
	}
}

// channels makes the notifiers of a configuration.
func (a *App) channels(cfg *config.Config) (map[string]notify.Notifier, error) {
	out := map[string]notify.Notifier{}
	for _, h := range cfg.Notify.Webhooks {
		n, err := webhook.New(webhook.Options{
			URL: h.URL, Secret: h.Secret.Value, Timeout: h.Timeout, Source: cfg.Server.ExternalURL, Version: a.opts.Version,
			AllowLinkLocal: h.AllowLinkLocal,
		})
		if err != nil {
			return nil, fmt.Errorf("webhook %s: %w", h.Name, err)
		}
		out[h.Name] = n
	}
	return out, nil
}

func (a *App) setChannels(cfg *config.Config, channels map[string]notify.Notifier) {
	kinds := map[string][]belay.EventKind{}
	for _, h := range cfg.Notify.Webhooks {
		for _, k := range h.Events {
			kinds[h.Name] = append(kinds[h.Name], belay.EventKind(k))
		}
	}
	a.store.SetChannels(kinds)
	a.dispatcher.SetChannels(channels)
}

// hosts are the names under which the API may be asked, beside addresses and localhost.
func (a *App) hosts() []string {
	var out []string
	if u, err := url.Parse(a.config().Server.ExternalURL); err == nil && u.Hostname() != "" {
		out = append(out, u.Hostname())
	}
	if host, _, err := net.SplitHostPort(a.config().Server.Listen); err == nil && host != "" {
		out = append(out, host)
	}
	return out
}
