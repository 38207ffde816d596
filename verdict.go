package belay

import "time"

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

// SampleKind says which fields of a Sample count.
type SampleKind string

// The kinds.
const (
	KindEvents    SampleKind = "events"    // N events, X of them bad, in this tick
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
	T       float64        `json:"t"` // seconds since the deployment
	Samples []Sample       `json:"samples,omitempty"`
	Health  []HealthStatus `json:"health,omitempty"`
	Sources []SourceStatus `json:"sources,omitempty"`
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
	Missing   []string         `json:"missing,omitempty"` // what keeps the verdict from healthy, in words
	Blind     []string         `json:"blind,omitempty"`   // sources that could not be read, and why
	Policy    string           `json:"policy,omitempty"`  // the policy in one line, for the record
}

// SignalEvidence is what is known of one signal.
type SignalEvidence struct {
	Signal    string   `json:"signal"`
	Verdict   Verdict  `json:"verdict"`
	Method    string   `json:"method"`              // "comparison", "threshold", "hard stop"
	Unit      string   `json:"unit,omitempty"`      // "%", "s", "/s", "B"
	Candidate *float64 `json:"candidate,omitempty"` // its value over the watch so far
	Baseline  *float64 `json:"baseline,omitempty"`
	Threshold *float64 `json:"threshold,omitempty"`
	N         float64  `json:"n"`                    // events of the candidate
	X         float64  `json:"x"`                    // bad ones
	BaseN     float64  `json:"base_n"`               // events of the baseline
	BaseX     float64  `json:"base_x"`               // bad ones
	EValue    float64  `json:"e_value,omitempty"`    // evidence against the release, as odds
	Limit     float64  `json:"limit,omitempty"`      // acts at this e-value
	GoodE     float64  `json:"good_e,omitempty"`     // evidence for the release
	GoodLimit float64  `json:"good_limit,omitempty"` // healthy at this
	Low       *float64 `json:"low,omitempty"`        // interval of the candidate/baseline ratio
	High      *float64 `json:"high,omitempty"`
	FirstBad  *float64 `json:"first_bad,omitempty"`
	Stratum   string   `json:"stratum,omitempty"` // the worst one, when strata were told apart
	Note      string   `json:"note,omitempty"`    // one sentence
}
