// Package profile sums up what the releases of a service showed: how far the good ones went, how far the bad ones, and
// by how much a good release differed from the one before. It is pure; what follows from it is not its business.
package profile

import (
	"context"
	"math"
	"slices"
	"strings"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/learn/backtest"
)

// Ask says of a signal over how many seconds its level is taken, and which quantile of a histogram that is.
type Ask func(signal string) (window, quantile float64)

// Signal is what was seen of one signal. Levels are in its own unit, over windows.
type Signal struct {
	Name    string           `json:"name"`
	Kind    belay.SampleKind `json:"kind"`
	Good    int              `json:"good"`    // good releases that showed it
	Windows int              `json:"windows"` // of good releases, and of the ones before them
	High    float64          `json:"high"`    // the highest level of these
	Low     float64          `json:"low"`     // the lowest
	HighIn  string           `json:"high_in"` // the deployment in which it was the highest
	LowIn   string           `json:"low_in"`
	Bad     []Peak           `json:"bad,omitempty"`    // of each bad release
	Spread  *Spread          `json:"spread,omitempty"` // of events
}

// Peak is how far a bad release went, either way.
type Peak struct {
	Case      string  `json:"case"`
	High, Low float64 `json:"-"`
}

// Spread is the largest difference between a good release and the one beside it.
type Spread struct {
	Case  string  `json:"case"`
	Ratio float64 `json:"ratio"` // of the shares of bad events
	Sure  float64 `json:"sure"`  // its lower 95 % bound, were events independent; less when there are more releases to be the largest of
	Of    int     `json:"of"`    // good releases that could be compared
}

// minEvents is how many events a window holds at least, however long it takes; minBad how many bad ones each side must
// have for a ratio.
const (
	minEvents = 100
	minBad    = 5
)

// Good tells whether a release counts as good: it is labelled so, or it was kept and nobody said otherwise.
func Good(c *backtest.Case) bool {
	return c.Truth == backtest.TruthGood || c.Truth == backtest.TruthUnknown && c.Actual.Fate == backtest.FateKept
}

