// Package count counts what a proxy has answered, per slot, release and stratum, without locks on the way of a
// request. It knows nothing of HTTP handling; package proxy says what happened and reads snapshots.
package count

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/belaydev/belay/internal/proxy/proxyclient"
)

// maxFormer bounds the pairs of slot and release that are kept although no request goes there any more: each is up
// to 51 strata, and all are in every snapshot.
const maxFormer = 8

// abandonedAfter is how long a client must have waited before its going away says something about the release. A
// release that hangs shows in nothing but clients that give up; a person who clicks elsewhere does so sooner.
const abandonedAfter = time.Second

// Outcome is how a request ended.
type Outcome int

// The outcomes.
const (
	Answered  Outcome = iota // with the status
	Cancelled                // the client went away, or the proxy itself ended the request
	Refused                  // no connection to the release
	Broken                   // the release broke off
	Timeout                  // the release did not begin to answer
	outcomes
)

// Result is what is counted of one request.
type Result struct {
	Outcome Outcome
	Status  int           // when answered
	First   time.Duration // to the first byte of the response; 0 when there was none
	Full    time.Duration // to the end of the response
	Stream  bool          // endless by nature: its full duration says nothing
}

// Set holds the counters of one proxy.
type Set struct {
	strata strata

	mu    sync.Mutex
	slots []*Slot // oldest first
}

// Slot returns the counters of a slot while a release stands behind it. The same names give the same counters.
func (s *Set) Slot(slot, release string) *Slot {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.slots {
		if c.slot == slot && c.release == release {
			return c
		}
	}
	c := &Slot{slot: slot, release: release, strata: &s.strata}
	s.slots = append(s.slots, c)
	return c
}

// Keep says which counters are in use. The oldest ones among the others are forgotten beyond a bound.
func (s *Set) Keep(used []*Slot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	former := slices.DeleteFunc(slices.Clone(s.slots), func(c *Slot) bool { return slices.Contains(used, c) })
	former = former[max(0, len(former)-maxFormer):]
	s.slots = append(former, used...)
}

// Changes returns a number that is another one whenever something was counted.
func (s *Set) Changes() uint64 {
	var n uint64
	for _, c := range s.all() {
		n += c.changes.Load()
	}
	return n
}

// Counters reads all counters.
func (s *Set) Counters() []proxyclient.Counter {
	names := s.strata.names()
	var out []proxyclient.Counter
	for _, c := range s.all() {
		for i := range c.cells {
			if cell := c.cells[i].Load(); cell != nil {
				k := cell.read()
				k.Slot, k.Release, k.Stratum = c.slot, c.release, names[i]
				out = append(out, k)
			}
		}
	}
	return out
}

func (s *Set) all() []*Slot {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*Slot(nil), s.slots...)
}

// Slot counts for one slot and release.
type Slot struct {
	slot, release string
	strata        *strata
	changes       atomic.Uint64
	cells         [maxStrata + 1]atomic.Pointer[cell]
}

// Add counts one request.
func (c *Slot) Add(method, path string, r Result) {
	i := c.strata.index(method, path, r)
	k := c.cells[i].Load()
	if k == nil {
		k = new(cell)
		if !c.cells[i].CompareAndSwap(nil, k) {
			k = c.cells[i].Load()
		}
	}
	k.add(r)
	c.changes.Add(1)
}

// cell is one stratum.
type cell struct {
	classes     [5]atomic.Uint64
	why         [outcomes]atomic.Uint64
	first, full histogram
}

func (k *cell) add(r Result) {
	k.why[r.Outcome].Add(1)
	switch r.Outcome {
	case Answered:
		k.classes[class(r.Status)].Add(1)
	case Refused, Broken, Timeout:
		k.classes[4].Add(1)
	case Cancelled:
		if r.Full < abandonedAfter {
			return
		}
	case outcomes:
	}
	if r.First == 0 {
		r.First = r.Full // it took at least this long
	}
	k.first.observe(r.First)
	if !r.Stream {
		k.full.observe(r.Full)
	}
}

func (k *cell) read() proxyclient.Counter {
	c := proxyclient.Counter{
		Cancelled: k.why[Cancelled].Load(), Refused: k.why[Refused].Load(),
		Broken: k.why[Broken].Load(), Timeout: k.why[Timeout].Load(),
		First: k.first.read(), Full: k.full.read(),
	}
	for i := range c.Classes {
		c.Classes[i] = k.classes[i].Load()
	}
	return c
}

// class maps a status to its index. Statuses that no class has count as broken answers: 5xx.
func class(status int) int {
	if i := status/100 - 1; i >= 0 && i < 5 {
		return i
	}
	return 4
}

const buckets = 17

// Bounds returns the upper bounds of the histograms in seconds, without +Inf. They are fixed so that counts of
// different proxies and releases can be compared and added.
func Bounds() []float64 {
	b := bounds()
	out := make([]float64, len(b))
	for i, d := range b {
		out[i] = d.Seconds()
	}
	return out
}

func bounds() [buckets - 1]time.Duration {
	return [...]time.Duration{
		2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond,
		50 * time.Millisecond, 75 * time.Millisecond, 100 * time.Millisecond, 150 * time.Millisecond,
		250 * time.Millisecond, 400 * time.Millisecond, 600 * time.Millisecond, time.Second,
		1600 * time.Millisecond, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second,
	}
}

type histogram struct {
	counts [buckets]atomic.Uint64
	nanos  atomic.Int64
}

func (h *histogram) observe(d time.Duration) {
	i := 0
	for _, le := range bounds() {
		if d <= le {
			break
		}
		i++
	}
	h.counts[i].Add(1)
	h.nanos.Add(int64(d))
}

func (h *histogram) read() proxyclient.Histogram {
	out := proxyclient.Histogram{Counts: make([]uint64, buckets), Sum: time.Duration(h.nanos.Load()).Seconds()}
	for i := range h.counts {
		out.Counts[i] = h.counts[i].Load()
	}
	return out
}
