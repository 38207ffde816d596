package proxy

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/proxy/proxyclient"
	"github.com/belaydev/belay/internal/proxy/state"
)

// maxSlots bounds what the API can make.
const maxSlots = 64

// maxKeys bounds the idempotency keys that are remembered.
const maxKeys = 64

// control is the state of changes: one at a time. Its lock is never held while the disk is waited for, so that a
// slow disk cannot keep traffic from being moved.
type control struct {
	mu       sync.Mutex  // guards what follows, and storing a table
	keys     []state.Key // oldest first
	drains   map[*backend]context.CancelFunc
	retired  map[*backend]struct{} // left by their slot, with requests in flight
	draining sync.WaitGroup
}

// SetWeights moves traffic. The change is active before it is saved, so that traffic moves in microseconds whatever
// the disk does. If it cannot be saved it stays active: taking it back would send users to the release that
// somebody wanted them away from. The error says so, and saving goes on in the background.
func (p *Proxy) SetWeights(weights map[string]int, c proxyclient.WeightOptions) (proxyclient.Changed, error) {
	return p.change(func(t *table) (*table, error) {
		if err := checkWeights(p.opt.Name, t, weights); err != nil {
			return nil, err
		}
		// A caller that has read the present generation has looked since: it means this change, now.
		looked := c.Generation != 0 && c.Generation == t.generation
		if k, ok := p.control.known(c.Key); ok && !looked {
			if !sameWeights(k.Weights, weights) {
				return nil, belay.Errorf(belay.CodeConflict, "set weights of proxy %s: key %q was used for other weights", p.opt.Name, c.Key)
			}
			return t, nil
		}
		if c.Generation != 0 && !looked {
			return nil, belay.Errorf(belay.CodeConflict,
				"set weights of proxy %s: generation is %d, not %d: somebody changed it since", p.opt.Name, t.generation, c.Generation).
				WithNext("read the slots again and decide anew")
		}
		routes := make([]*route, len(t.routes))
		for i, r := range t.routes {
			next := *r
			next.slot.Weight = weights[r.slot.Name]
			routes[i] = &next
		}
		p.control.remember(state.Key{Name: c.Key, Weights: weights})
		return newTable(t.generation+1, routes), nil
	})
}

// ConfigureSlot changes or makes a slot.
func (p *Proxy) ConfigureSlot(name string, ch proxyclient.SlotChange) (proxyclient.Changed, error) {
	return p.change(func(t *table) (*table, error) {
		slot := Slot{Name: name}
		old := t.route(name)
		switch {
		case old != nil:
			slot = old.slot
		case ch.Address == nil:
			return nil, p.noSlot(t, name)
		case len(t.routes) >= maxSlots:
			return nil, belay.Errorf(belay.CodeConflict, "make slot %s of proxy %s: it has %d already", name, p.opt.Name, maxSlots)
		}
		if err := slot.change(ch); err != nil {
			return nil, err
		}
		if old != nil && slot == old.slot {
			return t, nil
		}
		next, err := p.newRoute(slot, old)
		if err != nil {
			return nil, err
		}
		return newTable(t.generation+1, sortRoutes(append(t.without(name), next))), nil
	})
}

// RemoveSlot takes a slot without weight away.
func (p *Proxy) RemoveSlot(name string) (proxyclient.Changed, error) {
	return p.change(func(t *table) (*table, error) {
		r := t.route(name)
		if r == nil {
			return nil, p.noSlot(t, name)
		}
		if r.slot.Weight > 0 {
			return nil, belay.Errorf(belay.CodeConflict, "remove slot %s of proxy %s: it has %d %% of the traffic", name, p.opt.Name, r.slot.Weight).
				WithNext("give its weight to another slot first")
		}
		return newTable(t.generation+1, t.without(name)), nil
	})
}

