package app

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/config"
	"github.com/belaydev/belay/internal/observe/traffic"
	"github.com/belaydev/belay/internal/proxy/proxyclient"
)

// edges are the proxies of the configuration: a client and a stream of counts for each. They follow a reload.
type edges struct {
	log *slog.Logger

	mu      sync.Mutex
	started bool
	stopped bool
	byName  map[string]*edge
}

// edge is one proxy.
type edge struct {
	admin  string
	client *proxyclient.Client
	counts *traffic.Source
}

func newEdges(log *slog.Logger) *edges { return &edges{log: log, byName: map[string]*edge{}} }

// apply makes the edges those of cfg. Proxies that stay keep their streams. On an error nothing changed.
func (e *edges) apply(cfg *config.Config) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	next := map[string]*edge{}
	for _, p := range cfg.Proxies {
		if old := e.byName[p.Name]; old != nil && old.admin == p.Admin {
			next[p.Name] = old
			continue
		}
		c, err := proxyclient.New(p.Name, p.Admin, p.Token.Value.Reveal())
		if err != nil {
			return fmt.Errorf("proxies.%s: %w", p.Name, err)
		}
		next[p.Name] = &edge{admin: p.Admin, client: c, counts: traffic.New(c, e.log)}
	}
	gone := e.byName
	e.byName = next
	for name, old := range gone {
		if next[name] != old {
			old.close()
		}
	}
	if e.started && !e.stopped {
		e.startLocked()
	}
	return nil
}

func (e *edges) start() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.started = true
	e.startLocked()
}

func (e *edges) startLocked() {
	for _, v := range e.byName {
		_ = v.counts.Start(context.Background()) // documented to be safe to repeat
	}
}

func (e *edges) stop() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stopped = true
	for _, v := range e.byName {
		v.close()
	}
}

func (v *edge) close() {
	_ = v.counts.Stop(context.Background())
	v.client.Close()
}

// of returns the proxy of that name, or nil.
func (e *edges) of(name string) *edge {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.byName[name]
}

// clients returns the admin clients by name.
func (e *edges) clients() map[string]*proxyclient.Client {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := make(map[string]*proxyclient.Client, len(e.byName))
	for name, v := range e.byName {
		out[name] = v.client
	}
	return out
}

// session begins to count for a deployment.
func (v *edge) session(d belay.Deployment) *traffic.Session {
	baseline := traffic.Side{}
	if d.PreviousSlot != "" && d.PreviousSlot != d.Slot && !d.Previous.IsZero() {
		baseline = traffic.Side{Slot: d.PreviousSlot, Release: d.Previous.String()}
	}
	return v.counts.Session(traffic.Side{Slot: d.Slot, Release: d.Release.String()}, baseline)
}

func (a *App) proxies() map[string]*proxyclient.Client { return a.edges.clients() }
