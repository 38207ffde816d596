package compare

import (
	"math"
	"slices"

	"github.com/belaydev/belay/internal/judge/proof"
	"github.com/belaydev/belay/internal/judge/stats"
)

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

// logE combines the tests, as that of events does.
func (s *times) logE() float64 {
	if !s.c.slower() {
		return math.Min(0, s.combined())
	}
	return s.combined()
}

func (s *times) combined() float64 {
	e := math.Log(s.share) + s.evidence(s.pooled)
	rest := 1 - s.share
	for _, st := range s.c.strata {
		if st.times == nil {
			continue
		}
		w := (1 - s.share) * st.weight
		rest -= w
		e = stats.LogSum(e, math.Log(w)+s.evidence(st.times))
	}
	return math.Min(stats.MaxLog, stats.LogSum(e, math.Log(math.Max(0, rest))))
}

// evidence of one test: of the comparison side by side and of that with the past, which look at different ticks.
func (s *times) evidence(k *timeTrack) float64 {
	beside := mainWeight
	if s.c.total.BN == 0 {
		beside = 1 - mainWeight
	}
	against := 0.0 // not played
	if !s.c.PastMoves {
		against = k.against.LogE()
	}
	e := stats.LogSum(math.Log(beside)+k.beside.LogE(), math.Log(1-beside)+against)
	if e > 0 && k.worst().CX < badMin {
		return 0
	}
	return e
}

// worst is the counts at the boundary that the fault shows best.
func (k *timeTrack) worst() stats.Counts {
	c := k.total
	at := k.lane()
	c.CX, c.BX = k.slow[at].CX, k.slow[at].BX
	return c
}

// lane is the boundary where the sides differ most, in standard errors.
func (k *timeTrack) lane() int {
	best, most := 0, math.Inf(-1)
	for i, x := range k.slow {
		if x.CX < badMin || k.total.BN == 0 {
			continue
		}
		pc, pb := x.CX/k.total.CN, x.BX/k.total.BN
		p := (x.CX + x.BX) / (k.total.CN + k.total.BN)
		if z := (pc - pb) / math.Sqrt(p*(1-p)*(1/k.total.CN+1/k.total.BN)+1e-12); z > most {
			best, most = i, z
		}
	}
	if math.IsInf(most, -1) { // nothing beside it: where the past differs most
		for i, x := range k.slow {
			if x.CX > k.slow[best].CX/2 {
				best = i
			}
		}
	}
	return best
}

// slower tells whether the candidate is slower by the smallest change in anything a person would look at: over the
// watch, or since a fault seems to have begun. Over the watch most of that change at the lower end of what was seen
// is enough: a true change of that size shows more, and one of half of it does not. The time of a fault is chosen
// because it looks bad: there it must be all of it, and surely.
func (c *Comparison) slower() bool {
	base := &c.dist[Baseline]
	if base.N == 0 {
		base = &c.past
	}
	if c.slowerThan(&c.dist[Candidate], base, shownChange*c.SmallestChange, lowerEnd) {
		return true
	}
	if c.run[Baseline].N >= runMin {
		base = &c.run[Baseline]
	}
	return c.run[Candidate].N >= runMin && c.slowerThan(&c.run[Candidate], base, c.SmallestChange, chosenEnd)
}

func (c *Comparison) slowerThan(mine, base *stats.Histogram, change, errors float64) bool {
	if mine.N < boundsMin || base.N == 0 {
		return false
	}
	if mine.Sum > 0 && base.Sum > 0 && mine.Mean()-base.Mean() < c.SmallestShift/2 {
		return false // quantiles are read off buckets: where all values lie beside a bound, they jump for nothing
	}
	beyond := func(is, was, seen float64) bool {
		return is >= (1+change)*was && seen-was >= c.SmallestShift
	}
	if mean := mine.Mean(); beyond(mean-errors*mine.Deviation()/math.Sqrt(mine.N), base.Mean(), mean) {
		return true
	}
	for _, q := range [...]float64{0.5, 0.9, c.Quantile, 0.99} {
		if mine.N*(1-q) < fewAbove {
			continue
		}
		low := mine.Typical(q - errors*math.Sqrt(q*(1-q)/mine.N))
		if beyond(low, base.Typical(q), mine.Typical(q)) {
			return true
		}
	}
	return false
}

