package screen

import (
	"fmt"
	"strings"
	"time"

	"github.com/belaydev/belay"
)

// Frame is what the live view of one deployment shows.
type Frame struct {
	Deployment belay.Deployment
	Rollback   *belay.Rollback
	Events     []belay.Event // oldest first
	Now        time.Time
	Deadline   time.Duration // of the watch; 0 when not known
}

// maxEvents is how many lines of the timeline the live view shows.
const maxEvents = 6

// Live draws one frame of the live view.
func (s Style) Live(f Frame) string {
	d := f.Deployment
	var b strings.Builder
	from := d.Previous.String()
	if d.Previous.IsZero() {
		from = "first"
	}
	fmt.Fprintf(&b, "%s  %s %s %s  %s\n", s.paint(strong, d.Ref.String()), s.paint(dim, from), s.paint(dim, "→"),
		s.paint(strong, d.Release.String()), s.paint(dim, d.ID))
	b.WriteString(s.stateLine(f) + "\n")
	if d.Slot != "" && !d.State.Final() {
		b.WriteString(s.traffic(d) + "\n")
	}
	if d.Card != nil {
		b.WriteByte('\n')
		if len(d.Card.Signals) > 0 {
			b.WriteString(s.signals(*d.Card, d.Release, d.Previous))
		}
		b.WriteString(s.health(d.Card.Health))
		for _, m := range d.Card.Blind {
			b.WriteString("  " + s.paint(warn, "cannot see: ") + m + "\n")
		}
		if d.State == belay.StateWatching || d.State == belay.StateHeld {
			for i, m := range d.Card.Missing {
				if i == 3 {
					break
				}
				b.WriteString("  " + s.paint(dim, "still needed: "+m) + "\n")
			}
		}
	}
	if f.Rollback != nil {
		b.WriteString("\n" + s.Rollback(*f.Rollback))
	}
	if len(f.Events) > 0 {
		b.WriteByte('\n')
		for _, e := range f.Events[max(0, len(f.Events)-maxEvents):] {
			b.WriteString(s.EventLine(e, d.CreatedAt) + "\n")
		}
	}
	return s.cutAll(b.String())
}

func (s Style) stateLine(f Frame) string {
	d := f.Deployment
	end := f.Now
	if !d.EndedAt.IsZero() {
		end = d.EndedAt
	}
	line := s.paint(stateHue(d.State), "● "+strings.ReplaceAll(string(d.State), "_", " ")) + "  " + s.paint(dim, Since(end.Sub(d.CreatedAt)))
	if d.State == belay.StateWatching && f.Deadline > 0 && !d.DeployedAt.IsZero() {
		left := f.Deadline - f.Now.Sub(d.DeployedAt) + d.PausedFor.D()
		line += s.paint(dim, fmt.Sprintf("  of at most %s", Since(f.Deadline)))
		if left > 0 {
			line += s.paint(dim, ", "+Since(left.Round(time.Second))+" left")
		}
	}
	if d.Reason != "" {
		line += "  " + d.Reason
	}
	return line
}

func (s Style) traffic(d belay.Deployment) string {
	n := max(20, min(40, s.width()-40))
	k := n * d.Weight / 100
	return s.paint(dim, "traffic ") + s.paint(accent, strings.Repeat("█", k)) + s.paint(dim, strings.Repeat("░", n-k)) +
		fmt.Sprintf(" %s %d %%", short(d.Release), d.Weight) + s.paint(dim, fmt.Sprintf("  %s %d %%", short(d.Previous), 100-d.Weight))
}

// EventLine draws one entry of a timeline.
func (s Style) EventLine(e belay.Event, begin time.Time) string {
	h := plain
	switch {
	case e.Kind == belay.EventState:
		h = stateHue(e.State)
	case e.Kind == belay.EventProof:
		h = strong
	case e.Kind == belay.EventTraffic || e.Kind == belay.EventStep:
		h = accent
	}
	who := ""
	if e.Actor != "" && e.Actor != "belay" {
		who = s.paint(dim, " ("+e.Actor+")")
	}
	return s.paint(dim, left("+"+Since(e.Time.Sub(begin)), 9)) + "  " + s.paint(h, e.Message) + who
}

// Rollback draws a rollback and its steps.
func (s Style) Rollback(r belay.Rollback) string {
	var b strings.Builder
	h := accent
	switch r.State {
	case belay.RollbackVerified:
		h = good
	case belay.RollbackFailed:
		h = bad
	case belay.RollbackUnverified, belay.RollbackAborted:
		h = warn
	case belay.RollbackRunning, belay.RollbackProving:
	}
	fmt.Fprintf(&b, "%s %s\n", s.paint(h, "ROLLBACK "+strings.ToUpper(string(r.State))),
		s.paint(dim, fmt.Sprintf("%s → %s  %s", r.Plan.From, r.Plan.To, r.ID)))
	for _, st := range r.Steps {
		mark, hu := "·", dim
		switch st.State {
		case belay.StepRunning:
			mark, hu = "▸", accent
		case belay.StepDone, belay.StepAlready:
			mark, hu = "✓", good
		case belay.StepFailed:
			mark, hu = "✗", bad
		case belay.StepWaiting, belay.StepSkipped:
		}
		line := "  " + s.paint(hu, mark) + " " + pad(st.Name, 18) + " " + pad(string(st.State), 8)
		if !st.Ended.IsZero() {
			line += " " + s.paint(dim, left(Since(st.Ended.Sub(st.Started)), 8))
		}
		switch {
		case st.Error != "":
			line += "  " + s.paint(bad, st.Error)
		case st.After != "":
			line += "  " + st.After
		case st.Before != "":
			line += "  " + s.paint(dim, st.Before)
		}
		b.WriteString(line + "\n")
	}
	if r.Reason != "" && r.State.Final() {
		b.WriteString("  " + r.Reason + "\n")
	}
	return b.String()
}
