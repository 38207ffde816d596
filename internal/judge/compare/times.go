package compare

import (
	"math"
	"slices"

	"github.com/belaydev/belay/internal/judge/proof"
	"github.com/belaydev/belay/internal/judge/stats"
)

// What a comparison of response times looks at.
const (
	maxBounds      = 12    // boundaries of a histogram that are compared
	boundsMin      = 20    // observations on either side before the boundaries are chosen
	maxLanes       = 6     // boundaries at which more answers may turn slow, whatever the others do
	laneWeight     = 0.4   // of the bet on these; the rest is on all values stretched
	mainWeight     = 0.8   // of the bet: on what can be compared with from the beginning, baseline or past
	assumedStretch = 1.08  // factor between the times of two instances
	leastStretch   = 1.005 // however alike the instances have been
	tailPerStretch = 5     // the odds of the tail change by more than the times

	redraw = 2.0 // growth of the baseline after which its distribution is drawn anew
)

// stretches are the factors by which all values are thought to grow: the blameless one first, and the one that must be
// excluded for healthy last.
func stretches(margin float64) []float64 {
	all := []float64{margin}
	for _, v := range []float64{1.08, 1.15, 1.3, 1.6, 2.2, 4} {
		all = append(all, margin*v)
	}
	return append(all, harmfulStretch)
}

// stretchPrior are the weights of these, the small ones more likely.
func stretchPrior() []float64 { return []float64{0.25, 0.25, 0.2, 0.1, 0.1, 0.1} }

// What does harm: values that are so many times as large, and by so many times the smallest shift.
const (
	harmfulStretch = 1.4
	harmfulShifts  = 2
)

// laneGrid are the factors by which the odds of a slow answer are thought to rise.
func laneGrid() []float64 { return []float64{1.6, 3, 8, 30} }

// times are the tests of response times at a fixed set of boundaries.
type times struct {
	c          *Comparison
	factors    []float64
	stretch    *stats.Stretch
	drawn      float64 // observations of the baseline from which it was drawn
	lanes      []int   // boundaries of the tail
	laneMargin float64
	laneAlts   []float64
	prior      []float64
	pooled     *timeTrack
	share      float64

	llHarm                    float64 // evidence that nothing is stretched by the harmful factor
	provenAlone               []*stats.Process
	stretched, scratch, tails []float64
	inc, sum                  []float64 // per alternative: of a stratum, of all
	past, pastSum             []float64 // per boundary and ratio
	passSum                   []float64
}

// timeTrack is one test: of all strata together or of one of them.
type timeTrack struct {
	beside, against *stats.Process
	trace
	slow []stats.Counts // over the watch, per boundary
	run  []stats.Counts // since the fault seems to have begun
}

func newTimes(c *Comparison, bounds []float64) *times {
	s := &times{c: c, factors: stretches(c.stretchMargin()), share: pooledShare, laneMargin: c.tailMargin()}
	for _, g := range laneGrid() {
		s.laneAlts = append(s.laneAlts, g*s.laneMargin)
	}
	s.draw(bounds)
	s.chooseLanes()
	tails := len(s.lanes) * len(laneGrid())
	lanes := laneWeight
	if tails == 0 {
		lanes = 0
	}
	for _, w := range stretchPrior() {
		s.prior = append(s.prior, w*(1-lanes))
	}
	for range tails {
		s.prior = append(s.prior, lanes/float64(tails))
	}
	past := len(bounds) * len(pastGrid())
	s.stretched, s.scratch, s.tails = make([]float64, len(s.factors)), make([]float64, len(s.factors)), make([]float64, len(laneGrid()))
	s.inc, s.sum = make([]float64, len(s.prior)), make([]float64, len(s.prior))
	s.past, s.pastSum, s.passSum = make([]float64, past), make([]float64, past), make([]float64, len(proof.Passing()))
	for range bounds {
		s.provenAlone = append(s.provenAlone, stats.NewProcess(len(proof.Passing()), 1))
	}
	if len(c.strata) == 1 && c.strata[0].name == "" {
		s.share = unnamedPooled
	}
	s.pooled = s.newTrack()
	for _, st := range c.strata {
		st.slow = make([]stats.Counts, len(bounds))
	}
	return s
}

