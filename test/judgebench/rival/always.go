package rival

import (
	"math"

	"github.com/belaydev/belay/test/judgebench/limit"
)

// AlwaysValid are published tests that may be looked at at any time.
func AlwaysValid() []Entry {
	return []Entry{
		entry("gavi", "mSPRT in its asymptotic form, mixture over one percentage point", func(f Facts) Rule {
			return &gavi{bar: math.Log(1 / f.Alpha)}
		}),
		entry("gavi-pooled", "the same with the variance under no difference", func(f Facts) Rule {
			return &gavi{bar: math.Log(1 / f.Alpha), pooled: true}
		}),
		entry("lindon-malek", "sequential multinomial test, k = 100, on the configured share", func(f Facts) Rule {
			return &lindonMalek{bar: math.Log(1 / f.Alpha), share: f.Share}
		}),
		entry("turner", "plug-in e-variable for two streams", func(f Facts) Rule { return &turner{bar: math.Log(1 / f.Alpha)} }),
		entry("e-share", "the e-process that belay's own begins with, without margin, onsets and dispersion", func(f Facts) Rule {
			return newShares(f.Alpha, ratios()...)
		}),
	}
}

// tau is the standard deviation of the difference that gavi expects: one percentage point.
const tau = 0.01

// gavi is the mixture sequential probability ratio test with a normal prior (mSPRT: Johari, Koomen, Pekelis, Walsh,
// "Peeking at A/B Tests", 2017), in the asymptotic form that experiment platforms use: the difference of both rates over
// its estimated variance. Pooled takes the variance under no difference.
type gavi struct {
	bar            float64
	pooled         bool
	cn, cx, bn, bx float64
}

// Observe takes a tick.
func (r *gavi) Observe(v *View) bool {
	if v.T <= 0 {
		return false
	}
	r.cn, r.cx, r.bn, r.bx = r.cn+v.CN, r.cx+v.CX, r.bn+v.BN, r.bx+v.BX
	pc, pb := r.cx/r.cn, r.bx/r.bn
	variance := pc*(1-pc)/r.cn + pb*(1-pb)/r.bn
	if r.pooled {
		p := (r.cx + r.bx) / (r.cn + r.bn)
		variance = p * (1 - p) * (1/r.cn + 1/r.bn)
	}
	d := pc - pb
	if !(d > 0 && variance > 0) {
		return false
	}
	t2 := tau * tau
	return 0.5*math.Log(variance/(variance+t2))+d*d/variance*t2/(2*(variance+t2)) >= r.bar
}

// lindonMalek is the Bayes factor of a Dirichlet prior against the configured shares, on counts of bad events (Lindon,
// Malek, "Anytime-Valid Inference for Multinomial Count Data", 2022; k = 100 as in their examples). It is two-sided; it
// acts when the candidate has too many.
type lindonMalek struct {
	bar, share float64
	cx, bx     float64
}

const lindonMalekK = 100

// Observe takes a tick.
func (r *lindonMalek) Observe(v *View) bool {
	if v.T <= 0 {
		return false
	}
	r.cx, r.bx = r.cx+v.CX, r.bx+v.BX
	x := r.cx + r.bx
	if r.cx <= r.share*x {
		return false
	}
	a, b := lindonMalekK*r.share, lindonMalekK*(1-r.share)
	return logBeta(a+r.cx, b+r.bx)-logBeta(a, b)-r.cx*math.Log(r.share)-r.bx*math.Log(1-r.share) >= r.bar
}

func logBeta(a, b float64) float64 {
	la, _ := math.Lgamma(a)
	lb, _ := math.Lgamma(b)
	lab, _ := math.Lgamma(a + b)
	return la + lb - lab
}

// turner is the growth-optimal e-variable for two streams with estimates plugged in (Turner, Ly, Grünwald, "Generic
// E-variables for exact sequential k-sample tests", 2024): each tick is a block, the estimates are those of the ticks
// before it, with their prior of 0.18 pseudo-events. While the candidate does not look worse it bets nothing.
type turner struct {
	bar            float64
	e              float64
	cn, cx, bn, bx float64
}

