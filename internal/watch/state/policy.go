package state

import "time"

// Fallback is what a policy does when a deadline passes without proof.
type Fallback string

// The fallbacks; the empty one is Hold.
const (
	Rollback Fallback = "rollback"
	Hold     Fallback = "hold"    // keep the weight and ask a person
	Promote  Fallback = "promote" // take it as proven and bake
)

// Policy says how a service's deployments are watched. A zero duration means no such deadline or wait.
type Policy struct {
	StartDeadline time.Duration // health must have been proven once by then
	Deadline      time.Duration // each step must be proven by then
	MinTime       time.Duration // watched at least so long before the verdict healthy counts at full traffic
	Steps         []int         // weights in percent, ascending; none: 100 at once
	StepTime      time.Duration // each step but the last takes at least so long
	Bake          time.Duration // watched after full traffic, with the old release kept warm
	Interval      time.Duration // between two looks; not the business of Next
	AutoRollback  bool          // off: hold and ask a person instead
	// HealthFirst holds traffic back until every health check of the new release has passed once. Set it for a
	// service that has checks.
	HealthFirst bool
	OnTimeout   OnTimeout
}

// OnTimeout says what to do for each way of not being proven.
type OnTimeout struct {
	NeverHealthy Fallback // StartDeadline: the checks of the new release never all passed
	Insufficient Fallback // Deadline: too little traffic to tell
	Blind        Fallback // Deadline: the monitoring is down
}

// Default is the policy of a service that says nothing.
func Default() Policy {
	return Policy{
		StartDeadline: 5 * time.Minute, Deadline: 10 * time.Minute, MinTime: 10 * time.Second,
		StepTime: 30 * time.Second, Bake: 30 * time.Minute, Interval: time.Second, AutoRollback: true,
		OnTimeout: OnTimeout{NeverHealthy: Rollback, Insufficient: Hold, Blind: Hold},
	}
}
