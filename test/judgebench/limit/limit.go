// Package limit is what no rule can beat: how many requests, and how many bad answers, it takes at least to tell a
// regression from what it has to be told from, at a given chance of a false rollback.
//
// The bound is Wald's: a test that is wrong with a chance of at most alpha and finds the fault surely needs, in the
// mean, ln(1/alpha) over the information that one observation carries (A. Wald, "Sequential Tests of Statistical
// Hypotheses", 1945). What differs is what the fault has to be told from.
package limit

import "math"

// KL is the information, in nats per event, that tells the rate p from the rate q.
func KL(p, q float64) float64 { return xlog(p, q) + xlog(1-p, 1-q) }

// Poisson is the information, in nats per unit of exposure, that tells the rate l1 of events from l0.
func Poisson(l1, l0 float64) float64 { return l1*math.Log(l1/l0) - l1 + l0 }

func xlog(p, q float64) float64 {
	if p <= 0 {
		return 0
	}
	return p * math.Log(p/q)
}

// Known is how many requests of the candidate it takes when the usual rate p0 is known beforehand.
func Known(p1, p0, alpha float64) float64 { return math.Log(1/alpha) / KL(p1, p0) }

// Pair is a candidate with the rate Bad and the share Share of the requests, beside a baseline with the rate Usual.
type Pair struct{ Bad, Usual, Share float64 }

// Requests is how many requests of both sides it takes when the baseline's rate has to be learned at the same time,
// and a candidate whose rate is up to margin times the baseline's must not be taken back: the information is that
// against the closest pair of rates which is still to be accepted. With margin 1 it is the Jensen-Shannon divergence.
func (p Pair) Requests(margin, alpha float64) float64 {
	return math.Log(1/alpha) / p.information(margin)
}

// BadAnswers is how many bad answers of the candidate that costs.
func (p Pair) BadAnswers(margin, alpha float64) float64 {
	return p.Bad * p.Share * p.Requests(margin, alpha)
}

// Floored is the same when, besides, an absolute rate up to floor is to be accepted, whatever the baseline: the harder
// of both counts.
func (p Pair) Floored(margin, floor, alpha float64) float64 {
	n := p.Requests(margin, alpha)
	if floor > 0 && p.Bad > floor {
		n = math.Max(n, Known(p.Bad, floor, alpha)/p.Share)
	}
	return n
}

func (p Pair) information(margin float64) float64 {
	if p.Bad <= margin*p.Usual {
		return 0
	}
	loss := func(q float64) float64 {
		return p.Share*KL(p.Bad, math.Min(1-1e-12, margin*q)) + (1-p.Share)*KL(p.Usual, q)
	}
	lo, hi := p.Usual, math.Min(p.Bad, (1-1e-9)/margin)
	for range 200 { // convex in q: ternary search
		a, b := lo+(hi-lo)/3, hi-(hi-lo)/3
		if loss(a) < loss(b) {
			hi = b
		} else {
			lo = a
		}
	}
	return loss((lo + hi) / 2)
}

// Healthy is how many bad answers of both sides it takes to show that a candidate as good as the baseline is not harm
// times as bad, when one that is may be passed with the chance beta: each bad answer tells only on which side it fell.
func Healthy(share, harm, beta float64) float64 {
	return math.Log(1/beta) / KL(share, harm*share/(harm*share+1-share))
}

// Distributions is how many observations of both sides it takes to tell two distributions over the same classes apart:
// latencies in the buckets of a histogram.
func Distributions(mine, other []float64, share, alpha float64) float64 {
	info := 0.0
	for i := range mine {
		m := share*mine[i] + (1-share)*other[i]
		if m > 0 {
			info += share*xlog(mine[i], m) + (1-share)*xlog(other[i], m)
		}
	}
	return math.Log(1/alpha) / info
}
