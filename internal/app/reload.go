package app

import (
	"context"
	"fmt"
	"net/url"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/alert/notify"
	"github.com/belaydev/belay/internal/alert/notify/webhook"
	"github.com/belaydev/belay/internal/config"
	"github.com/belaydev/belay/internal/lib/id"
)

// Reload reads the configuration again. All that can fail is done before anything running is touched: an error
// means that nothing changed.
func (a *App) Reload(ctx context.Context) error {
	a.reloading.Lock()
	defer a.reloading.Unlock()
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
	if err := unchangeable(a.config(), cfg); err != nil {
		return err
	}
	channels, err := a.channels(cfg)
	if err != nil {
		return err
	}
	if a.metrics != nil {
		if err := a.metrics.SetJobs(a.jobs(cfg, a.active(ctx))); err != nil {
			return err
		}
	}
	if err := a.edges.Apply(cfg); err != nil {
		return err
	}
	// From here on nothing fails.
	a.cfg.Store(cfg)
	a.setChannels(cfg, channels)
	a.standing.reload()
	return nil
}

// unchangeable refuses what only a restart can change, instead of quietly not doing it.
func unchangeable(old, new *config.Config) error {
	for _, c := range []struct{ name, old, new string }{
		{"server.listen", old.Server.Listen, new.Server.Listen},
		{"server.data", old.Server.Data, new.Server.Data},
		{"server.external_url", old.Server.ExternalURL, new.Server.ExternalURL},
		{"metrics.url", old.Metrics.URL, new.Metrics.URL},
		{"metrics.bearer_token", old.Metrics.BearerToken.Value.Reveal(), new.Metrics.BearerToken.Value.Reveal()},
		{"metrics.retention", fmt.Sprint(old.Metrics.Retention), fmt.Sprint(new.Metrics.Retention)},
	} {
		if c.old != c.new {
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

func (a *App) record(ctx context.Context, message string) {
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

// hosts are the names under which the API may be asked, beside addresses.
func (a *App) hosts() []string {
	if u, err := url.Parse(a.config().Server.ExternalURL); err == nil && u.Hostname() != "" {
		return []string{u.Hostname()}
	}
	return nil
}