// What a difference must show before it counts.
const (
	runMin      = 50  // answers of the time of a fault
	fewAbove    = 20  // answers slower than a quantile without which the quantile means nothing
	lowerEnd    = 1.5 // standard errors below what was seen
	chosenEnd   = 3   // the same for a time that was chosen because it looks bad
	shownChange = 0.6 // of the smallest change
)

// logGood is the evidence that response times are not stretched by the harmful factor; against the past, that no
// boundary is passed by the harm ratio more often.
func (s *times) logGood() float64 {
	if s.c.beside {
		return math.Min(stats.MaxLog, s.llHarm)
	}
	e := make([]float64, 0, maxBounds)
	for _, p := range s.provenAlone {
		e = append(e, p.LogE())
	}
	return stats.LogMean(e)
}

func (s *times) finding() Finding {
	at := s.pooled.lane()
	f := Finding{Since: s.pooled.since, Bound: s.stretch.Bounds[at], Counts: s.pooled.worst()}
	best := math.Log(10) // below that a stratum does not stand out
	for _, st := range s.c.strata {
		if st.times == nil {
			continue
		}
		if e := s.evidence(st.times); e > best {
			best, f.Stratum, f.Since = e, st.name, st.times.since
			lane := st.times.lane()
			f.Bound, f.There = s.stretch.Bounds[lane], st.times.worst()
			f.Counts = s.pooled.total
			f.Counts.CX, f.Counts.BX = s.pooled.slow[lane].CX, s.pooled.slow[lane].BX
		}
	}
	if f.Stratum == "" && s.pooled.diluted() {
		f.Counts, f.Late = s.pooled.trace.run, true
		f.Counts.CX, f.Counts.BX = s.pooled.run[at].CX, s.pooled.run[at].BX
	}
	return f
}

// effect is the ratio of the quantile on both sides, with a confidence sequence from that of the share of values below
// it (normal mixture, see Howard, Ramdas, McAuliffe and Sekhon 2021).
func (s *times) effect() (proof.Effect, bool) {
	mine, base := &s.c.dist[Candidate], &s.c.dist[Baseline]
	if base.N < boundsMin {
		base = &s.c.past
	}
	if mine.N < boundsMin || base.N < boundsMin {
		return proof.Effect{}, false
	}
	q := s.c.Quantile
	at := func(h *stats.Histogram, side float64) float64 {
		return h.Quantile(math.Min(1, math.Max(0, q+side*quantileRadius(q, h.N))))
	}
	e := proof.Effect{Ratio: mine.Quantile(q) / base.Quantile(q), Low: at(mine, -1) / at(base, 1), High: at(mine, 1) / at(base, -1)}
	if math.IsNaN(e.Ratio) || math.IsInf(e.Ratio, 0) || math.IsNaN(e.Low+e.High) || math.IsInf(e.Low+e.High, 0) {
		return proof.Effect{}, false
	}
	return e, true
}

// quantileRadius is how far the share of n values below the q-quantile may be from q, at any moment: a normal mixture
// that is best at a few hundred values. Half of the chance of missing is for either side.
func quantileRadius(q, n float64) float64 {
	const chance = proof.IntervalChance / 2
	v, best := n*q*(1-q), 300*q*(1-q)
	g := best / (2*math.Log(1/chance) + math.Log(1+2*math.Log(1/chance)))
	return math.Sqrt((v+g)*(math.Log(1+v/g)+2*math.Log(1/chance))) / n
}
