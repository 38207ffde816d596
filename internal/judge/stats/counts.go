package stats

import "math"

// Counts are the events of one tick in one stratum, on both sides.
type Counts struct {
	CN, CX float64 // candidate: events, bad ones among them
	BN, BX float64 // baseline
}

// Add adds the counts of d.
func (c *Counts) Add(d Counts) {
	c.CN += d.CN
	c.CX += d.CX
	c.BN += d.BN
	c.BX += d.BX
}

// Rare tells whether bad events are so rare that the share of a sum of Poisson counts describes them well; above
// that the exact conditional law is worth its cost. The choice hangs on the totals alone, on which both tests
// condition, so that switching from tick to tick keeps either guarantee.
func (c Counts) Rare() bool { return c.CX+c.BX < 0.02*(c.CN+c.BN) }

// Comparable tells whether the counts can say anything about one side against the other.
func (c Counts) Comparable() bool { return c.CN > 0 && c.BN > 0 && c.CX+c.BX > 0 }

// Share returns the log likelihood ratio of the candidate's share of the bad events under the rate ratio alt
// against the rate ratio null (E-share). Given the total, the candidate's bad events are binomial for Poisson counts
// and, by Hoeffding's convex order, no more spread out for Bernoulli counts: the exponential has mean at most 1 under
// every ratio up to null.
func Share(c Counts, alt, null float64) float64 {
	return c.CX*math.Log(alt/null) - (c.CX+c.BX)*math.Log((alt*c.CN+c.BN)/(null*c.CN+c.BN))
}

// OneSample returns the log likelihood ratio of x bad among n for the odds p0/(1-p0) times psi against p0. With
// psi > 1 its exponential has mean at most 1 under every rate up to p0, with psi < 1 under every rate from p0 on.
func OneSample(n, x, p0, psi float64) float64 {
	// ln(p1/p0) = ln psi - ln(1-p0+psi*p0), ln((1-p1)/(1-p0)) = -ln(1-p0+psi*p0)
	return x*math.Log(psi) - n*math.Log1p((psi-1)*p0)
}

// Compare writes to out, for each ratio in alts, the log likelihood ratio of c against the ratio null: by Share when
// bad events are rare, exactly (see Odds) otherwise.
func Compare(c Counts, alts []float64, null float64, out []float64) {
	if !c.Comparable() {
		clear(out)
		return
	}
	if !c.Rare() {
		Odds(c, alts, null, out)
		return
	}
	for i, a := range alts {
		out[i] = Share(c, a, null)
	}
}
