package backtest

import "math"

// Rate is k of n, with the exact (Clopper-Pearson) 95 % interval of the rate behind it. Without any n the interval is
// all there is: 0 to 1.
type Rate struct {
	K    int     `json:"k"`
	N    int     `json:"n"`
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// RateOf returns the rate of which k of n were seen.
func RateOf(k, n int) Rate {
	const tail = 0.025
	r := Rate{K: k, N: n, High: 1}
	if k > 0 {
		r.Low = solve(func(p float64) bool { return atLeast(k, n, p) < tail })
	}
	if k < n {
		r.High = solve(func(p float64) bool { return 1-atLeast(k+1, n, p) > tail })
	}
	return r
}

// atLeast is the chance of k or more of n at probability p.
func atLeast(k, n int, p float64) float64 {
	if p <= 0 {
		return 0
	}
	sum := 0.0
	all, _ := math.Lgamma(float64(n + 1))
	for i := k; i <= n; i++ {
		a, _ := math.Lgamma(float64(i + 1))
		b, _ := math.Lgamma(float64(n - i + 1))
		sum += math.Exp(all - a - b + float64(i)*math.Log(p) + float64(n-i)*math.Log1p(-p))
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
