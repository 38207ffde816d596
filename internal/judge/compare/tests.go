package compare

import (
	"math"
	"slices"

	"github.com/belaydev/belay/internal/judge/stats"
)

// What a comparison needs and how it spreads its bets.
const (
	badMin        = 3    // bad events of the candidate below which nothing is called a regression
	aloneAfter    = 5.0  // seconds without a baseline after which the past takes its place
	maxBounds     = 12   // boundaries of a histogram that are compared
	boundsMin     = 20   // observations on either side before the boundaries are chosen
	pooledShare   = 0.5  // of the bet on all strata together
	unnamedPooled = 0.9  // when there are no strata
	knownShare    = 0.75 // of the rest: on the strata known at the beginning; what is left is for later ones
	lowShare      = 0.75 // of the bet for healthy: on a rate that is low by itself
)

// passGrid holds the ratios, relative to the harm limit, over which the bet for healthy is spread.
func passGrid() []float64 { return []float64{0.25, 0.375, 0.5, 0.6} }

// tests are the e-processes of a comparison. Lanes are the boundaries of a histogram; events have one lane.
type tests struct {
	c        *Comparison
	bounds   []float64
	grid     []float64 // ratios beyond the margin
	alts     []float64 // grid times margin
	pass     []float64 // passGrid
	passAlts []float64 // pass times harm
	pooled   []*track
	proven   []*stats.Process // per lane: not harmed, by ratio
	share    float64          // of the pooled tests
	later    int              // strata that joined after the beginning
	beside   bool             // a baseline has been compared with
	against  bool             // the past has been compared with

	inc, passInc []float64
	sum, passSum [][]float64 // per lane, over strata
	lane         []float64
}

// track is one test: of all strata together or of one of them, in one lane.
type track struct {
	ratio *stats.Process // worse than the baseline by more than the margin
	floor *stats.Process // bad at all by more than the smallest change; nil for histograms
	total stats.Counts
	run   stats.Counts // since the fault seems to have begun
	since float64      // that moment; NaN while nothing seems wrong
	cusum float64      // of one ratio, by which it is found
}

// begin makes the tests once it is clear what can be compared; nil until then.
func (c *Comparison) begin(t float64) *tests {
	if c.total.CN == 0 {
		return nil
	}
	if size, ok := c.spread.size(); ok && c.Learn {
		c.Dispersion = size
	}
	s := &tests{c: c, grid: stats.Grid(), pass: passGrid(), share: pooledShare}
	lanes := 1
	if c.Histogram {
		if s.bounds = c.commonBounds(t); len(s.bounds) == 0 {
			return nil
		}
		s.grid, lanes = stats.FineGrid(), len(s.bounds)
	}
	s.alts, s.passAlts = scaled(s.grid, c.Margin), scaled(s.pass, c.Harm)
	s.inc, s.passInc, s.lane = make([]float64, len(s.grid)), make([]float64, len(s.pass)), make([]float64, lanes)
	for range lanes {
		s.pooled = append(s.pooled, s.newTrack())
		s.proven = append(s.proven, stats.NewProcess(len(s.pass), 1))
		s.sum = append(s.sum, make([]float64, len(s.grid)))
		s.passSum = append(s.passSum, make([]float64, len(s.pass)))
	}
	if len(c.strata) == 1 && c.strata[0].name == "" {
		s.share = unnamedPooled
	}
	for _, st := range c.strata {
		s.open(st, knownShare/float64(len(c.strata)))
	}
	return s
}

func scaled(grid []float64, by float64) []float64 {
	g := slices.Clone(grid)
	for i := range g {
		g[i] *= by
	}
	return g
}

func (s *tests) newTrack() *track {
	k := &track{ratio: stats.NewProcess(len(s.grid), 0.5), since: math.NaN()}
	if s.bounds == nil {
		k.floor = stats.NewProcess(len(s.grid), 0.5)
	}
	return k
}

// join lets a stratum in that appeared later. The weights of all that may ever come sum to one.
func (s *tests) join(st *stratum) {
	s.later++
	j := float64(s.later)
	s.open(st, (1-knownShare)/(j*(j+1)))
}

func (s *tests) open(st *stratum, weight float64) {
	st.slow = make([]stats.Counts, len(s.bounds))
	if st.name == "" {
		return
	}
	st.weight = weight
	for range s.pooled {
		st.tracks = append(st.tracks, s.newTrack())
	}
}

