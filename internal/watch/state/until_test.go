package state

import (
	"testing"
	"time"

	"github.com/belaydev/belay"
)

func TestUntilSaysWhenTheClockRunsOut(t *testing.T) {
	at := time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC)
	p := Policy{StartDeadline: time.Minute, Deadline: 10 * time.Minute, Bake: 30 * time.Minute}
	checks := &belay.Card{Health: []belay.HealthStatus{{Check: "web"}}}
	for name, c := range map[string]struct {
		d    belay.Deployment
		want time.Duration // after at; 0: no clock
	}{
		"watching":            {belay.Deployment{State: belay.StateWatching, StepAt: at}, 10 * time.Minute},
		"not healthy yet":     {belay.Deployment{State: belay.StateWatching, StepAt: at, Card: checks}, time.Minute},
		"healthy once":        {belay.Deployment{State: belay.StateWatching, StepAt: at, Card: checks, HealthyAt: at}, 10 * time.Minute},
		"was paused":          {belay.Deployment{State: belay.StateWatching, StepAt: at, StepPaused: belay.Duration(time.Hour)}, 70 * time.Minute},
		"baking":              {belay.Deployment{State: belay.StateBaking, StepAt: at}, 30 * time.Minute},
		"a pipeline deploys":  {belay.Deployment{State: belay.StateDeploying, Registered: true, CreatedAt: at}, 10 * time.Minute},
		"the command deploys": {belay.Deployment{State: belay.StateDeploying, CreatedAt: at}, 0},
		"paused":              {belay.Deployment{State: belay.StatePaused, StepAt: at}, 0},
		"ended":               {belay.Deployment{State: belay.StateSucceeded, StepAt: at}, 0},
	} {
		got := until(c.d, p)
		if c.want == 0 && !got.IsZero() || c.want > 0 && !got.Equal(at.Add(c.want)) {
			t.Errorf("%s: %v, want %v after the start", name, got, c.want)
		}
	}
	next, _ := Next(belay.Deployment{State: belay.StateBaking, StepAt: at}, Restarted{Now: at}, p)
	if !next.Until.Equal(at.Add(p.Bake)) {
		t.Errorf("Next leaves Until at %v", next.Until)
	}
}
