package compare

import (
	"math"
	"slices"

	"github.com/belaydev/belay/internal/judge/stats"
)

// Settings say what is compared and how.
type Settings struct {
	Histogram      bool    // slow events at boundaries, not bad ones
	Off            bool    // count only
	Margin         float64 // odds ratio up to which releases may differ persistently
	SmallestChange float64 // absolute for events, relative for a histogram
	SmallestShift  float64 // of a histogram: the absolute part, in its unit; a smaller shift is nobody's business
	Harm           float64 // odds ratio that must be excluded for healthy
	Quantile       float64 // that people look at
	Dispersion     float64 // size of the clumps in which bad events come
	Learn          bool    // take Dispersion from the past where that is long enough; events only
	Warmup         float64 // seconds of the candidate's life in which a histogram is not compared
}

// Side is one of the two sides.
type Side int

// The sides.
const (
	Candidate Side = 0
	Baseline  Side = 1
)

// Sample is what one side showed of a stratum in one tick.
type Sample struct {
	Side    Side
	Stratum string
	N, X    float64
	LE      []float64
	Count   []float64
	Sum     float64
}

func (m *Sample) counts(x float64) stats.Counts {
	if m.Side == Baseline {
		return stats.Counts{BN: m.N, BX: x}
	}
	return stats.Counts{CN: m.N, CX: x}
}

// Bounds on what a runaway label can cost.
const (
	maxStrata  = 64
	otherName  = "(other)"
	recentTime = 30.0 // seconds of one generation of the recent distributions
)

// stratum is one route, region or method.
type stratum struct {
	name   string
	now    stats.Counts   // this tick
	slow   []stats.Counts // this tick, per boundary: slower than it
	before history
	past   stats.Histogram // before the deployment
	refs   []reference     // per lane, once needed
	weight float64         // of its own tests
	tracks []*track        // per lane; nil for the unnamed stratum, which all together covers
}

// Comparison is the state of one signal.
type Comparison struct {
	Settings
	strata []*stratum
	byName map[string]*stratum // look-ups only

	now, total stats.Counts // of a histogram, N only
	first      [2]float64   // time of the first event
	served     float64      // time of the newest event of the baseline
	before     history      // events only
	spread     spread       // events only
	past       stats.Histogram
	dist       [2]stats.Histogram // over the whole watch
	recent     [2]stats.Histogram // of the candidate: the current and the previous half minute
	turn       float64            // when the current half minute began

	tests *tests         // nil until it is clear what can be compared
	low   *stats.Mixture // evidence that the candidate's rate is below twice the smallest change; events only
	logE  float64
}

// New begins a comparison.
func New(s Settings) *Comparison {
	never := math.Inf(-1)
	c := &Comparison{Settings: s, byName: map[string]*stratum{}, first: [2]float64{never, never}, served: never}
	if !s.Histogram {
		c.low = stats.NewMixture(math.Min(0.9, 2*s.SmallestChange))
	}
	return c
}

// stratum returns the one of that name, made when new.
func (c *Comparison) stratum(name string) *stratum {
	if st := c.byName[name]; st != nil {
		return st
	}
	if len(c.strata) >= maxStrata && name != otherName {
		return c.stratum(otherName)
	}
	st := &stratum{name: name}
	c.strata = append(c.strata, st)
	c.byName[name] = st
	if c.tests != nil {
		c.tests.join(st)
	}
	return st
}

// Remember takes a sample from before the deployment. Whatever served then is the past.
func (c *Comparison) Remember(t float64, m Sample) {
	if c.Histogram {
		c.stratum(m.Stratum).past.Add(m.LE, m.Count, m.N, m.Sum)
		c.past.Add(m.LE, m.Count, m.N, m.Sum)
		return
	}
	c.stratum(m.Stratum).before.add(t, m.N, m.X)
	c.before.add(t, m.N, m.X)
	c.spread.add(t, m.N, m.X)
}

// Take counts a sample of the tick at t.
func (c *Comparison) Take(t float64, m Sample) {
	st := c.stratum(m.Stratum)
	if m.N == 0 {
		return
	}
	if math.IsInf(c.first[m.Side], -1) {
		c.first[m.Side] = t
	}
	if m.Side == Baseline {
		c.served = t
	}
	st.now.Add(m.counts(m.X))
	c.now.Add(m.counts(m.X))
	if m.Side == Baseline {
		c.outlive(t, st, m)
	}
	if !c.Histogram {
		return
	}
	c.dist[m.Side].Add(m.LE, m.Count, m.N, m.Sum)
	if m.Side == Candidate {
		c.recent[0].Add(m.LE, m.Count, m.N, m.Sum)
	}
	if c.tests != nil {
		for i, b := range c.tests.bounds {
			st.slow[i].Add(m.counts(c.slow(&m, b)))
		}
	}
}

