package stream

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
)

// dice are the draws of one run. They depend on the name of the cell and the number of the run alone, so a run is the
// same whoever runs it, whenever, and beside whatever.
type dice struct{ *rand.Rand }

func newDice(cell, part string, run int) dice {
	h := fnv.New64a()
	h.Write([]byte(cell + "\x00" + part))
	return dice{rand.New(rand.NewPCG(h.Sum64(), uint64(run)))}
}

// poisson draws a Poisson number: by inversion when the mean is small, else by Hörmann's transformed rejection
// ("The transformed rejection method for generating Poisson random variables", 1993, algorithm PTRS).
func (d dice) poisson(mean float64) float64 {
	if mean <= 0 {
		return 0
	}
	if mean < 12 {
		k, p, u := 0.0, math.Exp(-mean), d.Float64()
		for u > p && k < 200 { // the second condition only guards against rounding
			u -= p
			k++
			p *= mean / k
		}
		return k
	}
	b := 0.931 + 2.53*math.Sqrt(mean)
	a := -0.059 + 0.02483*b
	inv, vr := 1.1239+1.1328/(b-3.4), 0.9277-3.6224/(b-2)
	for {
		u, v := d.Float64()-0.5, d.Float64()
		us := 0.5 - math.Abs(u)
		k := math.Floor((2*a/us+b)*u + mean + 0.43)
		if us >= 0.07 && v <= vr {
			return k
		}
		if k < 0 || us < 0.013 && v > us {
			continue
		}
		lg, _ := math.Lgamma(k + 1)
		if math.Log(v)+math.Log(inv)-math.Log(a/(us*us)+b) <= k*math.Log(mean)-mean-lg {
			return k
		}
	}
}

// thin keeps each of n events with probability p.
func (d dice) thin(n, p float64) float64 {
	kept := 0.0
	for range int(n) {
		if d.Float64() < p {
			kept++
		}
	}
	return kept
}

// geometric draws the size of a clump, 1 or more.
func (d dice) geometric(mean float64) float64 {
	if mean <= 1 {
		return 1
	}
	return 1 + math.Floor(math.Log1p(-d.Float64())/math.Log1p(-1/mean))
}

// effect draws the factor by which an instance differs from the others for as long as it lives.
func (d dice) effect(sd float64) float64 { return math.Exp(sd * d.NormFloat64()) }