// pastGrid are the odds ratios against the past.
func pastGrid() []float64 { return []float64{1.2, 1.5, 2, 4, 8, 16, 64} }

func (s *times) newTrack() *timeTrack {
	n := len(s.stretch.Bounds)
	return &timeTrack{
		beside: stats.NewWeighted(s.prior, s.c.First), against: stats.NewProcess(n*len(pastGrid()), s.c.First),
		trace: trace{since: math.NaN()}, slow: make([]stats.Counts, n), run: make([]stats.Counts, n),
	}
}

func (s *times) join(st *stratum, weight float64) {
	st.slow = make([]stats.Counts, len(s.stretch.Bounds))
	if st.name != "" {
		st.weight, st.times = weight, s.newTrack()
	}
}

// stretchMargin is the factor by which the response times of blameless instances may differ: learned, or assumed. A
// margin that is set by hand is one of rates, and holds for the tail alone.
func (c *Comparison) stretchMargin() float64 {
	return math.Max(leastStretch, math.Exp(marginSpreads*c.spread.Or(math.Log(assumedStretch)/marginSpreads)))
}

// tailMargin is the factor by which the odds of a slow answer may differ between blameless instances.
func (c *Comparison) tailMargin() float64 {
	if c.Margin > 0 {
		return c.Margin
	}
	return math.Max(leastMargin, math.Exp(marginSpreads*tailPerStretch*c.spread.Or(math.Log(assumedStretch)/marginSpreads)))
}

// base is the distribution that the candidate is compared with: of the baseline beside it, else of the past.
func (c *Comparison) base() *stats.Histogram {
	if c.dist[Baseline].N < boundsMin && c.past.N >= PastMin || c.past.N > c.dist[Baseline].N {
		return &c.past
	}
	return &c.dist[Baseline]
}

func (s *times) draw(bounds []float64) {
	base := s.c.base()
	s.stretch = stats.NewStretch(base, bounds, s.factors, harmfulShifts*s.c.SmallestShift)
	s.drawn = base.N
}

// chooseLanes takes boundaries from all over the distribution.
func (s *times) chooseLanes() {
	base := s.c.base()
	for i, b := range s.stretch.Bounds {
		if (base.N-stats.At(base.LE, base.Count, b))/base.N <= 0.9 && b > 10*s.c.SmallestShift {
			s.lanes = append(s.lanes, i)
		}
	}
	for drop := 1; len(s.lanes) > maxLanes; drop = 1 + drop%(len(s.lanes)-2) { // thin out, keeping both ends
		s.lanes = slices.Delete(s.lanes, drop, drop+1)
	}
}

func (s *times) step(t, fresh float64, alone bool) {
	// What the baseline showed before this tick may say how a fault would look; this tick may not.
	if base := s.c.base(); base.N-s.c.now.BN >= redraw*s.drawn {
		s.draw(s.stretch.Bounds)
	}
	s.pooled.start(fresh)
	clear(s.sum)
	clear(s.pastSum)
	harm := 0.0
	for _, st := range s.c.strata {
		if st.times != nil {
			st.times.start(fresh)
		}
		if st.now.CN == 0 && st.now.BN == 0 {
			continue
		}
		s.pooled.count(st.now, st.slow)
		if st.times != nil {
			st.times.count(st.now, st.slow)
		}
		switch {
		case alone:
			s.alone(st)
		case st.now.CN > 0 && st.now.BN > 0:
			harm += s.beside(t, st)
		}
	}
	phi := s.c.dispersion.Size
	if anything(s.sum) {
		s.pooled.beside.Step(s.sum, phi)
	}
	if anything(s.pastSum) {
		s.pooled.against.Step(s.pastSum, phi)
	}
	s.pooled.follow(t, s.sum[middleEffect]+s.strongestPast())
	s.llHarm += harm / s.c.dispersion.Shown
	s.restart()
}

