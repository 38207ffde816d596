package belay

import "time"

// Learned is what was learned of a service while nothing was deployed: sums that more can be added to, not
// conclusions. Package judge makes it and reads it; it is stored between deployments, and given to a watch with its
// first tick, so that a replay knows as much.
type Learned struct {
	Signals []LearnedSignal `json:"signals"`
	Until   time.Time       `json:"until"`   // it is of the time before
	Seconds float64         `json:"seconds"` // of observation in it, what is older counting less
}

// LearnedSignal is what was learned of one signal.
type LearnedSignal struct {
	Signal string            `json:"signal"`
	Kind   SampleKind        `json:"kind"`
	Bad    []LearnedInstance `json:"bad,omitempty"`    // bad, or slow, events by instance
	Clumps []LearnedClumps   `json:"clumps,omitempty"` // on the scales of a tick, of retries, of a minute
	Speeds []LearnedMoments  `json:"speeds,omitempty"` // of the logarithms of response times, by instance
	Slow   float64           `json:"slow,omitempty"`   // values above it count as slow, of a histogram
	Levels []LearnedMoments  `json:"levels,omitempty"` // of a gauge: deviations from the mean of all instances
	Scale  *LearnedScale     `json:"scale,omitempty"`  // of a gauge
}

// LearnedInstance sums the events of one instance.
type LearnedInstance struct {
	Name     string  `json:"name"`
	N        float64 `json:"n"`
	X        float64 `json:"x"`        // bad ones
	Expected float64 `json:"expected"` // bad ones, had it the rate of all
}

// LearnedClumps sums, over blocks of one length, how much more bad events vary than independent ones would.
type LearnedClumps struct {
	Excess float64 `json:"excess"`
	Usual  float64 `json:"usual"`
	Blocks float64 `json:"blocks"`
	Events float64 `json:"events"`
}

// LearnedMoments are the sums of values and of their squares, of one instance.
type LearnedMoments struct {
	Name    string  `json:"name"`
	N       float64 `json:"n"`
	Sum     float64 `json:"sum"`
	Squares float64 `json:"squares"`
	Cross   float64 `json:"cross,omitempty"` // products of a value and the one before it
	Pairs   float64 `json:"pairs,omitempty"`
	Spacing float64 `json:"spacing,omitempty"` // seconds between these, summed
}

// LearnedScale says how the values of a gauge are compared.
type LearnedScale struct {
	Offset float64 `json:"offset"` // added before the logarithm
	Unit   float64 `json:"unit"`   // usual size
	Linear bool    `json:"linear,omitempty"`
}

// LearnedStatus is what a service is held to be like, as the next watch would take it.
type LearnedStatus struct {
	Ref
	Until   time.Time      `json:"until,omitzero"`    // learned from the time before
	Hours   float64        `json:"hours"`             // of observation, what is older counting less
	Signals []SignalHabits `json:"signals"`           // every signal of the service
	Problem string         `json:"problem,omitempty"` // why learning does not go on
}

// SignalHabits is what is held to be usual of one signal.
type SignalHabits struct {
	Signal   string     `json:"signal"`
	Kind     SampleKind `json:"kind"`
	Compared bool       `json:"compared"`         // with the old release; else there is nothing to learn
	Habits   []Habit    `json:"habits,omitempty"` // what the comparison goes by
}
