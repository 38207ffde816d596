// Package stream makes the deployments that the benchmark judges: ticks of samples as a collector would hand them to
// the judge, drawn from a seed one tick at a time, so that the longest watch costs no memory. Buffers are used again:
// a tick is valid until the next one is asked for.
package stream

import (
	"math"

	"github.com/belaydev/belay"
)

// Signal names that the streams use; they are the judge's built-in ones.
const (
	ErrorRate    = "error_rate"
	ResponseTime = "response_time"
	CPU          = "cpu_usage"
	KPI          = "kpi"
)

// instances is how many serve in all, before and during a watch, unless they are counted in one place.
const instances = 10

// Spec describes one cell of the benchmark: everything about its deployments but the luck.
type Spec struct {
	Cell   string  // seeds the draws, together with the number of the run
	Rate   float64 // requests a second of both sides together
	Share  float64 // of the candidate
	Usual  float64 // share of errors of the old release
	Bad    float64 // share of errors of the new release from Onset on
	Onset  float64 // seconds
	Tick   float64 // seconds between looks
	Length float64 // of the watch, seconds
	Past   Past
	Pooled bool // one instance a side, as a proxy counts; else ten with labels
	World  World

	// Profile is the traffic as a factor of Rate, for the time t of a watch; nil is steady.
	Profile func(t float64) float64
}

// Past is the history before the deployment.
type Past struct{ Length, Tick float64 }

// World is what else happens, to both sides alike unless it says otherwise. All of it together is possible.
type World struct {
	Outage   float64 // share of errors on both sides for five minutes somewhere in the watch
	Swing    float64 // relative amplitude of a slow wave in traffic and, in another phase, in the error rate
	Clump    Clump
	Spread   float64 // standard deviation of the logarithm of an instance's own error rate
	Ramp     bool    // the candidate's share grows from 1 to 50 % over the watch
	Mix      bool    // endpoints with different error rates, and a mix of the candidate that changes
	Restarts bool    // instances restart: silent for a moment, and counts of the tick around it are lost
	Gaps     bool    // readings fail, of an instance or of a whole side; the next one covers the gap
	Late     bool    // ticks arrive twice, or after the next one
}

// Clump says how bad events stick together, as retries do.
type Clump struct {
	Size   float64 // mean number at once; up to 1 means independent
	Law    Law
	Spread bool // the others of a clump follow 1 to 3 s after the first, as retries with back-off do
}

// Law is the distribution of the size of a clump.
type Law int

// The laws.
const (
	Constant Law = iota
	Geometric
)

// Times of what happens in a world, in seconds.
const (
	outageLength = 300
	swingPeriod  = 3600
	mixPeriod    = 1800
	restartEvery = 600 // mean time between restarts of an instance
	restartTicks = 3   // without samples
	backOffMin   = 1
	backOffMax   = 3
	lateChance   = 0.02 // of each tick
	gapChance    = 0.02 // that a gap begins, for each tick, and each instance and side
	gapMean      = 3    // ticks
)

// endpoint is a stratum: its part of the old release's traffic, and its error rate relative to the usual one.
type endpoint struct {
	name        string
	part, times float64
}

// endpoints have a weighted mean of times of 1.
func endpoints() []endpoint {
	return []endpoint{{"GET /list", 0.70, 0.225}, {"GET /search", 0.15, 1.117}, {"POST /order", 0.15, 4.5}}
}

// parts is the mix of endpoints of one side at time t: the old release's never changes, that of the candidate swings
// between the same mix and three times as many orders.
func parts(arm belay.Arm, t float64, of []endpoint, into []float64) {
	if len(of) == 1 {
		into[0] = 1
		return
	}
	order := of[len(of)-1].part
	if arm == belay.ArmCandidate {
		order *= 1 + (1 - math.Cos(2*math.Pi*t/mixPeriod))
	}
	rest := (1 - order) / (1 - of[len(of)-1].part)
	for i, e := range of {
		into[i] = e.part * rest
	}
	into[len(of)-1] = order
}

// share is that of the candidate at time t.
func (s *Spec) share(t float64) float64 {
	if s.World.Ramp {
		return 0.01 + 0.49*t/s.Length
	}
	return s.Share
}

// candidates is how many of the instances are the candidate's.
func (s *Spec) candidates() int {
	if s.World.Ramp {
		return instances / 2
	}
	return max(1, min(instances-1, int(math.Round(instances*s.Share))))
}
