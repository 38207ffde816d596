// Package edge keeps a client and a stream of counts for each belay proxy of the configuration. It is part of the
// composition root; it decides nothing about traffic.
package edge

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

// Set is the proxies of the configuration. It follows a reload.
type Set struct {
	log *slog.Logger

	mu      sync.Mutex
	started bool
	stopped bool
	byName  map[string]*Edge
}

// Edge is one proxy.
type Edge struct {
	admin  string
	Client *proxyclient.Client
	Counts *traffic.Source
}

// New returns an empty set.
func New(log *slog.Logger) *Set { return &Set{log: log, byName: map[string]*Edge{}} }

// Apply makes the edges those of cfg. Proxies that stay keep their streams. On an error nothing changed.
func (e *Set) Apply(cfg *config.Config) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	next := map[string]*Edge{}
	for _, p := range cfg.Proxies {
		if old := e.byName[p.Name]; old != nil && old.admin == p.Admin {
			next[p.Name] = old
			continue
		}
		c, err := proxyclient.New(p.Name, p.Admin, p.Token.Value.Reveal())
		if err != nil {
			return fmt.Errorf("proxies.%s: %w", p.Name, err)
		}
		next[p.Name] = &Edge{admin: p.Admin, Client: c, Counts: traffic.New(c, e.log)}
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

// Start begins to read the counts of every proxy.
func (e *Set) Start() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.started = true
	e.startLocked()
}

func (e *Set) startLocked() {
	for _, v := range e.byName {
		_ = v.Counts.Start(context.Background()) // documented to be safe to repeat
	}
}

// Stop ends reading for good.
func (e *Set) Stop() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stopped = true
	for _, v := range e.byName {
		v.close()
	}
}

func (v *Edge) close() {
	_ = v.Counts.Stop(context.Background())
	v.Client.Close()
}

// Of returns the proxy of that name, or nil.
func (e *Set) Of(name string) *Edge {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.byName[name]
}

// Clients returns the admin clients by name.
func (e *Set) Clients() map[string]*proxyclient.Client {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := make(map[string]*proxyclient.Client, len(e.byName))
	for name, v := range e.byName {
		out[name] = v.Client
	}
	return out
}

// Session begins to count for a deployment.
func (v *Edge) Session(d belay.Deployment) *traffic.Session {
	baseline := traffic.Side{}
	if d.PreviousSlot != "" && d.PreviousSlot != d.Slot && !d.Previous.IsZero() {
		baseline = traffic.Side{Slot: d.PreviousSlot, Release: d.Previous.String()}
	}
	return v.Counts.Session(traffic.Side{Slot: d.Slot, Release: d.Release.String()}, baseline)
}
