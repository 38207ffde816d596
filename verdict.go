package belay

import (
	"encoding/json"
	"math"
	"time"
)

// Verdict is what a watch concludes.
type Verdict string

// The four verdicts, and the empty one for "not yet".
const (
	VerdictNone         Verdict = ""
	VerdictHealthy      Verdict = "healthy"
	VerdictRegressed    Verdict = "regressed"
	VerdictInsufficient Verdict = "insufficient" // too little traffic to tell
	VerdictBlind        Verdict = "blind"        // the monitoring is down
)

// Arm is a side of a comparison.
type Arm string

// The arms.
const (
	ArmCandidate Arm = "candidate"
	ArmBaseline  Arm = "baseline"
)

// AllInstances is the Instance of a sample that stands for all instances of a service together, as those of a history
// of days do: nothing is learned from it of how instances differ.
const AllInstances = "(all)"

// SampleKind says which fields of a Sample count.
type SampleKind string

// The kinds.
const (
	KindEvents    SampleKind = "events"    // N events, X of them bad, in this tick
	KindCount     SampleKind = "count"     // X events without a denominator, in N units of exposure (seconds of an instance, sessions)
	KindHistogram SampleKind = "histogram" // N events in this tick, Count cumulative over the bounds LE
	KindGauge     SampleKind = "gauge"     // Value now
)

// Sample is what one instance showed of one signal in one tick: the unit that judging works on, in memory, in
// the files of "belay judge" and in tests. Counts are raw differences of counters between two readings, never
// extrapolated rates.
type Sample struct {
	T        float64    `json:"t"` // seconds since the deployment; negative is history before it
	Signal   string     `json:"signal"`
	Kind     SampleKind `json:"kind"`
	Arm      Arm        `json:"arm"`
	Instance string     `json:"instance,omitempty"`
	Stratum  string     `json:"stratum,omitempty"` // route, method, region
	N        float64    `json:"n,omitempty"`       // events in this tick, of any outcome
	X        float64    `json:"x,omitempty"`       // bad ones among them
	LE       []float64  `json:"le,omitempty"`      // bucket bounds, ascending, in the signal's unit
	Count    []float64  `json:"count,omitempty"`   // cumulative counts at LE in this tick
	Sum      float64    `json:"sum,omitempty"`     // of the observed values in this tick (histogram)
	Value    float64    `json:"value,omitempty"`   // gauge
}

// HealthStatus is what is known of one health check of one instance.
type HealthStatus struct {
	Check   string        `json:"check"`  // name in the configuration
	Target  string        `json:"target"` // what was probed
	Arm     Arm           `json:"arm"`
	State   HealthState   `json:"state"`
	Since   time.Time     `json:"since"`             // in this state
	At      time.Time     `json:"at"`                // of the newest probe
	Passes  int           `json:"passes"`            // consecutive
	Fails   int           `json:"fails"`             // consecutive
	Latency time.Duration `json:"latency"`           // of the newest probe, nanoseconds
	Detail  string        `json:"detail"`            // why: "HTTP 503", "connection refused"
	Broken  []string      `json:"broken,omitempty"`  // dependencies that the body names as broken
	Release string        `json:"release,omitempty"` // version that the body reports, if any
}

// HealthState is the settled state of a check, after rise and fall counts.
type HealthState string

// The states of a check.
const (
	HealthUnknown   HealthState = "unknown" // not probed often enough to say
	HealthHealthy   HealthState = "healthy"
	HealthUnhealthy HealthState = "unhealthy"
)

// SourceStatus says whether a source of facts could be read in this tick.
type SourceStatus struct {
	Source string `json:"source"` // "metrics", "proxy edge", "health"
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"` // why not
}

// Tick is all that one look gathered: the input of judging.
type Tick struct {
	T       float64        `json:"t"`                 // seconds since the deployment
	Share   *float64       `json:"share,omitempty"`   // of the traffic that the candidate should get, where whoever routes says so
	Learned *Learned       `json:"learned,omitempty"` // with the first tick of a watch: what is known from before
	Samples []Sample       `json:"samples,omitempty"`
	Health  []HealthStatus `json:"health,omitempty"`
	Sources []SourceStatus `json:"sources,omitempty"`
	// Policy is on the first tick that a judge was shown live: what it judges by, as the first line of an evidence
	// stream has it. After a restart there is a new judge, which judges what was before by it too.
	Policy json.RawMessage `json:"policy,omitempty"`
}

// Card is a decision card: the evidence behind a verdict.
type Card struct {
	Verdict   Verdict          `json:"verdict"`
	Reason    string           `json:"reason"`               // one sentence
	Culprits  []string         `json:"culprits,omitempty"`   // signals or checks that decided, strongest first
	DecidedBy string           `json:"decided_by,omitempty"` // "comparison", "threshold", "hard stop", "health", "deadline", "user:ann"
	T         float64          `json:"t"`                    // seconds since the deployment, of this look
	FirstBad  *float64         `json:"first_bad,omitempty"`  // seconds since the deployment of the first bad moment
	Signals   []SignalEvidence `json:"signals,omitempty"`
	Health    []HealthStatus   `json:"health,omitempty"`
	Missing   []string         `json:"missing,omitempty"`    // what keeps the verdict from healthy, in words
	Blind     []string         `json:"blind,omitempty"`      // sources that could not be read, and why
	RuledOut  []string         `json:"ruled_out,omitempty"`  // what it was not, in words
	Policy    string           `json:"policy,omitempty"`     // the policy in one line, for the record
	DecidedAt *float64         `json:"decided_at,omitempty"` // seconds since the deployment at which the verdict was reached that it has now
}

