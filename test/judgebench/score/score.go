// Package score turns what became of many runs into what can be compared: how often a rule was wrong, how late it was
// right, and whom that harmed, each with its uncertainty.
package score

import (
	"math"
	"slices"
)

// Outcome is what one rule made of one run.
type Outcome struct {
	Decided bool    // it would have taken the release back
	At      float64 // seconds since the deployment; only when decided
	Bad     float64 // bad answers of the candidate since the fault began, until then or until the end
	Excess  float64 // of these, more than the old release would have given
	Healthy float64 // seconds until the release was called healthy; +Inf for never, NaN for rules that never say so
	By      string  // what decided, as the judge names it
}

// Enough is the share of faults that a rule must find before its harm can be compared with a limit: harm of those that
// it does not find ends with the watch only.
const Enough = 0.95

// Score sums up the runs of one rule in one cell.
type Score struct {
	Runs      int
	Early     int     // decided before the fault began, or without any fault: false rollbacks
	Found     int     // decided after it began
	Undecided int     // neither taken back nor called healthy by the end
	Median    float64 // seconds from the fault to the decision, misses counting as +Inf
	P90       float64
	Bad       float64 // mean bad answers until the decision, misses counting to the end
	BadWithin float64 // half of the 95 % interval of Bad
	Excess    float64 // of Bad, more than the old release would have given
	Mean      float64 // mean seconds to the decision, misses counting to the end of the watch; NaN without a fault
	Healthy   float64 // median seconds to healthy; +Inf when fewer than half got there
	HealthyBy float64 // share of runs that were called healthy at some time
	By        map[string]int
}

// Of sums up the runs of a cell whose fault begins at onset in a watch of that length; +Inf for a release without
// fault.
func Of(runs []Outcome, onset, length float64) Score {
	s := Score{Runs: len(runs), By: map[string]int{}}
	var delays, healthy []float64
	var bad, badSquared, excess, mean float64
	for _, o := range runs {
		if o.Decided {
			s.By[o.By]++
		}
		if !math.IsNaN(o.Healthy) {
			healthy = append(healthy, o.Healthy)
			if !math.IsInf(o.Healthy, 1) {
				s.HealthyBy++
			}
		}
		if !o.Decided && !(o.Healthy < math.Inf(1)) {
			s.Undecided++
		}
		if o.Decided && o.At <= onset {
			s.Early++
			continue
		}
		delay := math.Inf(1)
		if o.Decided {
			s.Found++
			delay = o.At - onset
		}
		delays = append(delays, delay)
		mean += math.Min(delay, length-onset)
		bad += o.Bad
		badSquared += o.Bad * o.Bad
		excess += o.Excess
	}
	n := float64(len(delays))
	s.Median, s.P90 = Quantile(delays, 0.5), Quantile(delays, 0.9)
	s.Bad, s.Excess, s.Mean = bad/n, excess/n, mean/n
	s.BadWithin = 1.96 * math.Sqrt(math.Max(0, badSquared/n-s.Bad*s.Bad)/n)
	if math.IsInf(onset, 1) {
		s.Mean = math.NaN()
	}
	s.Healthy = Quantile(healthy, 0.5)
	s.HealthyBy /= float64(len(runs))
	return s
}

// Wrong is the share of false rollbacks, with its 95 % interval.
func (s Score) Wrong() (rate, low, high float64) {
	low, high = Interval(s.Early, s.Runs)
	return float64(s.Early) / float64(s.Runs), low, high
}

// Rate is the share of faults found, of the runs in which nothing was decided before there was one.
func (s Score) Rate() float64 { return float64(s.Found) / float64(s.Runs-s.Early) }

// Quantile returns the smallest value that at least the share q of the values do not exceed; NaN of nothing. +Inf is a
// value like any other.
func Quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	rank := int(math.Ceil(q * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}
