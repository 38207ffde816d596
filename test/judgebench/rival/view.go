// Package rival holds the rules that the judge is measured against: what people write by hand, what the products in
// this field do, textbook tests, and oracles that know what no rule can know. All see the same ticks as the judge.
package rival

import (
	"math"

	"github.com/belaydev/belay"
)

// View is a tick as a rule reads it: both sides summed up over instances and endpoints, which is what these rules do.
// The judge gets the tick itself.
type View struct {
	T      float64
	Tick   *belay.Tick
	CN, CX float64 // candidate: events, bad ones among them
	BN, BX float64 // baseline
	C, B   Histogram
	CV, BV float64 // means of a gauge over instances; NaN without one

	newest float64
}

// Histogram is a distribution in this tick: cumulative counts over upper bounds.
type Histogram struct {
	LE, Count []float64
	N         float64
}

// NewView is ready for the first tick.
func NewView() *View { return &View{newest: math.Inf(-1)} }

// Take reads a tick. It returns false for one that is not newer than what was read before: a rule that adds up counts
// must not see it twice, and the products that query a server would not.
func (v *View) Take(t *belay.Tick) bool {
	v.Tick = t
	if t.T <= v.newest {
		return false
	}
	v.T, v.newest = t.T, t.T
	v.CN, v.CX, v.BN, v.BX = 0, 0, 0, 0
	v.C.clear()
	v.B.clear()
	var sum, n [2]float64
	for i := range t.Samples {
		m := &t.Samples[i]
		side := 0
		h := &v.C
		if m.Arm == belay.ArmBaseline {
			side, h = 1, &v.B
		}
		switch m.Kind {
		case belay.KindGauge:
			sum[side] += m.Value
			n[side]++
		case belay.KindHistogram:
			h.add(m)
		case belay.KindEvents, belay.KindCount:
			if side == 0 {
				v.CN, v.CX = v.CN+m.N, v.CX+m.X
			} else {
				v.BN, v.BX = v.BN+m.N, v.BX+m.X
			}
		}
	}
	v.CV, v.BV = sum[0]/n[0], sum[1]/n[1]
	return true
}

func (h *Histogram) clear() {
	h.N = 0
	clear(h.Count)
}

// add adds a sample. The streams give all samples of a run the same bounds.
func (h *Histogram) add(m *belay.Sample) {
	if len(h.LE) != len(m.LE) {
		h.LE, h.Count = m.LE, make([]float64, len(m.LE))
	}
	h.N += m.N
	for i, c := range m.Count {
		h.Count[i] += c
	}
}