// change makes the table that next returns the active one, then saves it. The same table means that there is
// nothing to change.
func (p *Proxy) change(next func(*table) (*table, error)) (proxyclient.Changed, error) {
	began := time.Now()
	p.control.mu.Lock()
	before := p.table.Load()
	t, err := next(before)
	if err != nil {
		p.control.mu.Unlock()
		return proxyclient.Changed{}, err
	}
	if t != before {
		p.table.Store(t)
	}
	switched := time.Since(began)
	if t != before {
		p.arrangeDrains(before, t)
		p.counts.Keep(t.counters())
	}
	p.control.mu.Unlock()
	err = p.saver.ensure(t.generation)
	if t != before {
		p.log.Info("slots changed", "weights", t.String(), "generation", t.generation, "duration", switched)
	}
	return proxyclient.Changed{
		Generation: t.generation, Weights: t.weights(), Repeated: t == before,
		SwitchNS: switched.Nanoseconds(), SaveNS: time.Since(began).Nanoseconds(),
	}, err
}

// change applies what is set.
func (s *Slot) change(ch proxyclient.SlotChange) error {
	if ch.Address != nil {
		s.Address = *ch.Address
	}
	if ch.Release != nil {
		if len(*ch.Release) > 200 {
			return belay.Errorf(belay.CodeInvalid, "set release of slot %s: it is longer than 200 characters", s.Name)
		}
		s.Release = *ch.Release
	}
	if ch.Drain != nil {
		d, err := time.ParseDuration(*ch.Drain)
		if err != nil {
			return belay.Errorf(belay.CodeInvalid, "set drain of slot %s: %q is not a duration", s.Name, *ch.Drain).WithNext("use for example \"30s\"")
		}
		s.Drain = d
	}
	return checkName(s.Name)
}

// arrangeDrains begins the drain of every backend that new requests no longer reach and ends that of those which
// they reach again. The lock is held.
func (p *Proxy) arrangeDrains(before, next *table) {
	c := &p.control
	reached := map[*backend]bool{}
	for _, r := range next.routes {
		reached[r.backend] = r.slot.Weight > 0
		if stop, ok := c.drains[r.backend]; ok && r.slot.Weight > 0 {
			stop()
			delete(c.drains, r.backend)
		}
	}
	for _, r := range before.routes {
		stays, known := reached[r.backend]
		if !known {
			c.retired[r.backend] = struct{}{}
		}
		if _, already := c.drains[r.backend]; stays || already || (known && r.slot.Weight == 0) {
			continue
		}
		limit, bounded := r.slot.drainTime()
		if !bounded && known {
			continue
		}
		ctx, stop := context.WithCancel(p.base)
		c.drains[r.backend] = stop
		c.draining.Go(func() { p.drain(ctx, r.backend, limit, bounded) })
	}
}

// drain lets the requests of a backend go on for its drain time and ends what is left then.
func (p *Proxy) drain(ctx context.Context, b *backend, limit time.Duration, bounded bool) {
	wait, done := ctx, func() {}
	if bounded {
		wait, done = context.WithTimeout(ctx, limit)
	}
	left := poll(wait, b.inFlight.Load)
	done()
	if left > 0 && ctx.Err() == nil {
		p.log.Info("drain time over, requests cut", "slot", b.slot, "requests", left)
	}
	for left > 0 && p.control.cut(ctx, b) {
		round, done := context.WithTimeout(ctx, 50*time.Millisecond)
		left = poll(round, b.inFlight.Load) // again for those that had entered but not registered
		done()
	}
	p.control.mu.Lock()
	defer p.control.mu.Unlock()
	if ctx.Err() == nil { // else another drain may be at work, or none is wanted
		p.control.drains[b]()
		delete(p.control.drains, b)
		delete(p.control.retired, b)
	}
}

// cut ends the requests of a backend unless its drain was called off. Under the lock, or it could hit requests
// that a change has just sent there again.
func (c *control) cut(ctx context.Context, b *backend) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ctx.Err() != nil {
		return false
	}
	b.cut(errDrained)
	return true
}

// WaitDrained waits until a slot without weight has nothing in flight.
func (p *Proxy) WaitDrained(ctx context.Context, name string) (proxyclient.Drained, error) {
	t := p.table.Load()
	r := t.route(name)
	if r == nil {
		return proxyclient.Drained{}, p.noSlot(t, name)
	}
	if r.slot.Weight > 0 {
		return proxyclient.Drained{}, belay.Errorf(belay.CodeConflict, "drain slot %s of proxy %s: it still gets %d %% of the traffic", name, p.opt.Name, r.slot.Weight).
			WithNext("set its weight to 0 first")
	}
	left := poll(ctx, func() int64 { return r.backend.inFlight.Load() + p.control.retiredInFlight(name) })
	return proxyclient.Drained{Drained: left == 0, InFlight: left}, nil
}

