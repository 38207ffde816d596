package stats

import "math"

// TailAbove returns the chance of x or more bad events among n when each is bad with probability p.
func TailAbove(n, x, p float64) float64 {
	switch {
	case x <= 0:
		return 1
	case x > n || p <= 0:
		return 0
	case p >= 1:
		return 1
	}
	return incBeta(x, n-x+1, p)
}

// UpperLimit returns the exact (Clopper-Pearson) one-sided upper limit of a rate, given x bad among n: a rate above
// it would show so few with a chance of at most miss.
func UpperLimit(n, x, miss float64) float64 {
	if n <= 0 || x >= n {
		return 1
	}
	return bisect(func(p float64) bool { return 1-TailAbove(n, x+1, p) > miss })
}

// LowerLimit returns the exact one-sided lower limit of a rate, given x bad among n.
func LowerLimit(n, x, miss float64) float64 {
	if n <= 0 || x <= 0 {
		return 0
	}
	return bisect(func(p float64) bool { return TailAbove(n, x, p) < miss })
}

// bisect finds where below turns from true to false on [0, 1].
func bisect(below func(float64) bool) float64 {
	lo, hi := 0.0, 1.0
	for range 60 {
		if mid := (lo + hi) / 2; below(mid) {
			lo = mid
		} else {
			hi = mid
		}
	}
	return (lo + hi) / 2
}

// incBeta is the regularised incomplete beta function by its continued fraction (Lentz).
func incBeta(a, b, x float64) float64 {
	la, _ := math.Lgamma(a)
	lb, _ := math.Lgamma(b)
	lab, _ := math.Lgamma(a + b)
	front := math.Exp(lab - la - lb + a*math.Log(x) + b*math.Log1p(-x))
	if x < (a+1)/(a+b+2) {
		return front * fraction(a, b, x) / a
	}
	return 1 - front*fraction(b, a, 1-x)/b
}

func fraction(a, b, x float64) float64 {
	const tiny = 1e-300
	notZero := func(v float64) float64 {
		if math.Abs(v) < tiny {
			return tiny
		}
		return v
	}
	c := 1.0
	d := 1 / notZero(1-(a+b)*x/(a+1))
	f := d
	for i := 1; i <= 10_000; i++ { // converges in about sqrt(a+b) rounds; the limit only makes it finite on paper
		m := float64(i)
		even := m * (b - m) * x / ((a + 2*m - 1) * (a + 2*m))
		d = 1 / notZero(1+even*d)
		c = notZero(1 + even/c)
		f *= d * c
		odd := -(a + m) * (a + b + m) * x / ((a + 2*m) * (a + 2*m + 1))
		d = 1 / notZero(1+odd*d)
		c = notZero(1 + odd/c)
		f *= d * c
		if math.Abs(d*c-1) < 1e-13 {
			break
		}
	}
	return f
}

// KL returns the information, in nats per event, that tells the rate p from the rate q.
func KL(p, q float64) float64 {
	return xlog(p, q) + xlog(1-p, 1-q)
}

func xlog(p, q float64) float64 {
	if p <= 0 {
		return 0
	}
	return p * math.Log(p/q)
}

// TwoSample returns the information per request, of either side, that tells a candidate with rate pc and share rho
// of the requests from the closest pair of rates whose ratio is at most margin.
func TwoSample(pc, pb, rho, margin float64) float64 {
	loss := func(p float64) float64 {
		return rho*KL(pc, math.Min(1-1e-12, margin*p)) + (1-rho)*KL(pb, p)
	}
	lo, hi := math.Max(1e-9, math.Min(pb, pc)/2), math.Min(math.Max(pc, pb), (1-1e-9)/margin)
	for range 100 { // the loss is convex in p: ternary search
		a, b := lo+(hi-lo)/3, hi-(hi-lo)/3
		if loss(a) < loss(b) {
			hi = b
		} else {
			lo = a
		}
	}
	return loss((lo + hi) / 2)
}

// VarianceLimit returns the factor by which a variance that was estimated with so many degrees of freedom is multiplied
// to be an upper limit of the true one that is too low one time in ten, by the chi-square law (quantile after Wilson
// and Hilferty 1931).
func VarianceLimit(free float64) float64 {
	const z = -1.2816
	k := math.Max(1, free)
	root := 1 - 2/(9*k) + z*math.Sqrt(2/(9*k))
	return 1 / math.Max(0.01, root*root*root)
}
