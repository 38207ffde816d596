package proxy

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/proxy/count"
)

// table says where requests go. It is never changed: a change stores another table.
type table struct {
	generation uint64
	routes     []*route // of every slot, by name
	weighted   []*route // those with weight
	total      int
}

// route is a slot as one table has it.
type route struct {
	slot    Slot
	backend *backend
	counts  *count.Slot
}

func newTable(generation uint64, routes []*route) *table {
	t := &table{generation: generation, routes: routes}
	for _, r := range routes {
		if r.slot.Weight > 0 {
			t.weighted = append(t.weighted, r)
			t.total += r.slot.Weight
		}
	}
	return t
}

// choose returns the route of a new request, nil when no slot has weight.
func (t *table) choose() *route {
	switch len(t.weighted) {
	case 0:
		return nil
	case 1:
		return t.weighted[0]
	}
	n := rand.IntN(t.total) //nolint:gosec // a share of traffic, no secret
	for _, r := range t.weighted {
		if n -= r.slot.Weight; n < 0 {
			return r
		}
	}
	return nil // not reached: n is below the sum of the weights
}

func (t *table) route(name string) *route {
	for _, r := range t.routes {
		if r.slot.Name == name {
			return r
		}
	}
	return nil
}

func (t *table) weights() map[string]int {
	m := make(map[string]int, len(t.routes))
	for _, r := range t.routes {
		m[r.slot.Name] = r.slot.Weight
	}
	return m
}

func (t *table) counters() []*count.Slot {
	out := make([]*count.Slot, len(t.routes))
	for i, r := range t.routes {
		out[i] = r.counts
	}
	return out
}

func (t *table) inFlight() int64 {
	var n int64
	for _, r := range t.routes {
		n += r.backend.inFlight.Load()
	}
	return n
}

// String returns "blue=100 green=0".
func (t *table) String() string {
	var b strings.Builder
	for i, r := range t.routes {
		if i > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, "%s=%d", r.slot.Name, r.slot.Weight)
	}
	return b.String()
}

// backend is one address of a slot. It outlives tables, and the slot's move to another address.
type backend struct {
	slot, address string
	scheme, host  string // of the URL to connect to
	h2c           bool

	inFlight atomic.Int64
	open     [shards]shard
}

const shards = 8

// shard holds the requests in flight, so that a drain that lasts too long can end them. Several shards keep
// concurrent requests from waiting for one lock.
type shard struct {
	mu   sync.Mutex
	ends map[*exchange]context.CancelCauseFunc
	_    [40]byte // keeps two locks out of one cache line
}

// newBackend reads an address of a slot.
func newBackend(slot, address string) (*backend, error) {
	b := &backend{slot: slot, address: address}
	raw := address
	if !strings.Contains(raw, "://") {
		raw = "http://" + raw
	}
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" || (u.Path != "" && u.Path != "/") || u.RawQuery != "" || u.User != nil {
		return nil, badAddress(slot, address)
	}
	b.scheme, b.host = u.Scheme, u.Host
	switch u.Scheme {
	case "http":
	case "https":
		return b, nil // the port may be left out
	case "h2c":
		b.scheme, b.h2c = "http", true
	default:
		return nil, badAddress(slot, address)
	}
	if u.Port() == "" && !strings.Contains(address, "://") {
		return nil, badAddress(slot, address)
	}
	return b, nil
}

func badAddress(slot, address string) error {
	return belay.Errorf(belay.CodeInvalid, "read address %q of slot %s: want host:port", address, slot).
		WithNext("use \"127.0.0.1:9001\", or a URL with http, https or h2c and no path")
}

// enter registers a request. Its context ends when the drain of the backend lasts too long.
func (b *backend) enter(x *exchange, end context.CancelCauseFunc) {
	x.shard = &b.open[rand.Uint32N(shards)] //nolint:gosec // spreads load
	x.shard.mu.Lock()
	if x.shard.ends == nil {
		x.shard.ends = map[*exchange]context.CancelCauseFunc{}
	}
	x.shard.ends[x] = end
	x.shard.mu.Unlock()
}

// leave undoes acquire, and enter if it was called.
func (b *backend) leave(x *exchange) {
	if x.shard != nil {
		x.shard.mu.Lock()
		delete(x.shard.ends, x)
		x.shard.mu.Unlock()
	}
	b.inFlight.Add(-1)
}

// cut ends every request in flight.
func (b *backend) cut(cause error) {
	for i := range b.open {
		s := &b.open[i]
		s.mu.Lock()
		for _, end := range s.ends {
			end(cause)
		}
		s.mu.Unlock()
	}
}

// acquire chooses a route and counts the request as in flight there; nil when no slot has weight.
//
// The table is read again after counting: if it is still the same one, whoever stores the next table sees the
// count. So a request is never on a slot that a switch has left and that a drain has seen empty.
func (p *Proxy) acquire() *route {
	for {
		t := p.table.Load()
		r := t.choose()
		if r == nil {
			return nil
		}
		r.backend.inFlight.Add(1)
		if p.table.Load() == t {
			return r
		}
		r.backend.inFlight.Add(-1)
	}
}

// drainTime returns how long requests may go on, and false for without end.
func (s Slot) drainTime() (time.Duration, bool) {
	switch {
	case s.Drain == 0:
		return DefaultDrain, true
	case s.Drain < 0:
		return s.Drain, false
	}
	return s.Drain, true
}
