package proxy

import (
	"github.com/belaydev/belay/internal/proxy/admin"
	"github.com/belaydev/belay/internal/proxy/count"
	"github.com/belaydev/belay/internal/proxy/proxyclient"
)

// Status says where traffic goes.
func (p *Proxy) Status() proxyclient.Status {
	t := p.table.Load()
	return proxyclient.Status{Proxy: p.opt.Name, BootID: p.bootID, Generation: t.generation, Saved: p.isSaved(), Slots: p.slots(t)}
}

// Snapshot reads everything counted.
func (p *Proxy) Snapshot() proxyclient.Snapshot {
	t := p.table.Load()
	return proxyclient.Snapshot{
		Proxy: p.opt.Name, BootID: p.bootID, Time: p.now().UTC(), Generation: t.generation,
		Unrouted: p.unrouted.Load(), Slots: p.slots(t), LE: count.Bounds(), Counters: p.counts.Counters(),
	}
}

// Mark is another one after each request and each change.
func (p *Proxy) Mark() admin.Mark {
	return admin.Mark{Counted: p.counts.Changes(), Unrouted: p.unrouted.Load(), Generation: p.table.Load().generation}
}

func (p *Proxy) isSaved() bool { return p.saver.saved.Load() >= p.table.Load().generation }

func (p *Proxy) slots(t *table) []proxyclient.Slot {
	out := make([]proxyclient.Slot, 0, len(t.routes))
	for _, r := range t.routes {
		draining := p.control.retiredInFlight(r.slot.Name)
		limit, _ := r.slot.drainTime()
		out = append(out, proxyclient.Slot{
			Name: r.slot.Name, Address: r.slot.Address, Release: r.slot.Release, Weight: r.slot.Weight,
			InFlight: r.backend.inFlight.Load() + draining, Draining: draining, Drain: limit.String(),
		})
	}
	return out
}