// Of reads the cases that are good or bad. One that cannot be read is passed over: a backtest says so.
func Of(ctx context.Context, cases []backtest.Case, ask Ask) ([]Signal, error) {
	all := map[string]*found{}
	for i := range cases {
		c := &cases[i]
		if !Good(c) && c.Truth != backtest.TruthBad {
			continue
		}
		r := reading{ask: ask, signals: map[string]*levels{}}
		broken := false
		for tick, err := range c.Ticks {
			if broken = err != nil; broken {
				break
			}
			for k := range tick.Samples {
				r.take(&tick.Samples[k])
			}
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if !broken {
			r.into(all, c)
		}
	}
	var out []Signal
	for _, s := range all {
		out = append(out, s.settle())
	}
	slices.SortFunc(out, func(a, b Signal) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// reading sums up one case.
type reading struct {
	ask     Ask
	signals map[string]*levels
}

// levels are what one signal showed.
type levels struct {
	kind             belay.SampleKind
	window, quantile float64
	open             map[side]*sum
	closed           map[belay.Arm][]float64
	arms             map[belay.Arm]*sum // all of the deployment
}

// side is whose level it is. Values are taken by instance, counts together; what was before the deployment stays apart.
type side struct {
	arm      belay.Arm
	instance string
	before   bool
}

type sum struct {
	begin float64
	n, x  float64
	le    []float64
	count []float64
	mixed bool // bounds that are not alike
}

func (r *reading) take(m *belay.Sample) {
	l := r.signals[m.Signal]
	if l == nil {
		l = &levels{kind: m.Kind, open: map[side]*sum{}, closed: map[belay.Arm][]float64{}, arms: map[belay.Arm]*sum{}}
		l.window, l.quantile = r.ask(m.Signal)
		r.signals[m.Signal] = l
	}
	if m.Kind != l.kind {
		return
	}
	k := side{arm: m.Arm, before: m.T < 0}
	if k.arm == "" {
		k.arm = belay.ArmCandidate
	}
	if m.Kind == belay.KindGauge {
		k.instance = m.Instance
	}
	if w := l.open[k]; w != nil && m.T-w.begin >= l.window && (m.Kind == belay.KindGauge || w.n >= minEvents) {
		l.end(k)
	}
	if l.open[k] == nil {
		l.open[k] = &sum{begin: m.T}
	}
	l.open[k].add(m)
	if m.T >= 0 {
		if l.arms[k.arm] == nil {
			l.arms[k.arm] = &sum{}
		}
		l.arms[k.arm].add(m)
	}
}

// end closes a window; of one that is not full yet nothing is known.
func (l *levels) end(k side) {
	if v, ok := l.open[k].level(l.kind, l.quantile); ok && (k.arm != belay.ArmCandidate || !k.before) {
		l.closed[k.arm] = append(l.closed[k.arm], v)
	}
	delete(l.open, k)
}

func (s *sum) add(m *belay.Sample) {
	if m.Kind == belay.KindGauge {
		s.n, s.x = s.n+1, s.x+m.Value
		return
	}
	s.n, s.x = s.n+m.N, s.x+m.X
	switch {
	case len(m.Count) == 0:
	case s.count == nil:
		s.le, s.count = m.LE, slices.Clone(m.Count)
	case !slices.Equal(s.le, m.LE):
		s.mixed = true
	default:
		for i, v := range m.Count {
			s.count[i] += v
		}
	}
}

// level is the share of bad events, a quantile, or a mean; false when there is too little.
func (s *sum) level(kind belay.SampleKind, q float64) (float64, bool) {
	switch kind {
	case belay.KindEvents:
		return s.x / s.n, s.n >= minEvents
	case belay.KindHistogram:
		return s.at(q)
	case belay.KindGauge:
		return s.x / s.n, s.n > 0
	case belay.KindCount:
	}
	return 0, false
}

// at is a quantile, from straight lines between bounds; false when it lies above them all.
func (s *sum) at(q float64) (float64, bool) {
	if s.mixed || s.n < minEvents || len(s.count) == 0 {
		return 0, false
	}
	want, below, from := q*s.n, 0.0, 0.0
	for i, c := range s.count {
		if c >= want {
			if math.IsInf(s.le[i], 0) || c <= below {
				return from, !math.IsInf(s.le[i], 0)
			}
			return from + (s.le[i]-from)*(want-below)/(c-below), true
		}
		below, from = c, s.le[i]
	}
	return 0, false
}

func (r *reading) into(all map[string]*found, c *backtest.Case) {
	for name, l := range r.signals {
		for k := range l.open {
			l.end(k)
		}
		s := all[name]
		if s == nil {
			s = newFound(name, l.kind)
			all[name] = s
		}
		if !Good(c) {
			if own := l.closed[belay.ArmCandidate]; len(own) > 0 {
				s.Bad = append(s.Bad, Peak{Case: c.ID, High: slices.Max(own), Low: slices.Min(own)})
			}
			continue
		}
		if len(l.closed) > 0 {
			s.Good++
		}
		for _, levels := range l.closed {
			s.Windows += len(levels)
			if v := slices.Max(levels); v > s.High {
				s.High, s.HighIn = v, c.ID
			}
			if v := slices.Min(levels); v < s.Low {
				s.Low, s.LowIn = v, c.ID
			}
		}
		s.compare(l, c.ID)
	}
}

// found is a signal while it is summed up.
type found struct {
	Signal
	ratios []ratio
}

// ratio is how a good release differed from the one beside it, and the standard error of its logarithm.
type ratio struct {
	id            string
	value, spread float64
}

func newFound(name string, kind belay.SampleKind) *found {
	return &found{Signal: Signal{Name: name, Kind: kind, High: math.Inf(-1), Low: math.Inf(1)}}
}

func (s *found) compare(l *levels, id string) {
	a, b := l.arms[belay.ArmCandidate], l.arms[belay.ArmBaseline]
	if l.kind != belay.KindEvents || a == nil || b == nil || a.x < minBad || b.x < minBad {
		return
	}
	s.ratios = append(s.ratios, ratio{id, (a.x / a.n) / (b.x / b.n), math.Sqrt(1/a.x + 1/b.x)})
}

// settle keeps the largest difference that is sure, among so many.
func (s *found) settle() Signal {
	z := math.Sqrt2 * math.Erfinv(1-0.1/float64(max(1, len(s.ratios))))
	for _, r := range s.ratios {
		if sure := r.value * math.Exp(-z*r.spread); s.Spread == nil || sure > s.Spread.Sure {
			s.Spread = &Spread{Case: r.id, Ratio: r.value, Sure: sure, Of: len(s.ratios)}
		}
	}
	return s.Signal
}
