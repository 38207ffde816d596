package stats

import "math"

// small is the width of the support up to which the generating polynomial is evaluated directly. Its coefficients are
// scaled to at most 1, so the largest term, psi to the power of small, stays far below the range of a float64 for
// every ratio in use (at most a few hundred).
const small = 60

// Odds writes to out, for each odds ratio in alts, the exact conditional log likelihood ratio of c against the odds
// ratio null (E-odds). Given how many bad events happened in all, the candidate's number follows Fisher's noncentral
// hypergeometric law, at any rate of bad events. Counts are rounded to whole numbers.
func Odds(c Counts, alts []float64, null float64, out []float64) {
	nc, nb := math.Round(c.CN), math.Round(c.BN)
	xc := math.Round(c.CX)
	x := xc + math.Round(c.BX)
	lo, hi := math.Max(0, x-nb), math.Min(nc, x)
	if hi <= lo || xc < lo || xc > hi { // only one outcome was possible: no information
		clear(out)
		return
	}
	if hi-lo <= small {
		var coef [small + 1]float64
		k := coefficients(coef[:], nc, nb, x, lo, hi)
		base := math.Log(horner(k, null))
		for i, a := range alts {
			out[i] = (xc-lo)*math.Log(a/null) - math.Log(horner(k, a)) + base
		}
		return
	}
	base := logSum(nc, nb, x, lo, hi, null)
	for i, a := range alts {
		out[i] = xc*math.Log(a/null) - logSum(nc, nb, x, lo, hi, a) + base
	}
}

// ratio is the quotient of the terms j+1 and j of the law with odds ratio 1.
func ratio(nc, nb, x, j float64) float64 {
	return (nc - j) * (x - j) / ((j + 1) * (nb - x + j + 1))
}

// coefficients fills k with the terms from lo to hi, the largest of them 1.
func coefficients(k []float64, nc, nb, x, lo, hi float64) []float64 {
	k = k[:int(hi-lo)+1]
	mode := 0
	for j := lo; j < hi && ratio(nc, nb, x, j) > 1; j++ {
		mode++
	}
	k[mode] = 1
	for i := mode + 1; i < len(k); i++ {
		k[i] = k[i-1] * ratio(nc, nb, x, lo+float64(i-1))
	}
	for i := mode - 1; i >= 0; i-- {
		k[i] = k[i+1] / ratio(nc, nb, x, lo+float64(i))
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
func logSum(nc, nb, x, lo, hi, psi float64) float64 {
	mode := mode(nc, nb, x, lo, hi, psi)
	const enough = 1e-14
	sum := 1.0
	for j, t := mode, 1.0; j < hi && t > enough; j++ {
		t *= ratio(nc, nb, x, j) * psi
		sum += t
	}
	for j, t := mode, 1.0; j > lo && t > enough; j-- {
		t /= ratio(nc, nb, x, j-1) * psi
		sum += t
	}
	return logChoose(nc, mode) + logChoose(nb, x-mode) + mode*math.Log(psi) + math.Log(sum)
}

// mode is the place of the largest term: where the term ratio times psi passes 1, a quadratic equation. A rounding
// error of one place does no harm, the sum only starts beside its largest term.
func mode(nc, nb, x, lo, hi, psi float64) float64 {
	a := psi - 1
	b := -(psi*(nc+x+2) + nb - x)
	c := psi * (nc + 1) * (x + 1)
	var m float64
	if math.Abs(a) < 1e-9 {
		m = -c / b
	} else {
		m = 2 * c / (-b + math.Sqrt(math.Max(0, b*b-4*a*c)))
	}
	return math.Min(hi, math.Max(lo, math.Floor(m)))
}

func logChoose(n, k float64) float64 {
	a, _ := math.Lgamma(n + 1)
	b, _ := math.Lgamma(k + 1)
	c, _ := math.Lgamma(n - k + 1)
	return a - b - c
}
