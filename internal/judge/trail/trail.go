// Package trail remembers how a signal went over a watch in a small, fixed space.
package trail

import (
	"math"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/judge/stats"
)

// Trail remembers how a signal went, at ever coarser moments: a watch of days costs no more than one of minutes.
type Trail struct {
	at    [length]moment
	n     int
	every float64 // seconds between two moments
	now   moment  // being gathered
}

// moment is what was seen between two moments, in little space.
type moment struct {
	t, logE float32
	counts  [4]float32 // of events: those of stats.Counts
	value   [2]float32 // of the others
	has     [2]bool
}

const length = 32 // even

// Due tells whether the tick at t ends a moment: what costs something to find out is wanted only then.
func (r *Trail) Due(t float64) bool {
	return r.n == 0 || t-float64(r.at[r.n-1].t) >= math.Max(1, r.every)
}

// Add takes the evidence at the tick at t, what was counted in it, or the values of both sides.
func (r *Trail) Add(t, logE float64, now stats.Counts, value [2]*float64) {
	due := r.Due(t)
	m := &r.now
	m.t, m.logE = float32(t), float32(logE)
	for i, v := range [4]float64{now.CN, now.CX, now.BN, now.BX} {
		m.counts[i] += float32(v)
	}
	for side, v := range value {
		if v != nil {
			m.value[side], m.has[side] = float32(*v), true
		}
	}
	if !due {
		return
	}
	if r.n == length {
		r.thin()
	}
	r.at[r.n] = *m
	r.n++
	r.now = moment{}
}

// thin joins two moments each into one.
func (r *Trail) thin() {
	for i := 0; i < length; i += 2 {
		m := r.at[i+1]
		for k := range m.counts {
			m.counts[k] += r.at[i].counts[k]
		}
		r.at[i/2] = m
	}
	r.n /= 2
	r.every = 2 * math.Max(1, r.every)
}

// Points returns the trail for a card.
func (r *Trail) Points() []belay.TrailPoint {
	out := make([]belay.TrailPoint, 0, r.n+1)
	moments := r.at[:r.n]
	if r.now.t > 0 && (r.n == 0 || r.now.t > r.at[r.n-1].t) {
		moments = append(append([]moment{}, moments...), r.now)
	}
	for _, m := range moments {
		p := belay.TrailPoint{T: round(float64(m.t)), EValue: math.Exp(math.Min(stats.MaxLog, float64(m.logE)))}
		for side, to := range []**float64{&p.Candidate, &p.Baseline} {
			n, x := float64(m.counts[2*side]), float64(m.counts[2*side+1])
			switch {
			case n > 0:
				v := x / n
				*to = &v
			case m.has[side]:
				v := float64(m.value[side])
				*to = &v
			}
		}
		out = append(out, p)
	}
	return out
}

// round takes away what a small number adds to a time.
func round(t float64) float64 { return math.Round(t*1000) / 1000 }
