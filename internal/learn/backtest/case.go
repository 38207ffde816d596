// Package backtest replays past deployments through policies, and through the usual rules of other products, and tells
// what each would have done: whether and when it would have taken the release back, how many bad answers its users
// would have got until then, how often it would have been wrong. It is pure: cases in, a report out, the same for the
// same cases however many are replayed at once. Where the cases come from, and how a report looks, is not its business.
//
// What it cannot tell: the traffic of a past deployment is the traffic that it had. A policy that would have moved on
// sooner, or held back longer, would have shown the release to more or fewer users than the record says.
package backtest

import (
	"iter"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/judge/stream"
)

// Truth is whether a release was any good, as far as somebody has said so.
type Truth string

// The truths.
const (
	TruthUnknown Truth = ""
	TruthGood    Truth = "good"
	TruthBad     Truth = "bad"
)

// Fate is what becomes of a deployment.
type Fate string

// The fates.
const (
	FateTakenBack Fate = "taken_back"
	FateKept      Fate = "kept"
	FateHeld      Fate = "held"      // neither proven nor called bad in time: a person is asked
	FateUndecided Fate = "undecided" // the record ends before a decision
	FateUnknown   Fate = "unknown"   // nobody wrote down what really happened
	FateNone      Fate = "none"      // the rule cannot be applied: it needs what the record does not have
)

// Case is one past deployment.
type Case struct {
	ID string `json:"id"`
	belay.Ref
	Release  string    `json:"release,omitempty"`
	Previous string    `json:"previous,omitempty"`
	At       time.Time `json:"at,omitzero"`
	Truth    Truth     `json:"truth,omitempty"`
	Actual   Actual    `json:"actual"`
	// FirstBad is when users began to get bad answers, in seconds since the deployment, where somebody knows.
	FirstBad *float64 `json:"first_bad,omitempty"`

	Deployed float64 `json:"-"` // seconds since the deployment at which the deploy had ended: health checks count from then
	Staged   bool    `json:"-"` // traffic was moved in steps
	// Ticks gives what was seen, in order. It is called once for each replay, and an error ends it.
	Ticks iter.Seq2[stream.Tick, error] `json:"-"`
}

// Actual is what really became of a deployment.
type Actual struct {
	Fate Fate     `json:"fate"`
	T    *float64 `json:"t,omitempty"`    // seconds since the deployment, of the decision to take it back
	By   string   `json:"by,omitempty"`   // who or what decided: "regressed", "deadline", "user:ann"
	Note string   `json:"note,omitempty"` // what else is to be known: "taken back by hand on 2026-03-01"
}

// Result is what one rule would have made of one case.
type Result struct {
	Rule     string        `json:"rule"`
	Fate     Fate          `json:"fate"`
	T        *float64      `json:"t,omitempty"` // seconds since the deployment: taken back, held, or proven healthy
	Verdict  belay.Verdict `json:"verdict,omitempty"`
	By       string        `json:"by,omitempty"` // "comparison", "threshold", "hard stop", "health", "deadline"
	Culprits []string      `json:"culprits,omitempty"`
	Reason   string        `json:"reason,omitempty"`
	FirstBad *float64      `json:"first_bad,omitempty"` // as this rule sees it
	Harm     *Harm         `json:"harm,omitempty"`      // nil when no bad moment is known
	Avoided  *float64      `json:"avoided,omitempty"`   // bad answers fewer than there really were; nil when that cannot be told
}

// Harm is what users got from the release between its first bad moment and the decision.
type Harm struct {
	Bad     float64 `json:"bad"`            // bad answers
	Served  float64 `json:"served"`         // answers of any kind
	Seconds float64 `json:"seconds"`        // from the first bad moment to the decision, or to the end of the record
	Open    bool    `json:"open,omitempty"` // the record ends before the decision: it would have been more
}
