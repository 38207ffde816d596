// Package past compares the readings of a value since a deployment with those before it. It lays readings at any times
// into equal steps for package placebo, which judges them, and finds out when the past is what there is to compare
// with. It knows no policies and no texts.
package past

import (
	"math"
	"slices"

	"github.com/belaydev/belay/internal/judge/placebo"
)

const day = 86400.0

// Settings say how readings are judged.
type Settings struct {
	Direction placebo.Direction
	MinEffect float64 // smallest relative change that matters; 0: placebo.DefaultMinEffect
	Length    float64 // seconds that the watch lasts
	Warmup    float64 // seconds at the beginning of a watch that are not looked at, when readings come more often
	Least     float64 // seconds of history without which nothing is judged; 0: placebo.MinHistory steps
	Ratio     bool    // readings are numerators and denominators, added up over instances and time; else values, averaged
}

// Side is one of the two sides: 0 the candidate, 1 the baseline.
type Side int

// The sides.
const (
	Candidate Side = iota
	Baseline
)

// Series turns readings at any times into the equal steps of a [placebo.Test]: the coarser of the steps of the history and the
// watch, coarser still for a watch of more than placebo.MaxWatch of these. It begins once the candidate is alone.
type Series struct {
	Settings
	past    []reading
	waiting []reading // of the candidate, until it is clear that it is alone, and how often it is read
	sum, n  [2]float64
	partner float64 // time of the baseline's newest reading in the watch
	beside  bool    // there was one

	test   *placebo.Test
	begin  float64 // of the watch, at the middle of its first reading
	step   float64 // seconds
	apart  float64 // seconds between two readings of the watch
	usable float64 // seconds of history that could be used
	late   bool    // some of the past came after it had begun
	next   int     // step that is not closed yet
	bin    reading // sum of the readings of the step
}

// reading is what all instances showed at a moment, a sum of n.
type reading struct{ t, sum, n float64 }

func (r reading) value() float64 { return r.sum / r.n }

// When the past takes the place of a baseline that no longer serves, and what is known of the spacing by then.
const (
	aloneAfter = 60.0 // seconds
	ticksAlone = 3
)

// watchPiece is the time, in seconds, over which readings of a baseline beside the candidate are put together.
const watchPiece = 30

// maxReadings of the past are kept; neighbours are averaged when there are more.
const maxReadings = 2 * placebo.MaxHistory

// New begins with nothing.
func New(s Settings) *Series {
	return &Series{Settings: s, partner: math.Inf(-1)}
}

// Remember takes a reading from before the deployment: a sum over n events, or a value with n of 1. Those of several
// instances at one moment belong together.
func (s *Series) Remember(t, sum, n float64) {
	s.late = s.late || s.test != nil
	if s.test != nil || !finite(sum) || !finite(t) || !(n > 0) {
		return
	}
	if k := len(s.past); k > 0 && s.past[k-1].t == t {
		s.past[k-1].sum, s.past[k-1].n = s.past[k-1].sum+sum, s.past[k-1].n+n
		return
	}
	s.past = append(s.past, reading{t, sum, n})
	if len(s.past) > maxReadings {
		s.thin()
	}
}

