package screen

import (
	"fmt"
	"strings"
	"time"

	"github.com/belaydev/belay"
)

// Report is all that is known of one deployment: what "belay show" shows and following ends with, in JSON too.
type Report struct {
	Deployment belay.Deployment `json:"deployment"`
	Rollback   *belay.Rollback  `json:"rollback,omitempty"`
	Timeline   []belay.Event    `json:"timeline,omitempty"`
}

// Final draws what stays on a terminal when following ends: it stands in the place of the last frame.
func (s Style) Final(r Report) string {
	if r.Deployment.ID == "" {
		return ""
	}
	return s.heading(r.Deployment) + s.moments(r) + "\n" + s.Closing(r)
}

// Closing draws the outcome without the head: the decision card, the rollback with its certificate, and where to
// look next.
func (s Style) Closing(r Report) string {
	d := r.Deployment
	var parts []string
	if d.Card != nil {
		parts = append(parts, s.card(*d.Card, d.Release, d.Previous))
	}
	if r.Rollback != nil {
		parts = append(parts, s.RollbackFinal(*r.Rollback))
	}
	if r.Rollback == nil && d.State == belay.StateRollbackFailed && d.Reason != "" { // it was refused
		parts = append(parts, s.hang(d.Reason, 2))
	}
	if c := s.conclusion(d); c != "" {
		parts = append(parts, c)
	}
	return strings.Join(parts, "\n")
}

// Report draws everything: head, card with policy, rollback, certificate, timeline.
func (s Style) Report(r Report) string {
	d := r.Deployment
	parts := []string{s.Head(d)}
	if d.Card != nil {
		parts = append(parts, s.Card(*d.Card, d.Release, d.Previous))
	}
	if r.Rollback != nil {
		parts = append(parts, s.RollbackFinal(*r.Rollback))
	}
	if len(r.Timeline) > 0 {
		parts = append(parts, s.timeline(r.Timeline, d.CreatedAt))
	}
	return strings.Join(parts, "\n")
}

func (s Style) timeline(events []belay.Event, begin time.Time) string {
	var b strings.Builder
	b.WriteString(s.paint(strong, "TIMELINE") + "\n")
	var t Teller
	for _, e := range events {
		if line, ok := t.Tell(s, e, begin); ok {
			b.WriteString(s.hang(line, OffsetWidth))
		}
	}
	return b.String()
}

// moments tells in one line how long everything took.
func (s Style) moments(r Report) string {
	d := r.Deployment
	var parts []string
	at := func(what string, t time.Time) {
		if !t.IsZero() {
			parts = append(parts, what+" "+offset(t.Sub(d.CreatedAt).Seconds()))
		}
	}
	if d.DetectedAt.IsZero() {
		at("healthy checks", d.HealthyAt)
		at("proven healthy", d.ProvenAt)
	} else if d.Card != nil && d.Card.FirstBad != nil {
		parts = append(parts, "first bad moment "+offset(*d.Card.FirstBad))
	}
	at("caught", d.DetectedAt)
	if r.Rollback != nil {
		if acted(*r.Rollback) {
			at("old release back", lastStep(*r.Rollback))
		}
		if c := r.Rollback.Certificate; c != nil {
			at("certificate "+string(c.Result), c.IssuedAt)
		}
	}
	line := s.state(d.State)
	if len(parts) > 0 {
		line += s.paint(dim, "  "+strings.Join(parts, ", "))
	}
	return s.hang(line, 2)
}

// acted tells whether every step of the present rung has done its work.
func acted(r belay.Rollback) bool {
	for _, st := range r.Steps {
		if st.Rung == r.Rung && st.State != belay.StepDone && st.State != belay.StepAlready {
			return false
		}
	}
	return r.State != belay.RollbackRunning
}

// lastStep is when the last step that did something ended.
func lastStep(r belay.Rollback) time.Time {
	var last time.Time
	for _, st := range r.Steps {
		if (st.State == belay.StepDone || st.State == belay.StepAlready) && st.Ended.After(last) {
			last = st.Ended
		}
	}
	return last
}

func (s Style) conclusion(d belay.Deployment) string {
	show := "belay show " + d.ID
	lines := func(sentence string, commands ...string) string {
		out := s.hang(s.paint(strong, sentence), 0)
		for _, c := range commands {
			out += "  " + s.paint(accent, c) + "\n"
		}
		return out
	}
	switch d.State {
	case belay.StateSucceeded:
		return lines(fmt.Sprintf("%s runs %s.", d.Ref, d.Release))
	case belay.StateBaking:
		return lines(fmt.Sprintf("%s runs %s, healthy so far. It is watched on, and the way back stays open.", d.Ref, d.Release),
			"belay verify "+d.ID+" --until end")
	case belay.StateRolledBack:
		return lines(fmt.Sprintf("%s was taken back from %s to %s, and that is verified.", d.Ref, d.Release, d.Previous), show)
	case belay.StateUnverified:
		return lines(fmt.Sprintf("%s was taken back from %s to %s, but belay could not prove it: a person must look.", d.Ref, d.Release, d.Previous), show)
	case belay.StateRollbackFailed:
		return lines(fmt.Sprintf("%s could not be taken back from %s, or not be proven well: a person is needed now.", d.Ref, d.Release), show, "belay plan "+d.Service)
	case belay.StateHeld:
		return lines(fmt.Sprintf("%s is held at %d %% of the traffic: %s. Decide:", d.Ref, d.Weight, strings.TrimSuffix(d.Reason, ".")),
			"belay promote "+d.ID, "belay abort "+d.ID)
	case belay.StateSuperseded:
		if d.SupersededBy == "" {
			return lines(fmt.Sprintf("%s: a newer deployment took the place of this one.", d.Ref))
		}
		return lines(fmt.Sprintf("%s: deployment %s took the place of this one.", d.Ref, d.SupersededBy), "belay verify "+d.SupersededBy)
	case belay.StateDeployFailed:
		return lines(fmt.Sprintf("%s: the deploy of %s failed: %s", d.Ref, d.Release, d.Reason), show)
	case belay.StateRefused:
		return lines(fmt.Sprintf("%s: %s was not deployed: %s. With a reason it can be forced:", d.Ref, d.Release, strings.TrimSuffix(d.Reason, ".")),
			fmt.Sprintf("belay deploy %s --version %s --force REASON", d.Service, d.Release))
	case belay.StatePending, belay.StateDeploying, belay.StateWatching, belay.StatePaused, belay.StateRollingBack:
	}
	return ""
}
