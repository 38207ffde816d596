package compare

import (
	"math"

	"github.com/belaydev/belay/internal/judge/proof"
	"github.com/belaydev/belay/internal/judge/stats"
)

// lowShare is the part of the bet for healthy that is on a rate that is low by itself.
const lowShare = 0.75

// LogGood returns the logarithm of the evidence that the candidate is not harmed: that its rate of bad events is below
// twice the smallest change, or below the harm ratio. It reaches ln(1/beta) for a harmed one with a chance of at most
// beta. For a histogram it says that response times are not stretched by the harm factor.
func (c *Comparison) LogGood() float64 {
	if c.Histogram {
		if c.tests == nil {
			return 0
		}
		return c.tests.logGood()
	}
	ratio := 0.0
	if c.tests != nil {
		ratio = c.tests.logGood()
	}
	if c.low == nil {
		return ratio
	}
	return stats.LogSum(math.Log(lowShare)+c.low.LogE(), math.Log(1-lowShare)+ratio)
}

// More estimates how many more events of the candidate would bring LogGood to want; +Inf when that cannot be told.
func (c *Comparison) More(want float64) float64 {
	t, good := c.total, c.LogGood()
	switch {
	case good >= want:
		return 0
	case c.Histogram && good > 0:
		return math.Ceil((want - good) / good * t.CN)
	case c.Histogram:
		return math.Inf(1)
	}
	more := math.Inf(1)
	if c.low != nil {
		p := 0.0
		if t.CN > 0 {
			p = t.CX / t.CN
		}
		more = c.low.More(want+LowCost(), p) * math.Max(1, c.dispersion.Shown)
	}
	if !c.beside || t.CX+t.BX == 0 || t.CN == 0 {
		return more
	}
	// By ratio: what one bad event tells when the candidate is in truth as good as the baseline.
	share := t.CN / (t.CN + t.BN)
	harmed := c.Harm * share / (c.Harm*share + 1 - share)
	bad := (want + RatioCost() - c.tests.logGood()) / stats.KL(share, harmed) * math.Max(1, c.dispersion.Shown)
	return math.Min(more, math.Ceil(bad*t.CN/(t.CX+t.BX)))
}

// LowCost is what the proof of health by a low rate costs more, in nats, for being only a part of the bet.
func LowCost() float64 { return -math.Log(lowShare) }

// RatioCost is what the proof of health by ratio costs more, in nats.
func RatioCost() float64 { return -math.Log(1 - lowShare) }

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
	if c.tests == nil {
		return Finding{Since: math.NaN(), Counts: c.total}
	}
	return c.tests.finding()
}

// Effect returns how the candidate compares with the baseline: the ratio of the rates of bad events, or of the quantile
// of a histogram. False when there is nothing to tell by.
func (c *Comparison) Effect() (proof.Effect, bool) {
	switch s := c.tests.(type) {
	case *events:
		return s.proof.Effect()
	case *times:
		return s.effect()
	}
	return proof.Effect{}, false
}
