package compare

import (
	"math"

	"github.com/belaydev/belay/internal/judge/stats"
)

// logE combines the tests: a part on all strata together, the rest over the strata one by one. A weighted mean of
// e-values is an e-value, whatever hangs together in them.
func (s *tests) logE() float64 {
	changed := s.bounds == nil || s.c.slower()
	e := math.Log(s.share) + s.mean(s.pooled, changed)
	rest := 1 - s.share
	for _, st := range s.c.strata {
		if st.tracks == nil {
			continue
		}
		w := (1 - s.share) * st.weight
		rest -= w
		e = stats.LogSum(e, math.Log(w)+s.mean(st.tracks, changed))
	}
	return math.Min(stats.MaxLog, stats.LogSum(e, math.Log(math.Max(0, rest))))
}

// mean is the evidence of the tests of one stratum, the mean over the lanes.
func (s *tests) mean(tracks []*track, changed bool) float64 {
	for i, k := range tracks {
		s.lane[i] = s.evidence(k, changed)
	}
	return stats.LogMean(s.lane)
}

// evidence of one test: the weaker of worse-than-the-baseline and bad-at-all, and none in favour of a regression
// while what was seen is not worth acting on.
func (s *tests) evidence(k *track, changed bool) float64 {
	e := k.ratio.LogE()
	if e <= 0 {
		return e
	}
	if k.floor != nil {
		e = math.Min(e, k.floor.LogE())
	}
	if e > 0 && (k.total.CX < badMin || !changed || k.floor != nil && !s.matters(k)) {
		return 0
	}
	return e
}

// matters tells whether the difference, over the watch or since the fault began, is at least the smallest change.
func (s *tests) matters(k *track) bool {
	for _, n := range []stats.Counts{k.total, k.run} {
		base := 0.0
		switch {
		case n.BN > 0:
			base = n.BX / n.BN
		case s.c.before.n > 0:
			base = s.c.before.x / s.c.before.n
		}
		if n.CN > 0 && n.CX/n.CN-base >= s.c.SmallestChange {
			return true
		}
	}
	return false
}

// slower tells whether the candidate is slower by the smallest change in anything a person would look at: over the
// watch or in the last half minute, at the mean or at a usual quantile.
func (c *Comparison) slower() bool {
	base := &c.dist[Baseline]
	if base.N == 0 {
		base = &c.past
	}
	return c.slowerThan(&c.dist[Candidate], base) || c.slowerThan(&c.recent[0], base) || c.slowerThan(&c.recent[1], base)
}

func (c *Comparison) slowerThan(mine, base *stats.Histogram) bool {
	if mine.N == 0 || base.N == 0 {
		return false
	}
	by := 1 + c.SmallestChange
	beyond := func(is, was float64) bool { return is >= by*was && is-was >= c.SmallestShift }
	if mine.Sum > 0 && base.Sum > 0 && beyond(mine.Sum/mine.N, base.Sum/base.N) {
		return true
	}
	for _, q := range [...]float64{0.5, 0.9, c.Quantile, 0.99} {
		if beyond(mine.Quantile(q), base.Quantile(q)) {
			return true
		}
	}
	return false
}

// LogGood returns the logarithm of the evidence that the candidate is not harmed: that its rate of bad events is below
// twice the smallest change, or below the harm ratio. It reaches ln(1/beta) for a harmed one with a chance of at most
// beta. For a histogram it says that response times are not worse across the boundaries.
func (c *Comparison) LogGood() float64 {
	switch {
	case c.Histogram && c.tests == nil:
		return 0
	case c.Histogram:
		for i, p := range c.tests.proven {
			c.tests.lane[i] = p.LogE()
		}
		return stats.LogMean(c.tests.lane)
	}
	ratio := 0.0
	if c.tests != nil {
		ratio = c.tests.proven[0].LogE()
	}
	return stats.LogSum(math.Log(lowShare)+c.low.LogE(), math.Log(1-lowShare)+ratio)
}

// More estimates how many more events of the candidate would bring LogGood to want; +Inf when that cannot be told.
func (c *Comparison) More(want float64) float64 {
	if c.Histogram || c.LogGood() >= want {
		return 0
	}
	t := c.total
	p := 0.0
	if t.CN > 0 {
		p = t.CX / t.CN
	}
	more := c.low.More(want+LowCost(), p)
	if !c.Beside() || t.CX+t.BX == 0 || t.CN == 0 {
		return more
	}
	// By ratio: what one bad event tells when the candidate is in truth as good as the baseline.
	share := t.CN / (t.CN + t.BN)
	harmed := c.Harm * share / (c.Harm*share + 1 - share)
	bad := (want + RatioCost() - c.tests.proven[0].LogE()) / stats.KL(share, harmed)
	return math.Min(more, math.Ceil(bad*t.CN/(t.CX+t.BX)))
}

// Finding is what stands out most.
type Finding struct {
	Stratum string       // where it is worst, when one stands out
	There   stats.Counts // in that stratum
	Bound   float64      // slower than this, for a histogram
	Counts  stats.Counts // that show it
	Late    bool         // Counts are those since Since, not of the whole watch
	Since   float64      // when it began; NaN when nothing is wrong
}

// Finding returns what stands out most: the numbers of all strata together, when the fault began, and the worst
// stratum.
func (c *Comparison) Finding() Finding {
	f := Finding{Since: math.NaN(), Counts: c.total}
	s := c.tests
	if s == nil {
		return f
	}
	k, lane := strongest(s.pooled)
	if s.bounds != nil {
		f.Bound = s.bounds[lane]
	}
	f.Counts, f.Since = k.total, k.since
	best := math.Log(10) // below that a stratum does not stand out
	for _, st := range c.strata {
		if st.tracks == nil {
			continue
		}
		worst, lane := strongest(st.tracks)
		if e := worst.ratio.LogE(); e > best && worst.total.CX >= badMin {
			best, f.Stratum = e, st.name
			if s.bounds != nil {
				f.Bound, f.Counts = s.bounds[lane], s.pooled[lane].total
			}
			f.Since, f.There = worst.since, worst.total
			if diluted(worst) {
				f.There = worst.run
			}
		}
	}
	if diluted(k) && f.Stratum == "" {
		f.Counts, f.Late = k.run, true
	}
	return f
}

// strongest returns the track with the most evidence, and its lane.
func strongest(tracks []*track) (*track, int) {
	best := 0
	for i, k := range tracks {
		if k.ratio.LogE() > tracks[best].ratio.LogE() {
			best = i
		}
	}
	return tracks[best], best
}

// diluted tells whether the fault began so late that the numbers of the whole watch would hide it.
func diluted(k *track) bool {
	return !math.IsNaN(k.since) && k.run.CN > 0 && k.run.CN < k.total.CN/2
}

// LowCost is what the proof of health by a low rate costs more, in nats, for being only a part of the bet.
func LowCost() float64 { return -math.Log(lowShare) }

// RatioCost is what the proof of health by ratio costs more, in nats.
func RatioCost() float64 { return -math.Log(1 - lowShare) }
