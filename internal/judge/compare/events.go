package compare

import (
	"math"

	"github.com/belaydev/belay/internal/judge/proof"
	"github.com/belaydev/belay/internal/judge/stats"
)

// What a comparison needs and how it spreads its bets.
const (
	badMin        = 3    // bad events of the candidate below which nothing is called a regression
	aloneAfter    = 5.0  // seconds without a baseline after which the past takes its place
	pooledShare   = 0.5  // of the bet on all strata together
	unnamedPooled = 0.98 // when there are no strata
	knownShare    = 0.75 // of the rest: on the strata known at the beginning; what is left is for later ones
	middling      = 3.0  // a factor that is neither small nor large, by which the beginning of a fault is found
	independent   = 1.05 // clumps up to this size are none
)

// events are the tests of bad events.
type events struct {
	c      *Comparison
	lat    *stats.Lattice
	pooled *eventTrack
	share  float64 // of the pooled test
	proof  *proof.Proof
	mid    int // place of the middling factor in the lattice

	ll, sum     []float64 // per ratio of the lattice: of a stratum, of all
	inc, incSum []float64 // per effect, against the past
	floor       []float64 // scratch
}

// eventTrack is one test: of all strata together or of one of them.
type eventTrack struct {
	ratio *stats.Ratio   // worse than the baseline by more than instances differ
	floor *stats.Process // bad at all by more than the smallest change
	trace
}

// trace follows the counts of a test and finds when a fault began.
type trace struct {
	total stats.Counts
	run   stats.Counts // since the fault seems to have begun
	since float64      // that moment; NaN while nothing seems wrong
	cusum float64
}

func (k *trace) count(now stats.Counts) {
	k.total.Add(now)
	k.run.Add(now)
}

// follow takes the log likelihood ratio of a middling fault in this tick.
func (k *trace) follow(t, inc float64) {
	k.cusum += inc
	if k.cusum <= 0 {
		k.cusum, k.run, k.since = 0, stats.Counts{}, math.NaN()
	} else if math.IsNaN(k.since) {
		k.since = t
	}
}

// diluted tells whether the fault began so late that the numbers of the whole watch would hide it.
func (k *trace) diluted() bool {
	return !math.IsNaN(k.since) && k.run.CN > 0 && k.run.CN < k.total.CN/2
}

func newEvents(c *Comparison) *events {
	lat := stats.NewLattice(math.Log(c.margin())/marginSpreads, stats.Effects())
	n, effects := len(lat.Logs), len(stats.Effects())
	s := &events{c: c, lat: lat, share: pooledShare, ll: make([]float64, n), sum: make([]float64, n),
		inc: make([]float64, effects), incSum: make([]float64, effects), floor: make([]float64, effects)}
	for i, r := range lat.Ratios {
		if r <= middling {
			s.mid = i
		}
	}
	if len(c.strata) == 1 && c.strata[0].name == "" {
		s.share = unnamedPooled
	}
	s.pooled = s.newTrack()
	harm := c.Harm
	if c.Lower {
		harm = 1 / harm
	}
	s.proof = proof.New(harm)
	return s
}

func (s *events) newTrack() *eventTrack {
	return &eventTrack{
		ratio: s.lat.NewRatio(s.c.First), floor: stats.NewProcess(len(stats.Effects()), s.c.First),
		trace: trace{since: math.NaN()},
	}
}

func (s *events) join(st *stratum, weight float64) {
	if st.name != "" {
		st.weight, st.events = weight, s.newTrack()
	}
}

func (s *events) step(t, fresh float64, alone bool) {
	s.pooled.start(fresh)
	clear(s.sum)
	clear(s.incSum)
	s.proof.Begin()
	compared := 0
	for _, st := range s.c.strata {
		if st.events != nil {
			st.events.start(fresh)
		}
		if st.now.CN == 0 && st.now.BN == 0 {
			continue
		}
		s.pooled.count(st.now)
		if alone {
			s.alone(t, st)
		} else if s.beside(t, st) {
			compared++
		}
	}
	phi := s.c.dispersion.Size
	if anything(s.incSum) {
		s.pooled.ratio.Raise(s.incSum, phi)
	}
	if compared > 0 {
		spare := 1.0
		if compared == 1 && phi <= independent && s.c.now.Rare() && !s.c.Counts {
			spare = s.pooled.ratio.Spare(s.c.now, s.sum, s.c.Limit/s.share)
		}
		s.pooled.ratio.Step(s.sum, phi)
		s.pooled.ratio.Scale(spare)
	}
	s.pooled.follow(t, s.sum[s.mid]+s.incSum[middleEffect])
	s.pooled.floorStep(s, s.c.now)
	s.proof.Step(s.c.dispersion.Shown)
}

// middleEffect is the place of the middling factor among the effects.
const middleEffect = 2

// beside takes a tick of one stratum in which both sides served; false when it said nothing.
func (s *events) beside(t float64, st *stratum) bool {
	if st.now.CN == 0 || st.now.BN == 0 {
		if st.events != nil {
			st.events.count(st.now)
			st.events.floorStep(s, st.now)
		}
		return false
	}
	s.c.beside = true
	informative := st.now.Comparable()
	if informative {
		s.likelihood(st.now)
		for i, v := range s.ll {
			s.sum[i] += v
		}
		s.proof.Beside(st.now, s.c.Counts)
	}
	if st.events != nil {
		st.events.count(st.now)
		st.events.floorStep(s, st.now)
		if !informative {
			clear(s.ll)
		} else {
			st.events.ratio.Step(s.ll, s.c.dispersion.Size)
		}
		st.events.follow(t, s.ll[s.mid])
	}
	return informative
}

