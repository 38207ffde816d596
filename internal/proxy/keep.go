package proxy

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/lib/atomicfile"
	"github.com/belaydev/belay/internal/lib/flock"
	"github.com/belaydev/belay/internal/proxy/state"
)

// load makes the first table from the configuration and the state file.
func (p *Proxy) load() error {
	p.control.drains = map[*backend]context.CancelFunc{}
	p.control.retired = map[*backend]struct{}{}
	p.saver = &saver{proxy: p, configured: map[string]string{}, failed: make(chan struct{}, 1)}
	for _, s := range p.opt.Slots {
		if _, twice := p.saver.configured[s.Name]; twice {
			return belay.Errorf(belay.CodeInvalid, "make proxy %s: slot %s is there twice", p.opt.Name, s.Name)
		}
		p.saver.configured[s.Name] = s.Address
	}
	kept, err := state.Read(p.opt.StateFile, p.opt.Name)
	if err != nil {
		return err
	}
	slots, generation := p.firstSlots(), uint64(1)
	if kept != nil {
		slots, generation = p.merge(kept), kept.Generation
		p.control.keys = kept.Keys
	}
	var routes []*route
	weights := map[string]int{}
	for _, s := range slots {
		r, err := p.newRoute(s, nil)
		if err != nil {
			return fmt.Errorf("make proxy %s: %w", p.opt.Name, err)
		}
		routes = append(routes, r)
		weights[s.Name] = s.Weight
	}
	t := newTable(generation, sortRoutes(routes))
	if len(t.routes) == 0 {
		return belay.Errorf(belay.CodeInvalid, "make proxy %s: it has no slots", p.opt.Name).WithNext("add proxies.%s.slots to the configuration", p.opt.Name)
	}
	if err := checkWeights(p.opt.Name, t, weights); err != nil {
		return err
	}
	p.table.Store(t)
	return nil
}

// firstSlots are those of the configuration alone. Without any weight the first one gets all traffic: a proxy
// that answers 503 until somebody finds out why helps nobody.
func (p *Proxy) firstSlots() []Slot {
	slots := append([]Slot(nil), p.opt.Slots...)
	total := 0
	for _, s := range slots {
		total += s.Weight
	}
	if total == 0 && len(slots) > 0 {
		slots[0].Weight = 100
	}
	return slots
}

// merge joins the configuration with the state: addresses and drain times from the configuration where it has
// them, weights and releases from the state.
func (p *Proxy) merge(kept *state.File) []Slot {
	known := map[string]state.Slot{}
	for _, s := range kept.Slots {
		known[s.Name] = s
	}
	var slots []Slot
	for _, c := range p.opt.Slots {
		s, ok := known[c.Name]
		delete(known, c.Name)
		c.Weight = s.Weight // 0 for a slot that is new
		if s.Release != "" {
			c.Release = s.Release
		}
		if c.Drain == 0 {
			c.Drain = s.Drain
		}
		if ok && s.Configured == c.Address {
			c.Address = s.Address
		} else if ok {
			p.log.Info("slot address taken from the configuration", "slot", c.Name, "address", c.Address, "before", s.Address)
		}
		slots = append(slots, c)
	}
	for _, s := range kept.Slots {
		if _, left := known[s.Name]; !left {
			continue
		}
		// Gone from the configuration, but users are on it: serving them is worth more than being tidy.
		if s.Configured != "" && s.Weight == 0 {
			continue
		}
		if s.Configured != "" {
			p.log.Warn("slot is not configured any more but has traffic: kept", "slot", s.Name, "weight", s.Weight)
		}
		slots = append(slots, Slot{Name: s.Name, Address: s.Address, Release: s.Release, Weight: s.Weight, Drain: s.Drain})
	}
	return slots
}

// saver writes the state file.
type saver struct {
	proxy      *Proxy
	configured map[string]string // slot to its address in the configuration
	failed     chan struct{}     // wakes keep

	mu    sync.Mutex    // held while writing
	saved atomic.Uint64 // generation that the state file holds
}

// ensure returns once the state file holds the given generation or a later one. Changes that wait for the disk
// together are saved by one write.
func (s *saver) ensure(generation uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.saved.Load() >= generation {
		return nil
	}
	t, err := s.write()
	if err == nil {
		s.saved.Store(t.generation)
		return nil
	}
	select {
	case s.failed <- struct{}{}:
	default:
	}
	return belay.Errorf(belay.CodeInternal,
		"save weights of proxy %s: %w: active now is %s, but a restart before they are saved would bring back older ones", s.proxy.opt.Name, err, t).
		WithNext("make room for or access to %s; belay keeps trying", s.proxy.opt.StateFile)
}

// write saves what is active now.
func (s *saver) write() (*table, error) {
	s.proxy.control.mu.Lock()
	t, keys := s.proxy.table.Load(), s.proxy.control.keys
	s.proxy.control.mu.Unlock()
	if s.proxy.opt.StateFile == "" {
		return t, nil
	}
	f := state.File{Version: state.Version, Proxy: s.proxy.opt.Name, Generation: t.generation, Keys: keys}
	for _, r := range t.routes {
		f.Slots = append(f.Slots, state.Slot{
			Name: r.slot.Name, Address: r.slot.Address, Release: r.slot.Release, Weight: r.slot.Weight,
			Drain: r.slot.Drain, Configured: s.configured[r.slot.Name],
		})
	}
	data, err := json.Marshal(f)
	if err != nil {
		return t, err
	}
	return t, s.proxy.opt.save(s.proxy.opt.StateFile, append(data, '\n'))
}

// keep saves what the start found and tries again after a save that did not succeed.
func (s *saver) keep(ctx context.Context) {
	const every = 2 * time.Second
	for {
		if err := s.ensure(s.proxy.table.Load().generation); err != nil {
			s.proxy.log.Error("state not saved", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-s.failed:
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(every):
		}
	}
}

func saveFile(path string, data []byte) error { return atomicfile.WriteFile(path, data, 0o600) }

// lockState keeps a second proxy from the same state file.
func (p *Proxy) lockState() (func() error, error) {
	if p.opt.StateFile == "" {
		return func() error { return nil }, nil
	}
	if err := os.MkdirAll(filepath.Dir(p.opt.StateFile), 0o700); err != nil {
		return nil, fmt.Errorf("start proxy %s: make folder of its state: %w", p.opt.Name, err)
	}
	unlock, err := flock.Lock(p.opt.StateFile + ".lock")
	if err != nil {
		return nil, belay.Errorf(belay.CodeConflict, "start proxy %s: lock %s: %w", p.opt.Name, p.opt.StateFile, err).
			WithNext("is another \"belay proxy %s\" running?", p.opt.Name)
	}
	return unlock, nil
}
