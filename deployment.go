package belay

import "time"

// State is where a deployment stands. The transitions are those of package watch (chart in docs/states.md).
type State string

// The states. The last seven are final.
const (
	StatePending        State = "pending"         // accepted, nothing done yet
	StateDeploying      State = "deploying"       // the deploy command or the pipeline is at work
	StateWatching       State = "watching"        // observed and judged, traffic below 100 % or health not yet proven
	StateBaking         State = "baking"          // full traffic, proven healthy, still watched; the old release is kept warm
	StatePaused         State = "paused"          // a person stopped the clock; judging goes on, hard stops still act
	StateHeld           State = "held"            // the deadline passed without proof and the policy says hold: a person decides
	StateRollingBack    State = "rolling_back"    // a plan is at work
	StateSucceeded      State = "succeeded"       // judged healthy and baked, or promoted by a person
	StateRolledBack     State = "rolled_back"     // taken back and the certificate says verified
	StateUnverified     State = "unverified"      // taken back, but belay could not prove it
	StateRollbackFailed State = "rollback_failed" // the rollback could not be completed: a person is needed
	StateSuperseded     State = "superseded"      // a newer deployment of the same service took its place
	StateDeployFailed   State = "deploy_failed"   // the deploy command failed and nothing was to be taken back
	StateRefused        State = "refused"         // a gate refused it: nothing was deployed
)

// Final tells whether nothing more will happen to a deployment in this state.
func (s State) Final() bool {
	switch s {
	case StateSucceeded, StateRolledBack, StateUnverified, StateRollbackFailed, StateSuperseded, StateDeployFailed, StateRefused:
		return true
	case StatePending, StateDeploying, StateWatching, StateBaking, StatePaused, StateHeld, StateRollingBack:
		return false
	}
	return false
}

// Deployment is the act of bringing a release to an environment.
type Deployment struct {
	ID string `json:"id"` // sortable by creation: see lib/id
	Ref
	Release  Release `json:"release"`
	Previous Release `json:"previous"` // zero for a first deployment

	State  State  `json:"state"`
	Before State  `json:"before,omitempty"` // the state to go back to from paused or held
	Reason string `json:"reason,omitempty"` // why the state is what it is, in one sentence
	Actor  string `json:"actor"`            // who began it: "user:ann", "ci", "belay"

	// Registered is true when a pipeline deploys by itself and only told belay about it.
	Registered bool `json:"registered,omitempty"`
	// Targets are the instances of the new release; PreviousTargets those of the old one.
	Targets         []Target `json:"targets,omitempty"`
	PreviousTargets []Target `json:"previous_targets,omitempty"`
	// Slot and PreviousSlot are the proxy slots of the new and the old release; empty without a proxy.
	Slot         string `json:"slot,omitempty"`
	PreviousSlot string `json:"previous_slot,omitempty"`
	// Weight is the share of traffic, in percent, that the new release should have now (100 without a proxy).
	Weight int `json:"weight"`
	Step   int `json:"step"` // index into the rollout's steps
	// Serving is the weight that the traffic layer confirmed last; -1 when its last answer was an error.
	Serving int `json:"serving"`

	CreatedAt     time.Time `json:"created_at"`
	DeployedAt    time.Time `json:"deployed_at,omitzero"`     // the deploy command ended, or the registration came in
	HealthyAt     time.Time `json:"healthy_at,omitzero"`      // every health check of the new release passed for the first time
	ProvenAt      time.Time `json:"proven_at,omitzero"`       // the verdict healthy was reached for the first time
	StepAt        time.Time `json:"step_at,omitzero"`         // the current traffic step, or the bake, began
	FullTrafficAt time.Time `json:"full_traffic_at,omitzero"` // reached 100 %
	PausedAt      time.Time `json:"paused_at,omitzero"`
	PausedFor     Duration  `json:"paused_for,omitzero"`  // time spent paused or held, not counted against deadlines
	StepPaused    Duration  `json:"step_paused,omitzero"` // the part of PausedFor since StepAt
	DetectedAt    time.Time `json:"detected_at,omitzero"` // the verdict regressed was reached
	EndedAt       time.Time `json:"ended_at,omitzero"`
	// Until is when the deadline, or the bake, of the present state is over; zero when nothing is timed.
	Until time.Time `json:"until,omitzero"`

	// Outlook is what the watch will be able to see at the present traffic, in one sentence, said once that is known.
	Outlook      string `json:"outlook,omitempty"`
	Card         *Card  `json:"card,omitempty"` // the newest evidence, final when the state is
	Rollback     string `json:"rollback,omitempty"`
	Trigger      string `json:"trigger,omitempty"`  // what began the rollback: "regressed", "deadline", "deploy failed", "user:ann"
	Promoted     string `json:"promoted,omitempty"` // who promoted it: the rest of the watch is skipped
	SupersededBy string `json:"superseded_by,omitempty"`
	// Reverts is set on the record of a person's rollback of a service that had no active deployment: the
	// deployment that is taken back. Release is then what is taken back and Previous what comes instead.
	Reverts string `json:"reverts,omitempty"`
	// Label is the newest word of a person on what became of it; the timeline has them all.
	Label *Label `json:"label,omitempty"`
}

// Act is what a person may ask of a deployment.
type Act string

// The acts.
const (
	ActPause    Act = "pause"    // stop the clock and the traffic steps
	ActResume   Act = "resume"   // go on
	ActPromote  Act = "promote"  // full traffic now, skip what is left of the watch and the bake
	ActAbort    Act = "abort"    // take it back now
	ActDeployed Act = "deployed" // the pipeline reports that its own deploy ended well
	ActFailed   Act = "failed"   // the pipeline reports that its own deploy failed
)

// Event is one entry of the timeline. The timeline is append-only.
type Event struct {
	ID         string    `json:"id"` // unique; also the idempotency key of the webhook that tells of it
	Time       time.Time `json:"time"`
	Ref                  // may be empty for events about belay itself
	Deployment string    `json:"deployment,omitempty"`
	Rollback   string    `json:"rollback,omitempty"`
	Actor      string    `json:"actor"` // "belay" for a rule, "user:..." for a person
	Kind       EventKind `json:"kind"`
	State      State     `json:"state,omitempty"` // of the deployment, with EventState
	Message    string    `json:"message"`         // one sentence for people
	Data       any       `json:"data,omitempty"`  // kind-specific, JSON
}

// EventKind says what an event tells.
type EventKind string

// The kinds.
const (
	EventState    EventKind = "state"    // a deployment changed state; each is sent to the webhooks
	EventTraffic  EventKind = "traffic"  // a weight was changed
	EventVerdict  EventKind = "verdict"  // the verdict changed
	EventEvidence EventKind = "evidence" // something worth knowing about a signal: a health check fell, a counter reset
	EventAct      EventKind = "act"      // a person asked for something
	EventPlan     EventKind = "plan"     // a rollback plan was stored
	EventStep     EventKind = "step"     // a rollback step began, ended, failed, went to the next rung
	EventProof    EventKind = "proof"    // a certificate was issued
	EventNotify   EventKind = "notify"   // a notification was delivered or given up
	EventConfig   EventKind = "config"   // configuration loaded or refused
	EventLabel    EventKind = "label"    // a person said whether what was done about a deployment was right
)