// likelihood fills ll. Without a denominator the law is Poisson's; and where fewer are worse, it is the baseline that
// must not have more.
func (s *events) likelihood(now stats.Counts) {
	switch {
	case !s.c.Counts:
		stats.Compare(now, s.lat.Ratios, 1, s.ll)
		return
	case s.c.Lower:
		now = stats.Counts{CN: now.BN, CX: now.BX, BN: now.CN, BX: now.CX}
	}
	for i, r := range s.lat.Ratios {
		s.ll[i] = stats.Share(now, r, 1)
	}
}

// alone takes a tick of one stratum in which only the candidate served: the past stands in for the baseline.
func (s *events) alone(t float64, st *stratum) {
	clear(s.inc)
	if ref, ok := s.reference(st); ok && st.now.CN > 0 {
		s.c.against = true
		for k, g := range stats.Effects() {
			s.inc[k] = stats.OneSample(st.now.CN, st.now.CX, ref.bad, g)
			s.incSum[k] += s.inc[k]
		}
		s.proof.Against(st.now, ref.harm)
	}
	if st.events != nil {
		st.events.count(st.now)
		st.events.floorStep(s, st.now)
		if anything(s.inc) {
			st.events.ratio.Raise(s.inc, s.c.dispersion.Size)
		}
		st.events.follow(t, s.inc[middleEffect])
	}
}

// reference is what the past says of a stratum.
func (s *events) reference(st *stratum) (reference, bool) {
	if st.refs == nil {
		st.refs = []reference{}
		if st.before.n >= pastMinStratum {
			st.refs = append(st.refs, st.before.reference(s.c.SmallestChange, s.c.Harm))
		}
	}
	if len(st.refs) == 0 {
		return reference{}, false
	}
	return st.refs[0], true
}

func (k *eventTrack) start(fresh float64) {
	k.ratio.Start(fresh)
	k.floor.Start(fresh)
}

func (k *eventTrack) floorStep(s *events, now stats.Counts) {
	if now.CN == 0 || s.c.Counts {
		return
	}
	for i, g := range stats.Effects() {
		s.floor[i] = stats.OneSample(now.CN, now.CX, s.c.SmallestChange, g)
	}
	k.floor.Step(s.floor, s.c.dispersion.Size)
}

// logE combines the tests: a part on all strata together, the rest over the strata one by one. A weighted mean of
// e-values is an e-value, whatever hangs together in them.
func (s *events) logE() float64 {
	e := math.Log(s.share) + s.evidence(s.pooled)
	rest := 1 - s.share
	for _, st := range s.c.strata {
		if st.events == nil {
			continue
		}
		w := (1 - s.share) * st.weight
		rest -= w
		e = stats.LogSum(e, math.Log(w)+s.evidence(st.events))
	}
	return math.Min(stats.MaxLog, stats.LogSum(e, math.Log(math.Max(0, rest))))
}

// evidence of one test: the weaker of worse-than-the-baseline and bad-at-all, and none in favour of a regression
// while what was seen is not worth acting on.
func (s *events) evidence(k *eventTrack) float64 {
	e := k.ratio.LogE()
	if e <= 0 {
		return e
	}
	worst := k.total.CX
	if s.c.Lower {
		worst = k.total.BX
	}
	if !s.c.Counts {
		e = math.Min(e, k.floor.LogE())
	}
	if e > 0 && (worst < badMin || !s.matters(&k.trace)) {
		return 0
	}
	return e
}

// matters tells whether the difference, over the watch or since the fault began, is at least the smallest change.
func (s *events) matters(k *trace) bool {
	for _, n := range []stats.Counts{k.total, k.run} {
		base := 0.0
		switch {
		case n.BN > 0:
			base = n.BX / n.BN
		case s.c.before.n > 0:
			base = s.c.before.x / s.c.before.n
		}
		if n.CN == 0 {
			continue
		}
		switch rate := n.CX / n.CN; {
		case s.c.Lower:
			if rate <= base*(1-s.c.SmallestChange) {
				return true
			}
		case s.c.Counts:
			if rate >= base*(1+s.c.SmallestChange) {
				return true
			}
		case rate-base >= s.c.SmallestChange:
			return true
		}
	}
	return false
}

// logGood is the evidence that the candidate's rate is below twice the smallest change, or below the harm ratio.
func (s *events) logGood() float64 { return s.proof.LogE() }

func (s *events) finding() Finding {
	f := Finding{Since: s.pooled.since, Counts: s.pooled.total}
	best := math.Log(10) // below that a stratum does not stand out
	for _, st := range s.c.strata {
		if st.events == nil {
			continue
		}
		if e := st.events.ratio.LogE(); e > best && st.events.total.CX >= badMin {
			best, f.Stratum = e, st.name
			f.Since, f.There = st.events.since, st.events.total
			if st.events.diluted() {
				f.There = st.events.run
			}
		}
	}
	if s.pooled.diluted() && f.Stratum == "" {
		f.Counts, f.Late = s.pooled.run, true
	}
	return f
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
