package state

import (
	"time"

	"github.com/belaydev/belay"
)

// until is when the clock of the present state runs out, for people who wait: the next look after it decides. Zero
// where no clock runs.
func until(d belay.Deployment, p Policy) time.Time {
	wait, from := time.Duration(0), d.StepAt
	switch d.State {
	case belay.StateDeploying:
		if d.Registered {
			wait, from = p.Deadline, d.CreatedAt
		}
	case belay.StateWatching:
		wait = p.Deadline
		if d.HealthyAt.IsZero() && p.StartDeadline > 0 && (wait == 0 || p.StartDeadline < wait) && d.Card != nil && len(d.Card.Health) > 0 {
			wait = p.StartDeadline
		}
	case belay.StateBaking:
		wait = p.Bake
	case belay.StatePending, belay.StatePaused, belay.StateHeld, belay.StateRollingBack, belay.StateSucceeded,
		belay.StateRolledBack, belay.StateUnverified, belay.StateRollbackFailed, belay.StateSuperseded,
		belay.StateDeployFailed, belay.StateRefused:
	}
	if wait <= 0 {
		return time.Time{}
	}
	return from.Add(wait + d.StepPaused.D())
}

// Observed tells whether a deployment in this state is looked at.
func Observed(s belay.State) bool {
	return !s.Final() && s != belay.StatePending && s != belay.StateRollingBack
}

// Counted is what the judge sees of a tick: health counts from the end of the deploy on. It is so for the ticks
// that are replayed too.
func Counted(d belay.Deployment, t belay.Tick) belay.Tick {
	if d.DeployedAt.IsZero() || t.T < d.DeployedAt.Sub(d.CreatedAt).Seconds() {
		t.Health = nil
	}
	return t
}
