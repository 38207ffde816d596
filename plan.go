package belay

import (
	"encoding/json"
	"time"
)

// Plan is the ordered way back, as data. It is stored before the first act.
type Plan struct {
	ID string `json:"id"` // of the rollback it belongs to
	Ref
	Deployment   string    `json:"deployment,omitempty"`
	From         Release   `json:"from"`
	To           Release   `json:"to"`
	FromSlot     string    `json:"from_slot,omitempty"`
	ToSlot       string    `json:"to_slot,omitempty"`
	Rungs        []Rung    `json:"rungs"`                  // tried in order until one ends with a certificate that is not failed
	Budget       Duration  `json:"budget"`                 // for the whole rollback, proof included
	ProofTimeout Duration  `json:"proof_timeout"`          // how long proving may wait for users to be well again, per rung
	RollForward  string    `json:"roll_forward,omitempty"` // set when there is no way back, and why
	Trigger      string    `json:"trigger"`                // "regressed", "deadline", "user:ann", "drill"
	Reason       string    `json:"reason"`
	CreatedAt    time.Time `json:"created_at"`
}

// Rung is one way back. Its steps run in order.
type Rung struct {
	Name  string `json:"name"`
	Steps []Step `json:"steps"`
}

// StepKind orders steps: flags first, schema last.
type StepKind string

// The kinds, in the order in which a plan runs them.
const (
	StepFlags    StepKind = "flags"
	StepTraffic  StepKind = "traffic"
	StepWorkload StepKind = "workload"
	StepConfig   StepKind = "config"
	StepSchema   StepKind = "schema"
)

// Step is one reversible act.
type Step struct {
	Key      string          `json:"key"` // "<rollback id>/<rung>/<step name>": the idempotency key
	Name     string          `json:"name"`
	Kind     StepKind        `json:"kind"`
	Driver   string          `json:"driver"`
	Target   string          `json:"target"`         // what it acts on, for people: "proxy edge", "./rollback.sh"
	Args     json.RawMessage `json:"args,omitempty"` // the driver's own arguments
	Deadline Duration        `json:"deadline"`       // for the whole step, looking included
	Attempts int             `json:"attempts"`       // acts at most, 1 or more
	Backoff  Duration        `json:"backoff"`        // between acts
}

// Action is what a driver is asked to do: a step with the facts of its rollback.
type Action struct {
	Step
	Ref
	Rollback string  `json:"rollback"`
	From     Release `json:"from"`
	To       Release `json:"to"`
	FromSlot string  `json:"from_slot,omitempty"`
	ToSlot   string  `json:"to_slot,omitempty"`
}

// Progress is how far an action's effect has come, as read from the real system.
type Progress string

// The readings of a driver's look.
const (
	ProgressPending Progress = "pending" // the old state is not there yet: act
	ProgressDone    Progress = "done"    // it is there
	ProgressDrifted Progress = "drifted" // somebody else changed the target: neither old nor new
	ProgressUnknown Progress = "unknown" // the driver has no way to look
)

// Look is a driver's reading of the real system.
type Look struct {
	Progress Progress `json:"progress"`
	Detail   string   `json:"detail"` // what was read, for people: "weights blue=0 green=100"
}

// StepState is where a step of a rollback stands.
type StepState string

// The states of a step.
const (
	StepWaiting StepState = "waiting"
	StepRunning StepState = "running"
	StepDone    StepState = "done"    // acted, and the look says done (or cannot say)
	StepAlready StepState = "already" // the first look said done: nothing to do
	StepFailed  StepState = "failed"
	StepSkipped StepState = "skipped" // aborted before it began, or an earlier step of the rung failed
)

// StepRecord is the journal entry of one step.
type StepRecord struct {
	Key      string    `json:"key"`
	Rung     int       `json:"rung"`
	Name     string    `json:"name"`
	State    StepState `json:"state"`
	Attempts int       `json:"attempts"`
	Before   string    `json:"before,omitempty"` // detail of the first look
	After    string    `json:"after,omitempty"`  // detail of the last look
	Error    string    `json:"error,omitempty"`
	Started  time.Time `json:"started,omitzero"`
	Ended    time.Time `json:"ended,omitzero"`
}

// RollbackState is where a rollback stands.
type RollbackState string

// The states of a rollback. The last four are final.
const (
	RollbackRunning    RollbackState = "running"
	RollbackProving    RollbackState = "proving"
	RollbackVerified   RollbackState = "verified"
	RollbackUnverified RollbackState = "unverified"
	RollbackFailed     RollbackState = "failed"
	RollbackAborted    RollbackState = "aborted" // a person stopped it between two steps
)

// Final tells whether nothing more will happen to a rollback in this state.
func (s RollbackState) Final() bool {
	switch s {
	case RollbackVerified, RollbackUnverified, RollbackFailed, RollbackAborted:
		return true
	case RollbackRunning, RollbackProving:
		return false
	}
	return false
}

// Rollback is one durable run of a plan.
type Rollback struct {
	ID          string        `json:"id"`
	Plan        Plan          `json:"plan"`
	State       RollbackState `json:"state"`
	Reason      string        `json:"reason,omitempty"` // why it ended as it did
	Actor       string        `json:"actor"`
	Rung        int           `json:"rung"` // the one at work, or the last one tried
	Steps       []StepRecord  `json:"steps"`
	Certificate *Certificate  `json:"certificate,omitempty"`
	StartedAt   time.Time     `json:"started_at"`
	EndedAt     time.Time     `json:"ended_at,omitzero"`
}

// CertificateResult is what proving concludes.
type CertificateResult string

// The results.
const (
	ResultVerified   CertificateResult = "verified"
	ResultUnverified CertificateResult = "unverified" // nothing contradicts it, but something could not be read
	ResultFailed     CertificateResult = "failed"     // a reading contradicts it
)

// Check is one reading of a certificate.
type Check struct {
	Name   string      `json:"name"` // "release of 10.0.0.1:80", "weights of proxy edge", "health web", "signal error_rate", "front door"
	Result CheckResult `json:"result"`
	Want   string      `json:"want"`
	Got    string      `json:"got"`
	At     time.Time   `json:"at"`
}

// CheckResult is the outcome of one check.
type CheckResult string

// The outcomes.
const (
	CheckPassed  CheckResult = "passed"
	CheckFailed  CheckResult = "failed"
	CheckUnknown CheckResult = "unknown" // could not be read, or too little traffic to tell
	CheckAbsent  CheckResult = "absent"  // nothing configured to check: said, not hidden
)

// Certificate is the result of validating a rollback.
type Certificate struct {
	Rollback string `json:"rollback"`
	Ref
	Release  Release           `json:"release"` // that should be serving
	Result   CertificateResult `json:"result"`
	Rung     int               `json:"rung"`
	Checks   []Check           `json:"checks"`
	IssuedAt time.Time         `json:"issued_at"`
	Took     Duration          `json:"took"` // proving alone
}

// Judge derives the result from the checks: failed if one failed, unverified if one is unknown or none passed,
// else verified.
func (c *Certificate) Judge() CertificateResult {
	passed, unknown := 0, 0
	for _, k := range c.Checks {
		switch k.Result {
		case CheckFailed:
			return ResultFailed
		case CheckUnknown:
			unknown++
		case CheckPassed:
			passed++
		case CheckAbsent:
		}
	}
	if unknown > 0 || passed == 0 {
		return ResultUnverified
	}
	return ResultVerified
}
