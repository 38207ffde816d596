package compare

import (
	"math"

	"github.com/belaydev/belay/internal/judge/stats"
)

// What the past must hold before a release is compared with it.
const (
	PastMin        = 200 // events of the signal
	pastMinStratum = 50  // events of a stratum
	pastMiss       = 0.01
	pastMargin     = 2 // odds ratio to the past that is still taken for its normal change
)

// history is the past of a share before the deployment. Its worst minute counts as normal: a rate that moves by
// itself must not be taken for the work of a release.
type history struct {
	n, x   float64
	minute float64
	mn, mx float64 // of the current minute
	worst  float64
}

func (h *history) add(t, n, x float64) {
	if m := math.Floor(t / 60); m != h.minute {
		if h.mn >= 100 { // whole minutes only, and only what is more than the luck of small numbers
			h.worst = math.Max(h.worst, stats.LowerLimit(h.mn, h.mx, 0.1))
		}
		h.minute, h.mn, h.mx = m, 0, 0
	}
	h.n += n
	h.x += x
	h.mn += n
	h.mx += x
}

// reference holds the two rates that a candidate is judged against when nothing runs beside it.
type reference struct {
	bad  float64 // rates up to here are not blamed on the release
	harm float64 // rates from here on must be excluded for healthy
}

// reference derives the rates from the past; change is the smallest one that matters, absolute.
func (h *history) reference(change, harm float64) reference {
	upper := math.Max(h.worst, stats.UpperLimit(h.n, h.x, pastMiss))
	lower := stats.LowerLimit(h.n, h.x, pastMiss)
	return reference{
		bad:  math.Min(0.9, math.Max(timesOdds(upper, pastMargin), upper+change)),
		harm: math.Min(0.9, math.Max(timesOdds(lower, harm), lower+2*change)),
	}
}

// Limits derives from x bad events among n of the past the rate up to which nothing is blamed on a release, and the
// rate from which on it would do harm; change is the smallest change that matters, absolute.
func Limits(n, x, change, harm float64) (blameless, harmful float64) {
	ref := (&history{n: n, x: x}).reference(change, harm)
	return ref.bad, ref.harm
}

// timesOdds multiplies the odds of a share.
func timesOdds(p, psi float64) float64 { return psi * p / (1 - p + psi*p) }