// thin averages neighbours, so that memory stays bounded however often the past was read.
func (s *Series) thin() {
	s.order()
	piece := 2 * spacing(s.past)
	out := s.past[:0]
	for i := 0; i < len(s.past); {
		r, k := reading{}, math.Floor(s.past[i].t/piece)
		n := 0.0
		for ; i < len(s.past) && math.Floor(s.past[i].t/piece) == k; i++ {
			m := s.weighted(s.past[i])
			r.t, r.sum, r.n, n = r.t+m.t, r.sum+m.sum, r.n+m.n, n+1
		}
		r.t /= n
		out = append(out, r)
	}
	s.past = out
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

func (s *Series) order() {
	slices.SortStableFunc(s.past, func(a, b reading) int {
		switch {
		case a.t < b.t:
			return -1
		case a.t > b.t:
			return 1
		}
		return 0
	})
}

// spacing is the usual time from one reading to the next; 0 when that cannot be told.
func spacing(r []reading) float64 {
	if len(r) < 2 {
		return 0
	}
	apart := make([]float64, len(r)-1)
	for i := range apart {
		apart[i] = r[i+1].t - r[i].t
	}
	slices.Sort(apart)
	return (apart[(len(apart)-1)/2] + apart[len(apart)/2]) / 2
}

// weighted is a reading as it counts beside those of other moments.
func (s *Series) weighted(r reading) reading {
	if !s.Ratio {
		r.sum, r.n = r.value(), 1
	}
	return r
}

// Take takes a reading of one instance in this tick.
func (s *Series) Take(side Side, sum, n float64) {
	if finite(sum) && n > 0 {
		s.sum[side] += sum
		s.n[side] += n
	}
}

// Step closes the tick at t.
func (s *Series) Step(t float64) {
	mine, base := reading{t, s.sum[Candidate], s.n[Candidate]}, reading{t, s.sum[Baseline], s.n[Baseline]}
	s.sum, s.n = [2]float64{}, [2]float64{}
	if base.n > 0 {
		s.keep(base)
		s.partner, s.beside = t, true
		s.waiting = s.waiting[:0]
		return
	}
	if mine.n == 0 || s.beside && t-s.partner < aloneAfter {
		return
	}
	mine = s.weighted(mine)
	if s.test != nil {
		s.judge(mine)
		return
	}
	s.waiting = append(s.waiting, mine)
	if len(s.waiting) < ticksAlone || !s.warm(t) {
		return
	}
	s.start()
	for _, r := range s.waiting {
		s.judge(r)
	}
	s.waiting = nil
}

// keep adds what the baseline shows in the watch to the past that there is, in pieces: that is the newest past once the
// baseline is gone.
func (s *Series) keep(r reading) {
	if len(s.past) == 0 || s.test != nil {
		return
	}
	r = s.weighted(r)
	if last := &s.past[len(s.past)-1]; last.t >= 0 && r.t < last.t+watchPiece {
		last.sum, last.n = last.sum+r.sum, last.n+r.n
		return
	}
	s.past = append(s.past, r)
}

// warm leaves readings of the warm-up aside where more come soon: what is read once a minute is not one of them.
func (s *Series) warm(t float64) bool {
	first := s.waiting[0].t
	if s.Warmup <= 0 || spacing(s.waiting) >= s.Warmup {
		return true
	}
	if t-first < s.Warmup {
		return false
	}
	after := s.waiting[:0]
	for _, r := range s.waiting {
		if r.t-first >= s.Warmup {
			after = append(after, r)
		}
	}
	s.Warmup, s.waiting = 0, after
	return len(after) >= ticksAlone
}

// start lays the steps: they are anchored at the first reading of the watch.
func (s *Series) start() {
	s.order()
	s.begin = s.waiting[0].t
	before := spacing(s.past)
	s.apart = math.Inf(1)
	for i := range len(s.waiting) - 1 {
		s.apart = math.Min(s.apart, s.waiting[i+1].t-s.waiting[i].t)
	}
	s.step = math.Max(before, s.apart)
	if math.Abs(before-s.apart) < 0.05*s.step { // jitter
		before, s.apart = s.step, s.step
	}
	length := math.Max(s.Length, s.step)
	s.step *= math.Max(1, math.Ceil(length/s.step/placebo.MaxWatch-1e-9))
	averaged := s.apart < before && !s.Ratio
	if before < s.apart && !s.Ratio {
		s.pick()
		before = s.apart
	}
	history := s.grid(before)
	if s.usable = float64(len(history)) * s.step; s.usable < s.Least {
		history = nil
	}
	s.test = placebo.New(history, placebo.Settings{Step: s.step, Watch: max(1, int(math.Ceil(length/s.step-1e-6))), Direction: s.Direction,
		MinEffect: s.MinEffect, Averaged: averaged})
	s.past = nil
}

// pick keeps one reading of the past for each of the watch: the mean of many would move less.
func (s *Series) pick() {
	place := func(r reading) float64 { return math.Floor((r.t - s.begin + 0.5*s.apart) / s.apart) }
	out := s.past[:0]
	for _, r := range s.past {
		if n := len(out); n > 0 && place(out[n-1]) == place(r) {
			out[n-1] = r
			continue
		}
		out = append(out, r)
	}
	s.past = out
}

// grid averages the history over steps, NaN where there is nothing.
func (s *Series) grid(apart float64) []float64 {
	reach := 14 * day
	if s.step >= 1800 {
		reach = 28 * day
	}
	first := 0
	place := func(r reading) int { return int(math.Floor((r.t - s.begin + 0.5*apart) / s.step)) }
	past := slices.DeleteFunc(s.past, func(r reading) bool { return r.t < s.begin-reach || place(r) >= 0 })
	for _, r := range past {
		first = min(first, place(r))
	}
	out, n := make([]float64, -first), make([]float64, -first)
	for _, r := range past {
		r = s.weighted(r)
		out[place(r)-first] += r.sum
		n[place(r)-first] += r.n
	}
	for i := range out {
		out[i] /= n[i] // NaN without a reading
	}
	return out
}

// judge takes a reading of the watch into its step, and closes the step when no other can follow in it.
func (s *Series) judge(r reading) {
	k := int(math.Min(math.Floor((r.t-s.begin+0.5*s.apart)/s.step), 1e9))
	if k < s.next {
		return // the step is closed
	}
	_, most := s.test.Steps()
	for s.next < min(k, most) {
		s.close()
	}
	if k >= most {
		return
	}
	s.bin.sum, s.bin.n = s.bin.sum+r.sum, s.bin.n+r.n
	if s.apart >= s.step || r.t-s.begin+1.25*s.apart >= float64(k+1)*s.step {
		s.close()
	}
}

func (s *Series) close() {
	v := math.NaN()
	if s.bin.n > 0 {
		v = s.bin.value()
	}
	s.test.Observe(v)
	s.bin = reading{}
	s.next++
}

// Begun tells whether the candidate is being judged by the past.
func (s *Series) Begun() bool { return s.test != nil && s.test.Lack() == placebo.Nothing }

// Spans tells, before it begins, whether there is enough of a past, and that it reaches back so many seconds.
func (s *Series) Spans(seconds float64) bool {
	return len(s.past) >= placebo.MinHistory && slices.ContainsFunc(s.past, func(r reading) bool { return r.t <= -seconds })
}

// Tried tells whether it is, or would be if the past were enough.
func (s *Series) Tried() bool { return s.test != nil }

// Beside tells whether a baseline was read in the watch.
func (s *Series) Beside() bool { return s.beside }

// Lack says why nothing can be judged by the past, with the seconds of history that there are and that are needed.
func (s *Series) Lack() (why placebo.Lack, have, need float64) {
	if s.test == nil {
		return placebo.Nothing, 0, 0
	}
	return s.test.Lack(), s.usable, math.Max(s.Least, placebo.MinHistory*s.step)
}

// Score is that of the test; 0 before it began.
func (s *Series) Score() float64 {
	if s.test == nil {
		return 0
	}
	return s.test.Score()
}

// Test returns the test; nil before it began.
func (s *Series) Test() *placebo.Test { return s.test }

// Span returns the seconds of the deployment at which a window of steps begins and ends.
func (s *Series) Span(f placebo.Finding) (from, to float64) {
	half := math.Min(s.apart, s.step) / 2
	return math.Max(0, s.begin-half+float64(f.From)*s.step), s.begin - half + float64(f.To)*s.step
}

// Judged returns for how many seconds the watch has been judged, and for how many it can be.
func (s *Series) Judged() (so, most float64) {
	if s.test == nil {
		return 0, 0
	}
	a, b := s.test.Steps()
	return float64(a) * s.step, float64(b) * s.step
}

// Seconds are those of a step; 0 before it began.
func (s *Series) Seconds() float64 { return s.step }
