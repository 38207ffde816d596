package compare

import (
	"math"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/judge/habit"
	"github.com/belaydev/belay/internal/judge/stats"
)

// Settings say what is compared and how.
type Settings struct {
	Histogram      bool    // slow events at boundaries, not bad ones
	Counts         bool    // events without a denominator: N is exposure, and may be less than X
	Lower          bool    // of Counts: fewer are worse
	Off            bool    // count only
	Margin         float64 // factor up to which instances of one release differ, persistently; 0: learned, or assumed
	SmallestChange float64 // absolute for events, relative for the others
	SmallestShift  float64 // of a histogram: the absolute part, in its unit; a smaller shift is nobody's business
	Harm           float64 // factor that must be excluded for healthy
	Quantile       float64 // that people look at
	Dispersion     float64 // size of the clumps in which bad events come; 0: learned, or assumed
	Warmup         float64 // seconds of the candidate's life in which a histogram is not compared
	Limit          float64 // e-value at which this signal acts alone
	First          float64 // share of the bet on a fault that is there from the beginning
}

// Side is one of the two sides.
type Side int

// The sides.
const (
	Candidate Side = 0
	Baseline  Side = 1
)

// Sample is what one instance of one side showed of a stratum in one tick.
type Sample struct {
	Side     Side
	Instance string
	Stratum  string
	N, X     float64
	LE       []float64
	Count    []float64
	Sum      float64
}

func (m *Sample) counts(x float64) stats.Counts {
	if m.Side == Baseline {
		return stats.Counts{BN: m.N, BX: x}
	}
	return stats.Counts{CN: m.N, CX: x}
}

// Bounds on what a runaway label can cost.
const (
	maxStrata = 64
	otherName = "(other)"
)

// stratum is one route, region or method.
type stratum struct {
	name   string
	now    stats.Counts   // this tick
	slow   []stats.Counts // this tick, per boundary: slower than it
	before history
	past   stats.Histogram // before the deployment
	refs   []reference     // per lane, once needed
	weight float64         // of its own tests; 0 for the unnamed stratum, which all together covers
	events *eventTrack
	times  *timeTrack
}

// tester is the tests of one kind of signal.
type tester interface {
	// step takes one tick into the tests; alone means against the past, for want of a baseline.
	step(t, fresh float64, alone bool)
	// join lets a stratum in that appeared after the beginning, with its share of the bet.
	join(st *stratum, weight float64)
	logE() float64
	logGood() float64
	finding() Finding
}

// Comparison is the state of one signal.
type Comparison struct {
	Settings
	strata []*stratum
	byName map[string]*stratum // look-ups only

	now, total stats.Counts     // of a histogram, N only
	newest     stats.Counts     // of the tick that was closed last
	first      [2]float64       // time of the first event
	served     float64          // time of the newest event of the baseline
	before     history          // events only
	habit      habit.Learner    // of the past and the baseline
	own        habit.Learner    // of the candidate
	dispersion habit.Dispersion // as it was before this tick
	spread     habit.Spread
	past       stats.Histogram
	dist       [2]stats.Histogram // over the whole watch
	run        [2]stats.Histogram // since a fault seems to have begun
	speeds     habit.Speeds
	usual      float64 // a boundary in the middle, by which clumps of slow answers are learned; 0 until chosen

	// PastMoves says that somebody who knows better judges a histogram by its past: times move by themselves from hour
	// to hour, by more than any margin for instances. What the past proves for the candidate still counts.
	PastMoves bool

	tests    tester         // nil until it is clear what can be compared
	later    int            // strata that joined after the beginning
	low      *stats.Mixture // evidence that the candidate's rate is below twice the smallest change; events only
	beside   bool           // a baseline has been compared with
	against  bool           // the past has been compared with
	evidence float64
}

