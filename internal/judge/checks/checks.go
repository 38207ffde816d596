// Package checks follows the health checks of both sides of a deployment: which were proven healthy, which fell since,
// and which fell on both sides alike; and which sources of facts can be read. It probes nothing.
package checks

import (
	"fmt"
	"strings"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/judge/phrase"
)

// Check is what is known of one health check of one target.
type Check struct {
	Status belay.HealthStatus // the newest
	Since  float64            // in its state, as seen by this watch
	state  belay.HealthState
	proven bool // has been healthy for long enough in this watch
}

// Health follows the health checks of both sides, in the order in which they appeared.
type Health struct {
	Known  bool // the candidate has health checks
	checks []*Check
}

// Take takes the statuses of the tick at t; a check is proven once it was healthy for longEnough seconds.
func (h *Health) Take(t, longEnough float64, statuses []belay.HealthStatus) {
	for i := range statuses {
		c := h.find(&statuses[i])
		c.Status = statuses[i]
		if c.state != statuses[i].State {
			c.state, c.Since = statuses[i].State, t
		}
		if c.state == belay.HealthHealthy && t-c.Since >= longEnough {
			c.proven = true
		}
		h.Known = h.Known || statuses[i].Arm != belay.ArmBaseline
	}
}

func (h *Health) find(s *belay.HealthStatus) *Check {
	for _, c := range h.checks {
		if c.Status.Check == s.Check && c.Status.Target == s.Target && c.Status.Arm == s.Arm {
			return c
		}
	}
	c := &Check{Status: *s}
	h.checks = append(h.checks, c)
	return c
}

// Down returns the checks of the candidate that were proven healthy and are unhealthy now, and of those that are
// unhealthy on the baseline just the same.
func (h *Health) Down() (alone, shared []*Check) {
	for _, c := range h.checks {
		if c.Status.Arm == belay.ArmBaseline || c.state != belay.HealthUnhealthy {
			continue
		}
		switch {
		case h.alsoDown(c):
			shared = append(shared, c)
		case c.proven:
			alone = append(alone, c)
		}
	}
	return alone, shared
}

// alsoDown tells whether at least half of the baseline's targets fail the same check, or begin to: two sides that lose
// the same dependency do not fall in the same second.
func (h *Health) alsoDown(c *Check) bool {
	down, all := 0, 0
	for _, b := range h.checks {
		if b.Status.Arm != belay.ArmBaseline || b.Status.Check != c.Status.Check || b.state == belay.HealthUnknown {
			continue
		}
		all++
		if b.state == belay.HealthUnhealthy || b.Status.Fails > 0 {
			down++
		}
	}
	return all > 0 && 2*down >= all
}

// Missing says what keeps the checks of the candidate from being a proof.
func (h *Health) Missing(t, want float64) []string {
	var all []string
	for _, c := range h.checks {
		if c.Status.Arm == belay.ArmBaseline || c.Status.State == belay.HealthHealthy && t-c.Since >= want {
			continue
		}
		switch {
		case c.state == belay.HealthHealthy:
			all = append(all, fmt.Sprintf("%s: healthy for %s more", c.Name(), phrase.Seconds(want-(t-c.Since))))
		case c.proven:
			all = append(all, fmt.Sprintf("%s: unhealthy now%s", c.Name(), c.Why()))
		default:
			all = append(all, fmt.Sprintf("%s: health never proven%s", c.Name(), c.Why()))
		}
	}
	return all
}

// Answers tells whether a health check of the candidate can say how it is.
func (h *Health) Answers() bool {
	for _, c := range h.checks {
		if c.Status.Arm != belay.ArmBaseline && (c.state == belay.HealthHealthy || c.state == belay.HealthUnhealthy) {
			return true
		}
	}
	return false
}

// Statuses returns the newest status of every check.
func (h *Health) Statuses() []belay.HealthStatus {
	if len(h.checks) == 0 {
		return nil
	}
	all := make([]belay.HealthStatus, len(h.checks))
	for i, c := range h.checks {
		all[i] = c.Status
	}
	return all
}

// Name is how people call the check.
func (c *Check) Name() string {
	if c.Status.Target == "" {
		return "health check " + c.Status.Check
	}
	return "health check " + c.Status.Check + " of " + c.Status.Target
}

// Why says what was wrong at the newest probe, and which dependency is broken.
func (c *Check) Why() string {
	var parts []string
	if c.Status.Detail != "" {
		parts = append(parts, c.Status.Detail)
	}
	if len(c.Status.Broken) > 0 {
		parts = append(parts, phrase.And(c.Status.Broken)+" broken")
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}
