package score

import "math"

// Interval is the exact (Clopper-Pearson) 95 % interval of a rate of which k of n were seen.
func Interval(k, n int) (low, high float64) {
	const tail = 0.025
	high = 1
	if k > 0 {
		low = solve(func(p float64) bool { return atLeast(k, n, p) < tail })
	}
	if k < n {
		high = solve(func(p float64) bool { return 1-atLeast(k+1, n, p) > tail })
	}
	return low, high
}

// atLeast is the chance of k or more of n at probability p.
func atLeast(k, n int, p float64) float64 {
	sum := 0.0
	if p <= 0 {
		return 0
	}
	all, _ := math.Lgamma(float64(n + 1))
	for i := k; i <= n; i++ {
		a, _ := math.Lgamma(float64(i + 1))
		b, _ := math.Lgamma(float64(n - i + 1))
		term := math.Exp(all - a - b + float64(i)*math.Log(p) + float64(n-i)*math.Log1p(-p))
		sum += term
		if float64(i) > p*float64(n) && term < 1e-14 { // beyond the peak the rest is smaller still
			break
		}
	}
	return math.Min(1, sum)
}

// solve finds where below turns from true to false on [0, 1].
func solve(below func(float64) bool) float64 {
	lo, hi := 0.0, 1.0
	for range 50 {
		if mid := (lo + hi) / 2; below(mid) {
			lo = mid
		} else {
			hi = mid
		}
	}
	return (lo + hi) / 2
}