// commonBounds chooses the boundaries: those both sides have, from where nearly all is slower to where nearly nothing
// is, as the baseline showed so far. The set is fixed for the rest of the watch, so that it cannot be tuned to what
// the candidate does.
func (c *Comparison) commonBounds(t float64) []float64 {
	other := &c.dist[Baseline]
	if other.N < boundsMin && c.past.N >= PastMin {
		other = &c.past
	}
	mine := &c.dist[Candidate]
	if t < c.WarmUntil() || mine.N < boundsMin || other.N < boundsMin {
		return nil
	}
	var common []float64
	beyond := 0
	for i, b := range other.LE {
		slower := 1 - other.Count[i]/other.N
		if math.IsInf(b, 1) || slower > 0.99 || !slices.Contains(mine.LE, b) {
			continue
		}
		if slower < 0.001 { // two more: a new tail must pass through them
			if beyond++; beyond > 2 {
				break
			}
		}
		common = append(common, b)
	}
	if len(common) <= maxBounds {
		return common
	}
	thin := make([]float64, 0, maxBounds)
	for i := range maxBounds {
		thin = append(thin, common[i*(len(common)-1)/(maxBounds-1)])
	}
	return thin
}

// step takes one tick into the tests; alone means against the past, for want of a baseline.
func (s *tests) step(t, fresh float64, alone bool) {
	for i, k := range s.pooled {
		k.start(fresh)
		clear(s.sum[i])
		clear(s.passSum[i])
	}
	for _, st := range s.c.strata {
		for _, k := range st.tracks {
			k.start(fresh)
		}
		if st.now.CN == 0 && st.now.BN == 0 {
			continue
		}
		for i := range s.pooled {
			s.take(t, st, i, alone)
		}
	}
	for i, k := range s.pooled {
		k.step(t, s, s.sum[i], s.c.now)
		if anything(s.passSum[i]) {
			s.proven[i].Step(s.passSum[i], 1)
		}
	}
}

// take runs one stratum in one lane.
func (s *tests) take(t float64, st *stratum, i int, alone bool) {
	now := st.now
	if s.bounds != nil {
		now = st.slow[i]
	}
	clear(s.inc)
	clear(s.passInc)
	switch {
	case alone:
		if ref, ok := s.reference(st, i); ok && now.CN > 0 {
			s.against = true
			for k, g := range s.grid {
				s.inc[k] = stats.OneSample(now.CN, now.CX, ref.bad, g)
			}
			for k, g := range s.pass {
				s.passInc[k] = stats.OneSample(now.CN, now.CX, ref.harm, g)
			}
		}
	case now.CN > 0 && now.BN > 0:
		s.beside = true
		if now.Comparable() {
			stats.Compare(now, s.alts, s.c.Margin, s.inc)
			stats.Compare(now, s.passAlts, s.c.Harm, s.passInc)
		}
	}
	for k, v := range s.inc {
		s.sum[i][k] += v
	}
	for k, v := range s.passInc {
		s.passSum[i][k] += v
	}
	s.pooled[i].count(now)
	if st.tracks != nil {
		st.tracks[i].count(now)
		st.tracks[i].step(t, s, s.inc, now)
	}
}

func (k *track) start(fresh float64) {
	k.ratio.Start(fresh)
	if k.floor != nil {
		k.floor.Start(fresh)
	}
}

func (k *track) count(now stats.Counts) {
	k.total.Add(now)
	k.run.Add(now)
}

// step multiplies this tick in, and follows when the fault began.
func (k *track) step(t float64, s *tests, inc []float64, now stats.Counts) {
	if k.floor != nil && now.CN > 0 {
		var floor [16]float64
		for i, g := range s.grid {
			floor[i] = stats.OneSample(now.CN, now.CX, s.c.SmallestChange, g)
		}
		k.floor.Step(floor[:len(s.grid)], s.c.Dispersion)
	}
	const middling = 3 // place of a ratio that is neither small nor large
	k.cusum += inc[middling]
	if k.cusum <= 0 {
		k.cusum, k.run, k.since = 0, stats.Counts{}, math.NaN()
	} else if math.IsNaN(k.since) {
		k.since = t
	}
	if anything(inc) {
		k.ratio.Step(inc, s.c.Dispersion)
	}
}

// anything tells whether a tick said anything at all; most say nothing.
func anything(inc []float64) bool {
	for _, v := range inc {
		if v != 0 {
			return true
		}
	}
	return false
}

// reference is what the past says of a stratum in a lane.
func (s *tests) reference(st *stratum, i int) (reference, bool) {
	if st.refs == nil {
		st.refs = s.references(st)
	}
	if i >= len(st.refs) {
		return reference{}, false
	}
	return st.refs[i], true
}

func (s *tests) references(st *stratum) []reference {
	refs := []reference{}
	switch {
	case s.bounds == nil && st.before.n >= pastMinStratum:
		refs = append(refs, st.before.reference(s.c.SmallestChange, s.c.Harm))
	case s.bounds != nil && st.past.N >= pastMinStratum:
		for _, b := range s.bounds {
			h := history{n: st.past.N, x: s.c.slowish(st.past.LE, st.past.Count, st.past.N, b)}
			refs = append(refs, h.reference(0.01, s.c.Harm))
		}
	}
	return refs
}