// What is assumed before anything is known, the worse of what services do.
const (
	assumedClump     = 5   // retries of one client
	assumedSlowClump = 2   // slow answers come in clumps less often
	assumedMargin    = 1.5 // factor between two instances
	leastMargin      = 1.2 // however alike the instances have been
	marginSpreads    = 2   // a margin is so many standard deviations
)

// New begins a comparison.
func New(s Settings) *Comparison {
	never := math.Inf(-1)
	c := &Comparison{Settings: s, byName: map[string]*stratum{}, first: [2]float64{never, never}, served: never}
	if !s.Histogram && !s.Counts {
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
		c.later++ // the weights of all that may ever come sum to one
		j := float64(c.later)
		c.tests.join(st, (1-knownShare)/(j*(j+1)))
	}
	return st
}

// Remember takes a sample from before the deployment. Whatever served then is the past.
func (c *Comparison) Remember(t float64, m Sample) {
	if c.Histogram {
		c.stratum(m.Stratum).past.Add(m.LE, m.Count, m.N, m.Sum)
		c.past.Add(m.LE, m.Count, m.N, m.Sum)
		c.learnTimes(t, &m)
		return
	}
	c.stratum(m.Stratum).before.add(t, m.N, m.X)
	c.before.add(t, m.N, m.X)
	if m.Instance != belay.AllInstances {
		c.habit.Add(t, m.Instance, m.N, m.X)
	}
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
	} else if !c.Histogram {
		c.own.Add(t, m.Instance, m.N, m.X)
	}
	if !c.Histogram {
		return
	}
	c.dist[m.Side].Add(m.LE, m.Count, m.N, m.Sum)
	c.run[m.Side].Add(m.LE, m.Count, m.N, m.Sum)
	if tests, ok := c.tests.(*times); ok {
		for i, b := range tests.stretch.Bounds {
			st.slow[i].Add(m.counts(m.N - stats.At(m.LE, m.Count, b)))
		}
	}
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
		c.learnTimes(t, &m)
		return
	}
	st.before.add(t, m.N, m.X)
	c.before.add(t, m.N, m.X)
	c.habit.Add(t, m.Instance, m.N, m.X)
}

// Step closes the tick at t; fresh is the weight of the fresh starts that fall due.
func (c *Comparison) Step(t, fresh float64) {
	c.total.Add(c.now)
	if c.low != nil && c.now.CN > 0 {
		c.lowStep()
	}
	if !c.Off {
		c.step(t, fresh)
	}
	for _, st := range c.strata {
		st.now = stats.Counts{}
		clear(st.slow)
	}
	c.newest, c.now = c.now, stats.Counts{}
}

// learnTimes takes a histogram of the past or the baseline: how instances differ, and whether slow answers come in
// clumps, by a boundary in the middle of what is usual.
func (c *Comparison) learnTimes(t float64, m *Sample) {
	c.speeds.Add(m.Instance, m.LE, m.Count, m.N)
	if c.usual == 0 && c.past.N >= PastMin {
		c.usual, _ = c.past.BoundOf(0.75)
	}
	if c.usual > 0 {
		c.habit.Add(t, m.Instance, m.N, m.N-stats.At(m.LE, m.Count, c.usual))
	}
}

func (c *Comparison) step(t, fresh float64) {
	if c.tests == nil {
		if !c.begin(t) || c.Histogram { // this tick was not counted at the boundaries
			return
		}
	}
	alone := !c.Counts && c.now.BN == 0 && t-math.Max(c.first[Candidate], c.served) >= aloneAfter && c.PastN() >= PastMin
	c.tests.step(t, fresh, alone)
	c.evidence = c.tests.logE()
	if c.Dispersion == 0 {
		c.dispersion = c.habit.Dispersion(c.assumed(), &c.own)
	}
}

