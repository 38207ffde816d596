package state

import (
	"time"

	"github.com/belaydev/belay"
)

// Input is something that happened to a deployment.
type Input interface {
	kind() string
	when() time.Time
}

// The inputs.
type (
	// Accepted says that nothing stands in the way any more: begin.
	Accepted struct{ Now time.Time }

	// DeployEnded tells how the deploy command ended. Untouched says, with an error, that nothing was changed.
	DeployEnded struct {
		Err       error
		Untouched bool
		Now       time.Time
	}

	// Looked brings the newest evidence.
	Looked struct {
		Card belay.Card
		// Outlook says what the watch will be able to see at the present traffic; "" while that is not known.
		Outlook string
		Now     time.Time
	}

	// Asked is a person's word. To, with ActAbort, names another release to go back to than the previous one.
	Asked struct {
		Act    belay.Act
		Actor  string
		Reason string
		To     belay.Release
		Now    time.Time
	}

	// Superseded says that a newer deployment of the same service was accepted.
	Superseded struct {
		By  string
		Now time.Time
	}

	// TrafficSet answers SetWeight.
	TrafficSet struct {
		Weight int
		Err    error
		Now    time.Time
	}

	// RollbackEnded answers Revert.
	RollbackEnded struct {
		Rollback belay.Rollback
		Now      time.Time
	}

	// RollbackRefused answers Revert when no rollback could begin.
	RollbackRefused struct {
		Err error
		Now time.Time
	}

	// Restarted says that belay was started anew and that whatever was being done then was cut off.
	Restarted struct{ Now time.Time }
)

func (Accepted) kind() string        { return "accepted" }
func (DeployEnded) kind() string     { return "deploy ended" }
func (Looked) kind() string          { return "looked" }
func (i Asked) kind() string         { return "asked: " + string(i.Act) }
func (Superseded) kind() string      { return "superseded" }
func (TrafficSet) kind() string      { return "traffic set" }
func (RollbackEnded) kind() string   { return "rollback ended" }
func (RollbackRefused) kind() string { return "rollback refused" }
func (Restarted) kind() string       { return "restarted" }

func (i Accepted) when() time.Time        { return i.Now }
func (i DeployEnded) when() time.Time     { return i.Now }
func (i Looked) when() time.Time          { return i.Now }
func (i Asked) when() time.Time           { return i.Now }
func (i Superseded) when() time.Time      { return i.Now }
func (i TrafficSet) when() time.Time      { return i.Now }
func (i RollbackEnded) when() time.Time   { return i.Now }
func (i RollbackRefused) when() time.Time { return i.Now }
func (i Restarted) when() time.Time       { return i.Now }

// Command is something to be done because of an input.
type Command interface{ command() }

// The commands.
type (
	// RunDeploy runs the service's deploy command. Drain says that the slot may still serve an older candidate:
	// the stable slot gets all traffic first.
	RunDeploy struct{ Drain bool }

	// SetWeight gives the new release's slot Percent of the traffic and the previous one's the rest.
	SetWeight struct{ Percent int }

	// Revert takes the deployment back. It is given once in the life of a deployment, and again after a restart.
	Revert struct{ Trigger, Reason, Actor string }

	// MarkStable makes a release the one that later rollbacks go back to.
	MarkStable struct{ Stable belay.StableRelease }

	// Quarantine forbids the release to machines.
	Quarantine struct{ Quarantine belay.Quarantine }

	// Record writes an entry of the timeline; its ID is for the caller to make.
	Record struct{ Event belay.Event }
)

func (RunDeploy) command()  {}
func (SetWeight) command()  {}
func (Revert) command()     {}
func (MarkStable) command() {}
func (Quarantine) command() {}
func (Record) command()     {}

// The triggers of a rollback; a person's is the actor: "user:ann".
const (
	TriggerRegressed    = "regressed"
	TriggerDeadline     = "deadline"
	TriggerDeployFailed = "deploy failed"
)
