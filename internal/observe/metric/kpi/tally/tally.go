// Package tally adds up what happened in one tick, by signal, release, instance and kind of request. After a
// long silence, and for the history before a deployment, it adds up in steps. It neither reads metrics nor knows
// what they mean.
package tally

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/observe/metric"
)

// Steps that a long time is cut into.
const (
	liveStep    = 5 * time.Second
	historyStep = 15 * time.Second // before the deployment
)

// Key says what a sum is of.
type Key struct {
	Signal   string
	Arm      belay.Arm
	Instance string
	Stratum  string
}

// Span is the time between two scrapes, in milliseconds since 1970.
type Span struct{ Since, At int64 }

// Sum is what happened to one key in one step.
type Sum struct {
	Key
	At       int64 // of the newest scrape in it
	N        float64
	ByStatus map[string]float64
	Hist     *metric.Histogram
	Value    float64 // of a gauge

	step  int64
	spans map[int64]int64 // that N is over: end to start
}

type cell struct {
	Key
	step int64
}

// Tally gathers sums.
type Tally struct {
	start int64
	steps bool
	sums  map[cell]*Sum
}

// New makes a tally for a deployment that began at start. Without steps, all is one.
func New(start time.Time, steps bool) *Tally {
	return &Tally{start: start.UnixMilli(), steps: steps, sums: map[cell]*Sum{}}
}

func (t *Tally) sum(k Key, at int64) *Sum {
	c := cell{Key: k}
	if t.steps {
		width := liveStep.Milliseconds()
		if at < t.start {
			width = historyStep.Milliseconds()
		}
		c.step = int64(math.Floor(float64(at-t.start)/float64(width))) * width
	}
	s := t.sums[c]
	if s == nil {
		s = &Sum{Key: k, step: c.step}
		t.sums[c] = s
	}
	return s
}

// Events adds n events of a status.
func (t *Tally) Events(k Key, at int64, status string, n float64) {
	s := t.sum(k, at)
	s.At = max(s.At, at)
	s.N += n
	s.status(status, n)
}

func (s *Sum) status(status string, n float64) {
	if s.ByStatus == nil {
		s.ByStatus = map[string]float64{}
	}
	s.ByStatus[status] += n
}

// Histogram adds observations.
func (t *Tally) Histogram(k Key, at int64, h *metric.Histogram) {
	s := t.sum(k, at)
	s.At = max(s.At, at)
	s.observe(h)
}

func (s *Sum) observe(h *metric.Histogram) {
	if s.Hist == nil {
		s.Hist = h
	} else if h != nil {
		s.Hist = s.Hist.Plus(h)
	}
}

// Gauge sets a value. Several of one scrape, such as those of worker processes, add up; a newer one replaces.
func (t *Tally) Gauge(k Key, at int64, v float64) {
	s := t.sum(k, at)
	switch {
	case at > s.At:
		s.At, s.Value = at, v
	case at == s.At:
		s.Value += v
	}
}

// Rate adds n over a span. Several of one span add up.
func (t *Tally) Rate(k Key, span Span, n float64) {
	s := t.sum(k, span.At)
	s.At = max(s.At, span.At)
	s.N += n
	if s.spans == nil {
		s.spans = map[int64]int64{}
	}
	if since, ok := s.spans[span.At]; !ok || span.Since < since {
		s.spans[span.At] = span.Since
	}
}

// PerSecond divides N by the time that its spans cover. It returns false when they cover none.
func (s *Sum) PerSecond() (float64, bool) {
	var ms int64
	for at, since := range s.spans {
		ms += at - since
	}
	if ms <= 0 {
		return 0, false
	}
	return s.N / (float64(ms) / 1000), true
}

// Sums returns all sums in an order that depends on what they are alone. The function name may give strata
// another name, as to lump rare ones together; it is asked for the busiest first.
func (t *Tally) Sums(name func(stratum string) string) []*Sum {
	all := make([]*Sum, 0, len(t.sums))
	for _, s := range t.sums {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *Sum) int {
		return cmp.Or(cmp.Compare(a.step, b.step), cmp.Compare(b.N, a.N), cmp.Compare(a.Stratum, b.Stratum),
			cmp.Compare(a.Instance, b.Instance), cmp.Compare(a.Arm, b.Arm), cmp.Compare(a.Signal, b.Signal))
	})
	merged := map[cell]*Sum{}
	out := all[:0]
	for _, s := range all {
		s.Stratum = name(s.Stratum)
		c := cell{s.Key, s.step}
		if into := merged[c]; into != nil {
			into.merge(s)
			continue
		}
		merged[c] = s
		out = append(out, s)
	}
	return out
}

func (s *Sum) merge(o *Sum) {
	s.At, s.N = max(s.At, o.At), s.N+o.N
	s.observe(o.Hist)
	for status, n := range o.ByStatus {
		s.status(status, n)
	}
}
