// Package silence notices that requests stop reaching a candidate while the baseline goes on serving. That says
// nothing about the quality of the candidate: routing or counting is broken, and no rate can be trusted.
package silence

import "math"

// Watch follows the share of the requests that reach the candidate. It tests, at every tick, whether the candidate gets
// at least a quarter of what it should against nearly nothing (a hundredth), by a CUSUM of log likelihood ratios of
// Poisson counts. What it should get is what routing says, or else what it got before: then only nothing at all is
// silence, since who lowers a weight does not tell us. The zero value is ready.
type Watch struct {
	got, other float64 // requests of the candidate and the baseline, the newest most
	sum        float64
	missed     float64 // requests that were to be expected since it became silent
	since      float64
	sinceN     float64 // requests of the baseline since then
	silent     bool
	begun      bool
}

// What the test compares, as shares of what is expected.
const (
	least    = 0.25
	nearly   = 0.01
	enough   = 7.6     // logarithm of 1/0.01 for the chance, and of 20 for the many times it may begin
	memory   = 60.0    // requests of the candidate after which its share is known well enough
	halfLife = 10000.0 // requests of both sides after which what was seen counts half
)

// Take takes the requests of both sides in the tick at t. share is what routing says the candidate should get; NaN when
// it does not say.
func (w *Watch) Take(t, candidate, baseline, share float64) {
	known := !math.IsNaN(share)
	if !known {
		share = w.usual()
	}
	if baseline > 0 && share > 0 && share < 1 && (w.begun || known) {
		expected := baseline * share / (1 - share)
		if known || candidate == 0 {
			w.test(t, candidate, baseline, expected)
		} else {
			w.clear()
		}
	} else if candidate > 0 {
		w.clear()
	}
	w.begun = w.begun || candidate > 0
	if !known {
		w.learn(candidate, baseline)
	}
}

func (w *Watch) test(t, candidate, baseline, expected float64) {
	before := w.sum
	w.sum = math.Max(0, w.sum+candidate*math.Log(nearly/least)+(least-nearly)*expected)
	if before == 0 && w.sum > 0 {
		w.since, w.missed, w.sinceN = t, 0, 0
	}
	w.missed, w.sinceN = w.missed+expected, w.sinceN+baseline
	w.silent = w.sum >= enough
}

func (w *Watch) clear() { w.sum, w.missed, w.silent = 0, 0, false }

// usual is the share that the candidate got before; 0 while too little is known.
func (w *Watch) usual() float64 {
	if w.got < memory {
		return 0
	}
	return w.got / (w.got + w.other)
}

// learn remembers what both sides got while the candidate got anything.
func (w *Watch) learn(candidate, baseline float64) {
	if candidate == 0 {
		return
	}
	keep := math.Exp2(-(candidate + baseline) / halfLife)
	w.got, w.other = w.got*keep+candidate, w.other*keep+baseline
}

// Silence is what is missing.
type Silence struct {
	Since    float64 // seconds
	Expected float64 // requests of the candidate since then
	Baseline float64 // requests of the baseline since then
}

// Silent tells whether requests do not reach the candidate.
func (w *Watch) Silent() (Silence, bool) {
	return Silence{Since: w.since, Expected: w.missed, Baseline: w.sinceN}, w.silent
}
