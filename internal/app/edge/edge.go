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
	token  belay.Secret
	Client *proxyclient.Client
	Counts *traffic.Source
}

// New returns an empty set.
func New(log *slog.Logger) *Set { return &Set{log: log, byName: map[string]*Edge{}} }

// Apply makes the edges those of cfg. Proxies that stay keep their streams. On an error nothing changed.
func (e *Set) Apply(cfg *config.Config) error {
	commit, err := e.Prepare(cfg)
	if err == nil {
		commit()
	}
	return err
}

// Prepare does all of Apply that can fail; commit does the rest. Between the two nobody else may apply.
func (e *Set) Prepare(cfg *config.Config) (commit func(), err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	next := map[string]*Edge{}
	for _, p := range cfg.Proxies {
		if old := e.byName[p.Name]; old != nil && old.admin == p.Admin && old.token == p.Token.Value {
			next[p.Name] = old
			continue
		}
		c, err := proxyclient.New(p.Name, p.Admin, p.Token.Value.Reveal())
		if err != nil {
			return nil, fmt.Errorf("proxies.%s: %w", p.Name, err)
		}
		next[p.Name] = &Edge{admin: p.Admin, token: p.Token.Value, Client: c, Counts: traffic.New(c, e.log)}
	}
	return func() { e.commit(next) }, nil
}

func (e *Set) commit(next map[string]*Edge) {
	e.mu.Lock()
	gone := e.byName
	e.byName = next
	if e.started && !e.stopped {
		e.startLocked()
	}
	stopped := e.stopped
	e.mu.Unlock()
	for name, old := range gone { // without the lock: a stream may take a moment to end
		if next[name] != old {
			old.close()
		}
	}
	if stopped {
		for _, v := range next {
			v.close()
		}
	}
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

// Serving is the slot with the most traffic, "" when none has any.
func (v *Edge) Serving(ctx context.Context) (string, error) {
	status, err := v.Client.Slots(ctx)
	if err != nil {
		return "", err
	}
	best, most := "", 0
	for _, s := range status.Slots {
		if s.Weight > most {
			best, most = s.Name, s.Weight
		}
	}
	return best, nil
}

// Session begins to count for a deployment.
func (v *Edge) Session(d belay.Deployment) *traffic.Session {
	baseline := traffic.Side{}
	if d.PreviousSlot != "" && d.PreviousSlot != d.Slot && !d.Previous.IsZero() {
		baseline = traffic.Side{Slot: d.PreviousSlot, Release: d.Previous.String()}
	}
	return v.Counts.Session(traffic.Side{Slot: d.Slot, Release: d.Release.String()}, baseline)
}