const turnerPrior = 0.18

// Observe takes a tick.
func (r *turner) Observe(v *View) bool {
	if v.T <= 0 {
		return false
	}
	tc := (r.cx + turnerPrior) / (r.cn + 2*turnerPrior)
	tb := (r.bx + turnerPrior) / (r.bn + 2*turnerPrior)
	if tc > tb && v.CN > 0 && v.BN > 0 {
		t0 := (v.CN*tc + v.BN*tb) / (v.CN + v.BN)
		r.e += v.CX*math.Log(tc/t0) + (v.CN-v.CX)*math.Log((1-tc)/(1-t0)) + v.BX*math.Log(tb/t0) + (v.BN-v.BX)*math.Log((1-tb)/(1-t0))
	}
	r.cn, r.cx, r.bn, r.bx = r.cn+v.CN, r.cx+v.CX, r.bn+v.BN, r.bx+v.BX
	return r.e >= r.bar
}

// ratios are the alternatives over which e-share spreads its bet.
func ratios() []float64 {
	return []float64{1.25, 1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128, 200}
}

// shares is the likelihood ratio, mixed over ratios of error rates, of how many of the bad events of a tick fell on the
// candidate, given its share of that tick's requests: the method that belay's own begins with, without what makes it
// stand up to clumps, late faults and unequal instances. With the one true ratio it is an oracle.
type shares struct {
	bar    float64
	ratios []float64
	log    []float64
	from   float64 // the fault is known not to begin before
}

func newShares(alpha float64, ratios ...float64) *shares {
	return &shares{bar: 1 / alpha, ratios: ratios, log: make([]float64, len(ratios))}
}

// Observe takes a tick.
func (r *shares) Observe(v *View) bool {
	if v.T <= r.from || v.CN == 0 || v.BN == 0 {
		return false
	}
	sum := 0.0
	for i, psi := range r.ratios {
		r.log[i] += v.CX*math.Log(psi) - (v.CX+v.BX)*math.Log((psi*v.CN+v.BN)/(v.CN+v.BN))
		sum += math.Exp(r.log[i])
	}
	return sum/float64(len(r.ratios)) >= r.bar
}

// Oracles know what no rule can know: how near to them a rule comes says how much is left to gain.
func Oracles() []Entry {
	return []Entry{
		entry("oracle-ratio", "knows by how much the rate rises, and when", func(f Facts) Rule {
			r := newShares(f.Alpha, soughtRate(f)/f.Usual)
			r.from = knownOnset(f)
			return r
		}),
		entry("oracle-all", "knows both rates, and when", func(f Facts) Rule {
			return &sprt{bar: math.Log(1 / f.Alpha), p0: f.Usual, p1: soughtRate(f), from: knownOnset(f)}
		}),
	}
}

// soughtRate is the error rate that the oracles know of; where nothing is wrong, they look for twice the usual one.
func soughtRate(f Facts) float64 {
	if f.Bad > f.Usual {
		return f.Bad
	}
	return 2 * f.Usual
}

// knownOnset is when a fault begins; where there is none, it might at once.
func knownOnset(f Facts) float64 {
	if math.IsInf(f.Onset, 1) {
		return 0
	}
	return f.Onset
}

// sprt is Wald's sequential probability ratio test of the candidate alone, with both rates known beforehand.
type sprt struct{ bar, p0, p1, from, log float64 }

// Observe takes a tick.
func (r *sprt) Observe(v *View) bool {
	if v.T <= r.from {
		return false
	}
	r.log += v.CX*math.Log(r.p1/r.p0) + (v.CN-v.CX)*math.Log((1-r.p1)/(1-r.p0))
	return r.log >= r.bar
}

// information is the likelihood ratio of a share of bad events against the one that is due, at its largest.
func information(cx, x, due float64) float64 {
	if x == 0 || cx <= due*x {
		return 0
	}
	return x * limit.KL(cx/x, due)
}
