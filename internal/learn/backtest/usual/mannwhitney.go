package usual

import (
	"math"
	"slices"
)

// mannWhitney is the interval and the estimate of the shift of x against y by the Mann-Whitney U test, as Kayenta
// computes them (kayenta-mannwhitney, after R's wilcox.test): the shifts at which the standardised statistic takes the
// values that the confidence asks for. That statistic is a step function, which the solver meets within 1e-4 of a step
// and on either side of it; where the sides nearly agree this decides, so the solver is the same. False when all
// observations are tied.
func mannWhitney(x, y []float64, confidence float64) (low, high, estimate float64, ok bool) {
	s := shifts{slices.Sorted(slices.Values(x)), slices.Sorted(slices.Values(y))}
	least, most := s.x[0]-s.y[len(s.y)-1], s.x[len(s.x)-1]-s.y[0]
	atLeast, atMost := s.statistic(least), s.statistic(most)
	if math.IsNaN(atLeast) || math.IsNaN(atMost) {
		return 0, 0, 0, false
	}
	root := func(z float64) float64 {
		switch {
		case atLeast-z <= 0: // not to be reached with so few values: the interval ends at the smallest difference
			return least
		case atMost-z >= 0:
			return most
		}
		return brent(least, most, func(mu float64) float64 { return s.statistic(mu) - z })
	}
	z := -normalQuantile((1 - confidence) / 2)
	return root(z), root(-z), brent(least, most, s.statistic), true
}

// shifts are both samples, sorted.
type shifts struct{ x, y []float64 }

// statistic is the standardised rank sum of x moved down by mu against y, with a correction for continuity and for
// ties; NaN when all are tied.
func (s shifts) statistic(mu float64) float64 {
	n, m := float64(len(s.x)), float64(len(s.y))
	ranks, ties, seen := 0.0, 0.0, 0.0
	for i, j := 0, 0; i < len(s.x) || j < len(s.y); {
		v := math.Inf(1)
		if i < len(s.x) {
			v = s.x[i] - mu
		}
		if j < len(s.y) {
			v = math.Min(v, s.y[j])
		}
		mine, all := 0.0, 0.0
		for ; i < len(s.x) && s.x[i]-mu == v; i++ {
			mine, all = mine+1, all+1
		}
		for ; j < len(s.y) && s.y[j] == v; j++ {
			all++
		}
		ranks += mine * (seen + (all+1)/2)
		ties += all*all*all - all
		seen += all
	}
	d := ranks - n*(n+1)/2 - n*m/2
	if d != 0 {
		d -= math.Copysign(0.5, d)
	}
	variance := n * m / 12 * (n + m + 1 - ties/((n+m)*(n+m-1)))
	if variance == 0 {
		return math.NaN()
	}
	return d / math.Sqrt(variance)
}

// Accuracy of the solver, and the bound on its work, as in Kayenta and R.
const (
	brentWithin  = 1e-4
	brentRounds  = 1000
	brentEpsilon = 2.220446049250313e-16
)

// brent finds a root of f in [a, b] by Brent's method (R. Brent, "Algorithms for Minimization Without Derivatives",
// 1973, chapter 4; the steps are those of zeroin in Netlib).
func brent(a, b float64, f func(float64) float64) float64 {
	fa, fb := f(a), f(b)
	if fa == 0 {
		return a
	}
	if fb == 0 {
		return b
	}
	c, fc := a, fa
	for range brentRounds + 1 {
		last := b - a
		if math.Abs(fc) < math.Abs(fb) { // b is the best so far
			a, b, c = b, c, b
			fa, fb, fc = fb, fc, fb
		}
		within := 2*brentEpsilon*math.Abs(b) + brentWithin/2
		step := (c - b) / 2
		if math.Abs(step) <= within || fb == 0 {
			return b
		}
		if math.Abs(last) >= within && math.Abs(fa) > math.Abs(fb) {
			if p, q := interpolate([3]float64{a, b, c}, [3]float64{fa, fb, fc}); p < 0.75*(c-b)*q-math.Abs(within*q)/2 && p < math.Abs(last*q/2) {
				step = p / q
			}
		}
		switch {
		case math.Abs(step) >= within:
		case step > 0:
			step = within
		default:
			step = -within
		}
		a, fa = b, fb
		b += step
		fb = f(b)
		if fb > 0 && fc > 0 || fb < 0 && fc < 0 {
			c, fc = a, fa
		}
	}
	return b
}

// interpolate proposes a step p/q with p not negative: linear when only two points are known, else inverse quadratic.
func interpolate(at, f [3]float64) (p, q float64) {
	width := at[2] - at[1]
	if at[0] == at[2] {
		t := f[1] / f[0]
		p, q = width*t, 1-t
	} else {
		u, v, w := f[0]/f[2], f[1]/f[2], f[1]/f[0]
		p, q = w*(width*u*(u-v)-(at[1]-at[0])*(v-1)), (u-1)*(v-1)*(w-1)
	}
	if p > 0 {
		return p, -q
	}
	return -p, q
}