// retiredInFlight counts requests on former addresses of a slot, or of all slots when name is empty.
func (c *control) retiredInFlight(name string) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	var n int64
	for b := range c.retired {
		if name == "" || b.slot == name {
			n += b.inFlight.Load()
		}
	}
	return n
}

// stop waits for the drains, which end with the base context.
func (c *control) stop() { c.draining.Wait() }

func (c *control) known(key string) (state.Key, bool) {
	if key == "" {
		return state.Key{}, false
	}
	for _, k := range c.keys {
		if k.Name == key {
			return k, true
		}
	}
	return state.Key{}, false
}

// remember keeps the newest keys. The lock is held.
func (c *control) remember(k state.Key) {
	if k.Name == "" {
		return
	}
	keys := slices.DeleteFunc(slices.Clone(c.keys), func(o state.Key) bool { return o.Name == k.Name })
	keys = append(keys, k)
	c.keys = keys[max(0, len(keys)-maxKeys):] // another slice each time: a save may be reading the old one
}

func sameWeights(a, b map[string]int) bool {
	for k, v := range b {
		if v != a[k] {
			return false
		}
	}
	for k, v := range a {
		if v != b[k] {
			return false
		}
	}
	return true
}

// checkWeights holds the rule of weights: percents of known slots that add up to 100, or all 0.
func checkWeights(proxy string, t *table, weights map[string]int) error {
	total := 0
	for name, w := range weights {
		if t.route(name) == nil {
			return belay.Errorf(belay.CodeNotFound, "set weights of proxy %s: there is no slot %q", proxy, name).WithNext("its slots are %s", t.names())
		}
		if w < 0 || w > 100 {
			return belay.Errorf(belay.CodeInvalid, "set weights of proxy %s: %s=%d is not between 0 and 100", proxy, name, w)
		}
		total += w
	}
	if total != 100 && total != 0 || len(weights) == 0 {
		return belay.Errorf(belay.CodeInvalid, "set weights of proxy %s: they add up to %d", proxy, total).
			WithNext("weights are percents and add up to 100; all 0 answers every request with 503")
	}
	return nil
}

func (p *Proxy) noSlot(t *table, name string) error {
	return belay.Errorf(belay.CodeNotFound, "proxy %s has no slot %q", p.opt.Name, name).WithNext("its slots are %s", t.names())
}

// without returns the routes but that of one slot.
func (t *table) without(name string) []*route {
	return slices.DeleteFunc(slices.Clone(t.routes), func(r *route) bool { return r.slot.Name == name })
}

func (t *table) names() string {
	var n []string
	for _, r := range t.routes {
		n = append(n, r.slot.Name)
	}
	return strings.Join(n, ", ")
}

// newRoute makes the route of a slot. It goes on with the backend of the old route if the address is the same.
func (p *Proxy) newRoute(s Slot, old *route) (*route, error) {
	if err := checkName(s.Name); err != nil {
		return nil, err
	}
	r := &route{slot: s}
	if old != nil && old.slot.Address == s.Address {
		r.backend = old.backend
	} else {
		b, err := newBackend(s.Name, s.Address)
		if err != nil {
			return nil, err
		}
		r.backend = b
	}
	r.counts = p.counts.Slot(s.Name, s.Release)
	return r, nil
}

func checkName(name string) error {
	ok := name != "" && len(name) <= 64
	for _, c := range name {
		ok = ok && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.')
	}
	if !ok {
		return belay.Errorf(belay.CodeInvalid, "read slot name %q: want up to 64 letters, digits, dots, dashes or underscores", name)
	}
	return nil
}

func sortRoutes(r []*route) []*route {
	slices.SortFunc(r, func(a, b *route) int { return strings.Compare(a.slot.Name, b.slot.Name) })
	return r
}
