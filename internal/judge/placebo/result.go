package placebo

// Lack is what a history lacks to be a measure.
type Lack int

// What a history may lack.
const (
	Nothing   Lack = iota
	TooShort       // it has less than MinHistory steps
	TooSparse      // too many values are missing
	Ended          // it ends before the deployment
)

// Lack says why nothing can be judged.
func (t *Test) Lack() Lack { return t.lack }

// Score is -ln p: how surprising the watch is so far, 0 when not at all. It reaches ln(1/a) at any time of the watch
// with a chance of about a when nothing changed, and never falls.
func (t *Test) Score() float64 { return t.score }

// Steps returns how many values of the watch were taken, and how many can be.
func (t *Test) Steps() (taken, most int) { return t.h, t.w }

// Placebos returns how many moments of the past the watch is measured against, and how many watches fit behind each
// other.
func (t *Test) Placebos() (moments int, watches float64) { return t.m, t.watches }

// Finding returns what speaks most against the release. Actual and Usual are means over the window, of the values as
// they came.
func (t *Test) Finding() Finding {
	f := t.finding
	if !f.Settled {
		return f
	}
	tail := t.tails[f.Family]
	f.AsBad, f.Of = tail.atLeast(t.peaks[f.Family]), len(tail.sorted)
	n := float64(f.To - f.From)
	for h := f.From; h < f.To; h++ {
		x := t.forecast[h] + t.z[h]*t.unit[h]
		f.Actual += t.scale.back(x) / n
		f.Usual += t.scale.back(t.forecast[h]) / n
	}
	return f
}