// SignalEvidence is what is known of one signal.
type SignalEvidence struct {
	Signal    string       `json:"signal"`
	Kind      SampleKind   `json:"kind,omitempty"`
	Verdict   Verdict      `json:"verdict"`
	Method    string       `json:"method"`              // "comparison", "threshold", "hard stop"
	Against   Against      `json:"against,omitempty"`   // what it was compared with
	Unit      string       `json:"unit,omitempty"`      // "%", "s", "/s", "B"
	Candidate *float64     `json:"candidate,omitempty"` // its value over the watch so far
	Baseline  *float64     `json:"baseline,omitempty"`
	Threshold *float64     `json:"threshold,omitempty"`
	N         float64      `json:"n"`                    // events of the candidate
	X         float64      `json:"x"`                    // bad ones
	BaseN     float64      `json:"base_n"`               // events of the baseline
	BaseX     float64      `json:"base_x"`               // bad ones
	EValue    float64      `json:"e_value,omitempty"`    // evidence against the release, as odds
	Limit     float64      `json:"limit,omitempty"`      // acts at this e-value
	GoodE     float64      `json:"good_e,omitempty"`     // evidence for the release
	GoodLimit float64      `json:"good_limit,omitempty"` // healthy at this
	GoodIn    *float64     `json:"good_in,omitempty"`    // seconds until healthy can be proven, at the present pace
	Effect    *float64     `json:"effect,omitempty"`     // candidate/baseline: ratio of the odds of bad events, of the quantiles, of the levels
	Interval  *Interval    `json:"interval,omitempty"`   // of the effect: 95 %, valid at every moment of the watch
	FirstBad  *float64     `json:"first_bad,omitempty"`
	Stratum   string       `json:"stratum,omitempty"` // the worst one, when strata were told apart
	Note      string       `json:"note,omitempty"`    // one sentence
	Habits    []Habit      `json:"habits,omitempty"`  // what is held to be usual of the service
	Trail     []TrailPoint `json:"trail,omitempty"`   // how it went; only where asked for
}

// Against says what a signal was compared with.
type Against string

// What a signal may be compared with.
const (
	AgainstNothing  Against = ""         // limits only
	AgainstBaseline Against = "baseline" // the old release beside it
	AgainstPast     Against = "past"     // the time before the deployment
	AgainstBoth     Against = "both"     // beside it for a time, with the past for the rest
)

// Interval is a range of values. An open end is infinite, and null in JSON.
type Interval struct{ Low, High float64 }

// MarshalJSON writes [low, high].
func (i Interval) MarshalJSON() ([]byte, error) {
	ends := [2]*float64{&i.Low, &i.High}
	for k, v := range ends {
		if math.IsInf(*v, 0) || math.IsNaN(*v) {
			ends[k] = nil
		}
	}
	return json.Marshal(ends)
}

// UnmarshalJSON reads [low, high].
func (i *Interval) UnmarshalJSON(b []byte) error {
	var ends [2]*float64
	if err := json.Unmarshal(b, &ends); err != nil {
		return err
	}
	i.Low, i.High = math.Inf(-1), math.Inf(1)
	if ends[0] != nil {
		i.Low = *ends[0]
	}
	if ends[1] != nil {
		i.High = *ends[1]
	}
	return nil
}

// Habit is a quantity that the judge holds to be usual of a service, and where it has it from.
type Habit struct {
	Name   HabitName   `json:"name"`
	Value  float64     `json:"value"`
	Source HabitSource `json:"source"`
	Detail string      `json:"detail,omitempty"` // from how much it was learned, in words
}

// HabitName names a Habit.
type HabitName string

// The habits of a service.
const (
	HabitMargin     HabitName = "margin"     // factor up to which instances of one release differ, persistently
	HabitDispersion HabitName = "dispersion" // size of the clumps in which bad events come
	HabitSeason     HabitName = "season"     // seconds after which the signal repeats itself; 0 when it does not
)

// HabitSource says where a habit is known from.
type HabitSource string

// The sources of a habit.
const (
	HabitLearned HabitSource = "learned" // from the past, or from the baseline during the watch
	HabitAssumed HabitSource = "assumed" // before there is enough to learn from
	HabitSet     HabitSource = "set"     // by hand, in the policy
)

// TrailPoint is how a signal stood at a moment.
type TrailPoint struct {
	T         float64  `json:"t"`                   // seconds since the deployment
	EValue    float64  `json:"e_value"`             // evidence against the release, as odds
	Candidate *float64 `json:"candidate,omitempty"` // its value since the point before
	Baseline  *float64 `json:"baseline,omitempty"`
}
