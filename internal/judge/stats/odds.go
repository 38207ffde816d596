package stats

import "math"

// small is the width of the support up to which the generating polynomial is evaluated directly. Its coefficients are
// scaled to at most 1, so the largest term, psi to the power of small, stays far below the range of a float64 for
// every ratio in use (at most a few hundred).
const small = 60

// table is what the conditional law of the candidate's bad events is made of: the events of both sides, the bad ones in
// all, and the range of the candidate's.
type table struct{ nc, nb, x, lo, hi float64 }

// Odds writes to out, for each odds ratio in alts, the exact conditional log likelihood ratio of c against the odds
// ratio null (E-odds). Given how many bad events happened in all, the candidate's number follows Fisher's noncentral
// hypergeometric law, at any rate of bad events. Counts are rounded to whole numbers.
func Odds(c Counts, alts []float64, null float64, out []float64) {
	xc := math.Round(c.CX)
	t := newTable(math.Round(c.CN), math.Round(c.BN), xc+math.Round(c.BX))
	if t.hi <= t.lo || xc < t.lo || xc > t.hi { // only one outcome was possible: no information
		clear(out)
		return
	}
	if t.hi-t.lo <= small {
		var coef [small + 1]float64
		k := t.coefficients(coef[:])
		base := math.Log(horner(k, null))
		for i, a := range alts {
			out[i] = (xc-t.lo)*math.Log(a/null) - math.Log(horner(k, a)) + base
		}
		return
	}
	base := t.logSum(null)
	for i, a := range alts {
		out[i] = xc*math.Log(a/null) - t.logSum(a) + base
	}
}

func newTable(nc, nb, x float64) table {
	return table{nc: nc, nb: nb, x: x, lo: math.Max(0, x-nb), hi: math.Min(nc, x)}
}

// ratio is the quotient of the terms j+1 and j of the law with odds ratio 1.
func (t table) ratio(j float64) float64 {
	return (t.nc - j) * (t.x - j) / ((j + 1) * (t.nb - t.x + j + 1))
}

// coefficients fills k with the terms from lo to hi, the largest of them 1.
func (t table) coefficients(k []float64) []float64 {
	k = k[:int(t.hi-t.lo)+1]
	mode := 0
	for j := t.lo; j < t.hi && t.ratio(j) > 1; j++ {
		mode++
	}
	k[mode] = 1
	for i := mode + 1; i < len(k); i++ {
		k[i] = k[i-1] * t.ratio(t.lo+float64(i-1))
	}
	for i := mode - 1; i >= 0; i-- {
		k[i] = k[i+1] / t.ratio(t.lo+float64(i))
	}
	return k
}

func horner(k []float64, psi float64) float64 {
	s := 0.0
	for i := len(k) - 1; i >= 0; i-- {
		s = s*psi + k[i]
	}
	return s
}

// logSum is the logarithm of the sum of C(nc,j) C(nb,x-j) psi^j over j, summed outwards from the largest term until
// what is added no longer counts.
func (t table) logSum(psi float64) float64 {
	mode := t.mode(psi)
	const enough = 1e-14
	sum := 1.0
	for j, v := mode, 1.0; j < t.hi && v > enough; j++ {
		v *= t.ratio(j) * psi
		sum += v
	}
	for j, v := mode, 1.0; j > t.lo && v > enough; j-- {
		v /= t.ratio(j-1) * psi
		sum += v
	}
	return logChoose(t.nc, mode) + logChoose(t.nb, t.x-mode) + mode*math.Log(psi) + math.Log(sum)
}

// mode is the place of the largest term: where the term ratio times psi passes 1, a quadratic equation. A rounding
// error of one place does no harm, the sum only starts beside its largest term.
func (t table) mode(psi float64) float64 {
	a := psi - 1
	b := -(psi*(t.nc+t.x+2) + t.nb - t.x)
	c := psi * (t.nc + 1) * (t.x + 1)
	var m float64
	if math.Abs(a) < 1e-9 {
		m = -c / b
	} else {
		m = 2 * c / (-b + math.Sqrt(math.Max(0, b*b-4*a*c)))
	}
	return math.Min(t.hi, math.Max(t.lo, math.Floor(m)))
}

func logChoose(n, k float64) float64 {
	a, _ := math.Lgamma(n + 1)
	b, _ := math.Lgamma(k + 1)
	c, _ := math.Lgamma(n - k + 1)
	return a - b - c
}
