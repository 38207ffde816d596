package judge

import (
	"fmt"
	"strings"

	"github.com/belaydev/belay"
)

// check is what is known of one health check of one target.
type check struct {
	status belay.HealthStatus
	seen   float64 // time of the newest status
	state  belay.HealthState
	since  float64 // in this state, as seen by this watch
	proven bool    // has been healthy for long enough in this watch
}

// health follows the health checks of both sides, in the order in which they appeared.
type health struct {
	checks []*check
	known  bool // the candidate has health checks
}

func (h *health) take(t, longEnough float64, statuses []belay.HealthStatus) {
	for i := range statuses {
		c := h.find(&statuses[i])
		c.status, c.seen = statuses[i], t
		if c.state != statuses[i].State {
			c.state, c.since = statuses[i].State, t
		}
		if c.state == belay.HealthHealthy && t-c.since >= longEnough {
			c.proven = true
		}
		h.known = h.known || statuses[i].Arm != belay.ArmBaseline
	}
}

func (h *health) find(s *belay.HealthStatus) *check {
	for _, c := range h.checks {
		if c.status.Check == s.Check && c.status.Target == s.Target && c.status.Arm == s.Arm {
			return c
		}
	}
	c := &check{status: *s, state: "", since: 0}
	h.checks = append(h.checks, c)
	return c
}

// down returns the checks of the candidate that were proven healthy and are unhealthy now, and of those that are
// unhealthy on the baseline just the same.
func (h *health) down() (alone, shared []*check) {
	for _, c := range h.checks {
		if c.status.Arm == belay.ArmBaseline || c.state != belay.HealthUnhealthy {
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

// alsoDown tells whether at least half of the baseline's targets fail the same check.
func (h *health) alsoDown(c *check) bool {
	down, all := 0, 0
	for _, b := range h.checks {
		if b.status.Arm != belay.ArmBaseline || b.status.Check != c.status.Check || b.state == belay.HealthUnknown {
			continue
		}
		all++
		if b.state == belay.HealthUnhealthy {
			down++
		}
	}
	return all > 0 && 2*down >= all
}

// missing says what keeps the checks of the candidate from being a proof.
func (h *health) missing(t, want float64) []string {
	var all []string
	for _, c := range h.checks {
		if c.status.Arm == belay.ArmBaseline || c.status.State == belay.HealthHealthy && t-c.since >= want {
			continue
		}
		switch {
		case c.state == belay.HealthHealthy:
			all = append(all, fmt.Sprintf("%s: healthy for %s more", c.name(), seconds(want-(t-c.since))))
		case c.proven:
			all = append(all, fmt.Sprintf("%s: unhealthy now%s", c.name(), c.why()))
		default:
			all = append(all, fmt.Sprintf("%s: health never proven%s", c.name(), c.why()))
		}
	}
	return all
}

// proven tells whether no check of the candidate still waits for its first proof.
func (h *health) proven() bool {
	for _, c := range h.checks {
		if c.status.Arm != belay.ArmBaseline && !c.proven {
			return false
		}
	}
	return true
}

// answers tells whether a health check of the candidate can say how it is.
func (h *health) answers() bool {
	for _, c := range h.checks {
		if c.status.Arm != belay.ArmBaseline && (c.state == belay.HealthHealthy || c.state == belay.HealthUnhealthy) {
			return true
		}
	}
	return false
}

func (h *health) statuses() []belay.HealthStatus {
	if len(h.checks) == 0 {
		return nil
	}
	all := make([]belay.HealthStatus, len(h.checks))
	for i, c := range h.checks {
		all[i] = c.status
	}
	return all
}

// name is how people call the check.
func (c *check) name() string {
	if c.status.Target == "" {
		return "health check " + c.status.Check
	}
	return "health check " + c.status.Check + " of " + c.status.Target
}

// why says what was wrong at the newest probe, and which dependency is broken.
func (c *check) why() string {
	var parts []string
	if c.status.Detail != "" {
		parts = append(parts, c.status.Detail)
	}
	if len(c.status.Broken) > 0 {
		parts = append(parts, and(c.status.Broken)+" broken")
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}
