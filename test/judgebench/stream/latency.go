package stream

import (
	"math"
	"sort"

	"github.com/belaydev/belay"
)

// Part is one kind of request: its share of all, and how long it takes, log-normal, after a fixed delay. Seconds.
type Part struct{ Weight, Median, Sigma, Delay float64 }

// Mixture is how long requests take.
type Mixture []Part

// Scaled returns the mixture of requests that take so many times as long.
func (m Mixture) Scaled(by float64) Mixture {
	out := make(Mixture, len(m))
	for i, p := range m {
		p.Median, p.Delay = p.Median*by, p.Delay*by
		out[i] = p
	}
	return out
}

// below is the share of requests that take at most v, and the sum of their times.
func (m Mixture) below(v float64) (share, sum float64) {
	for _, p := range m {
		if v <= p.Delay {
			continue
		}
		z := math.Inf(1)
		if !math.IsInf(v, 1) {
			z = math.Log((v-p.Delay)/p.Median) / p.Sigma
		}
		w := p.Weight * normal(z)
		share += w
		sum += w*p.Delay + p.Weight*p.Median*math.Exp(p.Sigma*p.Sigma/2)*normal(z-p.Sigma)
	}
	return share, sum
}

func normal(z float64) float64 { return 0.5 * math.Erfc(-z/math.Sqrt2) }

// Classes returns the share of requests in each bucket; the last one is open.
func (m Mixture) Classes(bounds []float64) []float64 {
	c := m.classes(bounds)
	out := make([]float64, len(c))
	for i := range c {
		out[i] = c[i].share
	}
	return out
}

// class is one bucket: the share of requests that fall into it, that of all up to it, and their mean time.
type class struct{ share, upTo, mean float64 }

func (m Mixture) classes(bounds []float64) []class {
	out := make([]class, len(bounds)+1)
	under, sum := 0.0, 0.0
	for i := range out {
		v := math.Inf(1)
		if i < len(bounds) {
			v = bounds[i]
		}
		u, s := m.below(v)
		out[i].upTo = u
		if out[i].share = u - under; out[i].share > 1e-12 {
			out[i].mean = (s - sum) / out[i].share
		}
		under, sum = u, s
	}
	return out
}

// ClassicBounds are Prometheus' default buckets.
func ClassicBounds() []float64 {
	return []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}
}

// FineBounds are buckets that somebody chose with care for a service of 100 ms.
func FineBounds() []float64 {
	return []float64{
		0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.09, 0.1, 0.11, 0.12, 0.13, 0.14, 0.15, 0.175, 0.2, 0.225, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5,
		0.6, 0.7, 0.8, 0.9, 1, 1.25, 1.5, 2, 3, 5, 10,
	}
}

// NativeBounds are those of a native histogram with four buckets for each doubling, from 4 ms to 16 s.
func NativeBounds() []float64 {
	var bounds []float64
	for i := range 49 {
		bounds = append(bounds, math.Pow(2, float64(i)/4-8))
	}
	return bounds
}

// Latency describes a cell on response times.
type Latency struct {
	Bounds     []float64
	Usual, Bad Mixture
}

// Latencies is a source of histograms. Times scale with World.Swing, for all alike, and with World.Spread, for each
// instance; nothing else of a World happens to them.
type Latencies struct {
	*Events
	latency Latency
	known   []scaled // by unit: its classes when they were needed last
}

// scaled are the classes of a mixture whose requests take so many times as long.
type scaled struct {
	bad     bool
	by      float64
	classes []class
}

// NewLatencies begins the run of that number.
func NewLatencies(s Spec, l Latency, run int) *Latencies {
	e := &Latencies{Events: NewEvents(s, run), latency: l, known: make([]scaled, instances)}
	for _, f := range []*fleet{e.now, e.before} {
		if f == nil {
			continue
		}
		for i := range f.samples {
			m := &f.samples[i]
			m.Signal, m.Kind, m.LE, m.Count = ResponseTime, belay.KindHistogram, l.Bounds, make([]float64, len(l.Bounds))
		}
	}
	e.draw = e.times
	return e
}

// times draws how long the requests of the dt seconds up to t took.
func (e *Latencies) times(f *fleet, t, dt float64) {
	for i := range f.samples {
		m := &f.samples[i]
		m.T, m.N, m.Sum = t, 0, 0
		clear(m.Count)
	}
	share, slower := 0.0, 1.0
	if t > 0 {
		share = e.spec.share(t)
	}
	if a := e.spec.World.Swing; a > 0 {
		slower = math.Exp(a * math.Sin(2*math.Pi*t/swingPeriod+e.wave))
	}
	for i := range f.units {
		u := &f.units[i]
		flow, bad := e.spec.Rate*dt*(1-share)*u.weight, false
		if u.arm == belay.ArmCandidate {
			flow, bad = e.spec.Rate*dt*share*u.weight, t > e.spec.Onset
		}
		e.observe(&f.samples[u.slot], e.classes(i, bad, slower*u.times), flow)
	}
}

// classes returns those of a unit. They are dear, and mostly the same as a tick ago or as those of the unit before.
func (e *Latencies) classes(unit int, bad bool, by float64) []class {
	k := &e.known[unit]
	if k.classes != nil && k.bad == bad && k.by == by {
		return k.classes
	}
	if unit > 0 && e.known[unit-1].bad == bad && e.known[unit-1].by == by {
		*k = e.known[unit-1]
		return k.classes
	}
	m := e.latency.Usual
	if bad {
		m = e.latency.Bad
	}
	*k = scaled{bad, by, m.Scaled(by).classes(e.latency.Bounds)}
	return k.classes
}

// observe adds a Poisson number of requests with the mean times of their buckets: bucket by bucket, or where there are
// fewer requests than buckets, one by one.
func (e *Latencies) observe(m *belay.Sample, classes []class, flow float64) {
	if flow < float64(len(classes)) {
		n := e.dice.poisson(flow)
		m.N += n
		for range int(n) {
			u := e.dice.Float64()
			k := sort.Search(len(classes)-1, func(k int) bool { return classes[k].upTo > u })
			m.Sum += classes[k].mean
			for ; k < len(m.Count); k++ {
				m.Count[k]++
			}
		}
		return
	}
	seen := 0.0
	for k, c := range classes {
		n := e.dice.poisson(flow * c.share)
		seen += n
		m.Sum += n * c.mean
		if k < len(m.Count) {
			m.Count[k] += seen
		}
	}
	m.N += seen
}