// begin makes the tests once it is clear what can be compared.
func (c *Comparison) begin(t float64) bool {
	if c.total.CN == 0 {
		return false
	}
	c.dispersion = c.habit.Dispersion(c.assumed(), &c.own)
	if c.Dispersion > 0 {
		c.dispersion = habit.Dispersion{Size: c.Dispersion, Shown: c.Dispersion}
	}
	c.spread = c.habit.Spread(c.dispersion.Size)
	if c.Histogram {
		c.spread = c.speeds.Spread()
	}
	if !c.Histogram {
		c.tests = newEvents(c)
	} else if bounds := c.commonBounds(t); len(bounds) > 0 {
		c.tests = newTimes(c, bounds)
	}
	if c.tests == nil {
		return false
	}
	for _, st := range c.strata {
		c.tests.join(st, knownShare/float64(len(c.strata)))
	}
	return true
}

func (c *Comparison) assumed() float64 {
	if c.Histogram {
		return assumedSlowClump
	}
	return assumedClump
}

// margin is the factor up to which blameless instances differ: set by hand, learned, or assumed.
func (c *Comparison) margin() float64 {
	if c.Margin > 0 {
		return c.Margin
	}
	return math.Max(leastMargin, math.Exp(marginSpreads*c.spread.Or(math.Log(assumedMargin)/marginSpreads)))
}

// LogE returns the logarithm of the evidence against the candidate: it reaches ln(1/alpha) at any time with a chance
// of at most alpha when nothing is wrong.
func (c *Comparison) LogE() float64 { return c.evidence }

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
func (c *Comparison) Beside() bool { return c.beside }

// Against tells whether the candidate has been compared with the past.
func (c *Comparison) Against() bool { return c.against && !c.PastMoves }

// Partner tells whether there is anything to compare with: a baseline that has served, or enough of a past.
func (c *Comparison) Partner() bool { return c.total.BN > 0 || c.PastN() >= PastMin }

// WarmUntil returns when the comparison of a histogram may begin, +Inf without a candidate.
func (c *Comparison) WarmUntil() float64 {
	if math.IsInf(c.first[Candidate], -1) {
		return math.Inf(1)
	}
	return c.first[Candidate] + c.Warmup
}

// lowStep takes the tick into the evidence of a low rate: clumps of bad events count once.
func (c *Comparison) lowStep() {
	clump := math.Max(1, c.dispersion.Shown)
	c.low.Step(c.now.CN/clump, c.now.CX/clump)
}

// Habits are the quantities that the tests go by, for people.
type Habits struct {
	Margin     float64 // factor up to which instances differ; of a histogram, of their times
	Spread     habit.Spread
	Dispersion habit.Dispersion
}

// Habits returns what is held to be usual; false before the tests began.
func (c *Comparison) Habits() (Habits, bool) {
	if c.tests == nil {
		return Habits{}, false
	}
	h := Habits{Margin: c.margin(), Spread: c.spread, Dispersion: c.dispersion}
	if c.Histogram {
		h.Margin = c.stretchMargin()
	}
	return h, true
}

// Clump returns the size of the clumps in which bad events are held to come.
func (c *Comparison) Clump() float64 {
	if c.Dispersion > 0 {
		return c.Dispersion
	}
	return math.Max(1, c.dispersion.Size)
}

// Last returns the counts of the tick that was closed last.
func (c *Comparison) Last() stats.Counts { return c.newest }

// Strata returns how many strata were told apart.
func (c *Comparison) Strata() int { return len(c.strata) }

// Export writes what was learned into l.
func (c *Comparison) Export(l *belay.LearnedSignal) {
	l.Bad, l.Clumps = c.habit.Export()
	if c.Histogram {
		l.Speeds, l.Slow = c.speeds.Export(), c.usual
	}
}

// Import adds what was learned earlier, each sum times keep, 0 to 1.
func (c *Comparison) Import(l *belay.LearnedSignal, keep float64) {
	c.habit.Import(l.Bad, l.Clumps, keep)
	if c.Histogram {
		c.speeds.Import(l.Speeds, keep)
		c.usual = l.Slow
	}
}