// slow counts the observations of a sample that are slower than the boundary b. At small boundaries those of the
// baseline count that would be slower, had it been slower by the smallest shift: a difference of a millisecond or two
// matters to nobody, however many requests show it. At large ones the margin is more than the shift.
func (c *Comparison) slow(m *Sample, b float64) float64 {
	if m.Side == Candidate {
		return m.N - stats.At(m.LE, m.Count, b)
	}
	return c.slowish(m.LE, m.Count, m.N, b)
}

// slowish counts observations beyond the boundary b less the smallest shift, rounded up: interpolating between
// boundaries never makes equal releases unequal, since there are at least as many as beyond b itself.
func (c *Comparison) slowish(le, count []float64, n, b float64) float64 {
	exact := n - stats.At(le, count, b)
	if b > 10*c.SmallestShift {
		return exact
	}
	if b <= c.SmallestShift {
		return n
	}
	above, ok := stats.Above(le, count, n, b-c.SmallestShift)
	if !ok {
		return exact
	}
	return math.Min(n, math.Ceil(above-1e-9))
}

// outlive keeps what the baseline showed beside the candidate: once it gets no more traffic, that is the newest past
// there is to compare with.
func (c *Comparison) outlive(t float64, st *stratum, m Sample) {
	if c.Histogram {
		st.past.Add(m.LE, m.Count, m.N, m.Sum)
		c.past.Add(m.LE, m.Count, m.N, m.Sum)
		return
	}
	st.before.add(t, m.N, m.X)
	c.before.add(t, m.N, m.X)
}

// Step closes the tick at t; fresh is the weight of the fresh starts that fall due.
func (c *Comparison) Step(t, fresh float64) {
	c.total.Add(c.now)
	if c.low != nil && c.now.CN > 0 {
		c.low.Step(c.now.CN, c.now.CX)
	}
	if !c.Off {
		c.step(t, fresh)
	}
	for _, st := range c.strata {
		st.now = stats.Counts{}
		clear(st.slow)
	}
	c.now = stats.Counts{}
	if c.Histogram && t-c.turn >= recentTime {
		c.turn = t
		old := c.recent[0]
		c.recent[0] = stats.Histogram{LE: slices.Clone(old.LE), Count: make([]float64, len(old.Count))}
		c.recent[1] = old
	}
}

func (c *Comparison) step(t, fresh float64) {
	if c.tests == nil {
		if c.tests = c.begin(t); c.tests == nil || c.Histogram { // this tick was not counted at the boundaries
			return
		}
	}
	alone := c.now.BN == 0 && t-math.Max(c.first[Candidate], c.served) >= aloneAfter && c.PastN() >= PastMin
	c.tests.step(t, fresh, alone)
	c.logE = c.tests.logE()
}

// LogE returns the logarithm of the evidence against the candidate: it reaches ln(1/alpha) at any time with a chance
// of at most alpha when nothing is wrong.
func (c *Comparison) LogE() float64 { return c.logE }

// Now returns the counts of the tick that is being taken, Total those of the watch.
func (c *Comparison) Now() stats.Counts { return c.now }

// Total returns the counts of the watch. Of a histogram there are no bad events.
func (c *Comparison) Total() stats.Counts { return c.total }

// PastN returns how many events are known from before the deployment.
func (c *Comparison) PastN() float64 {
	if c.Histogram {
		return c.past.N
	}
	return c.before.n
}

// PastBad returns how many bad events are known from before the deployment.
func (c *Comparison) PastBad() float64 { return c.before.x }

// Distribution returns the values of one side over the watch, Past those before it.
func (c *Comparison) Distribution(side Side) *stats.Histogram { return &c.dist[side] }

// Past returns the distribution of the values before the deployment.
func (c *Comparison) Past() *stats.Histogram { return &c.past }

// Beside tells whether the candidate has been compared with a baseline that served at the same time.
func (c *Comparison) Beside() bool { return c.tests != nil && c.tests.beside }

// Against tells whether the candidate has been compared with the past.
func (c *Comparison) Against() bool { return c.tests != nil && c.tests.against }

// Partner tells whether there is anything to compare with: a baseline that has served, or enough of a past.
func (c *Comparison) Partner() bool { return c.total.BN > 0 || c.PastN() >= PastMin }

// WarmUntil returns when the comparison of a histogram may begin, +Inf without a candidate.
func (c *Comparison) WarmUntil() float64 {
	if math.IsInf(c.first[Candidate], -1) {
		return math.Inf(1)
	}
	return c.first[Candidate] + c.Warmup
}