// beside takes a tick of one stratum in which both sides served, and returns what it says against harm.
func (s *times) beside(t float64, st *stratum) float64 {
	s.c.beside = true
	clear(s.stretched)
	s.stretch.Add(st.now, st.slow, s.stretched, s.scratch)
	n := len(s.factors) - 2
	for k := range n {
		s.inc[k] = s.stretched[k+1] - s.stretched[0]
	}
	for j, lane := range s.lanes {
		c := st.now
		c.CX, c.BX = st.slow[lane].CX, st.slow[lane].BX
		stats.Compare(c, s.laneAlts, s.laneMargin, s.tails)
		copy(s.inc[n+j*len(s.tails):], s.tails)
	}
	for k, v := range s.inc {
		s.sum[k] += v
	}
	if st.times != nil && anything(s.inc) {
		st.times.beside.Step(s.inc, s.c.dispersion.Size)
		st.times.follow(t, s.inc[middleEffect])
	}
	return -s.stretched[n+1]
}

// alone takes a tick of one stratum in which only the candidate served: the past stands in for the baseline.
func (s *times) alone(st *stratum) {
	refs := s.references(st)
	if len(refs) == 0 || st.now.CN == 0 {
		return
	}
	s.c.against = true
	k := 0
	for i, ref := range refs {
		for _, g := range pastGrid() {
			s.past[k] = stats.OneSample(st.now.CN, st.slow[i].CX, ref.bad, g)
			s.pastSum[k] += s.past[k]
			k++
		}
		for j, g := range proof.Passing() {
			s.passSum[j] = stats.OneSample(st.now.CN, st.slow[i].CX, ref.harm, g)
		}
		s.provenAlone[i].Step(s.passSum, 1)
	}
	if st.times != nil {
		st.times.against.Step(s.past, s.c.dispersion.Size)
	}
}

// strongestPast is the evidence of this tick at the boundary where the past speaks loudest.
func (s *times) strongestPast() float64 {
	best := s.pastSum[2]
	for i := 2; i < len(s.pastSum); i += len(pastGrid()) {
		best = math.Max(best, s.pastSum[i])
	}
	return best
}

// references are what the past says of a stratum, per boundary; none when it is too short.
func (s *times) references(st *stratum) []reference {
	if st.refs == nil {
		st.refs = []reference{}
		if st.past.N >= pastMinStratum {
			for _, b := range s.stretch.Bounds {
				h := history{n: st.past.N, x: s.c.slowish(st.past.LE, st.past.Count, st.past.N, b)}
				st.refs = append(st.refs, h.reference(0.01, s.c.Harm))
			}
		}
	}
	return st.refs
}

func (k *timeTrack) start(fresh float64) {
	k.beside.Start(fresh)
	k.against.Start(fresh)
}

func (k *timeTrack) count(now stats.Counts, slow []stats.Counts) {
	k.trace.count(now)
	for i := range slow {
		k.slow[i].Add(slow[i])
		k.run[i].Add(slow[i])
	}
}

// follow finds when a fault began; what was counted before it is no part of the run.
func (k *timeTrack) follow(t, inc float64) {
	k.trace.follow(t, inc)
	if math.IsNaN(k.since) {
		clear(k.run)
	}
}

// restart forgets the distributions of the run when no fault seems to be there.
func (s *times) restart() {
	if !math.IsNaN(s.pooled.since) {
		return
	}
	for side := range s.c.run {
		h := &s.c.run[side]
		clear(h.Count)
		h.N, h.Sum = 0, 0
	}
}
