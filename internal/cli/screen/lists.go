package screen

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/cli/screen/figure"
)

// Head draws the first lines about a deployment.
func (s Style) Head(d belay.Deployment) string {
	line := s.state(d.State) + "  " + s.paint(dim, "begun "+d.CreatedAt.Local().Format("2006-01-02 15:04:05")+" by "+d.Actor)
	if !d.EndedAt.IsZero() {
		line += s.paint(dim, ", took "+figure.Since(d.EndedAt.Sub(d.CreatedAt)))
	}
	if !d.Until.IsZero() && !d.State.Final() {
		line += s.paint(dim, ", until "+d.Until.Local().Format("15:04:05")+" "+strings.TrimPrefix(leftFor(d.State), "left "))
	}
	out := s.heading(d) + s.hang(line, 2)
	if d.Reason != "" {
		out += s.hang("  "+d.Reason, 2)
	}
	if l := d.Label; l != nil {
		text := "  labelled " + s.label(d) + " by " + l.Actor
		if l.Reason != "" {
			text += ": " + l.Reason
		}
		out += s.hang(text, 2)
	}
	return out
}

// leastWhy is how many columns the reasons get before the others give way to them.
const leastWhy = 20

// History draws a table of deployments. Where it is too narrow for the reasons, what all have in common is left out; if that
// is not enough, each reason has a line of its own.
func (s Style) History(list []belay.Deployment, now time.Time) string {
	labelled := slices.ContainsFunc(list, func(d belay.Deployment) bool { return d.Label != nil })
	const service = 1
	rows := [][]string{{"id", "service", "release", "state", "when", "why"}}
	oneService, oneEnvironment := true, true
	for _, d := range list {
		oneService, oneEnvironment = oneService && d.Ref == list[0].Ref, oneEnvironment && d.Environment == list[0].Environment
		rows = append(rows, []string{d.ID, d.String(), short(d.Release), s.paint(stateHue(d.State), words(string(d.State))), figure.Ago(now.Sub(d.CreatedAt)), s.paint(dim, d.Reason)})
	}
	for i := range rows {
		switch {
		case !labelled:
		case i == 0:
			rows[i] = slices.Insert(rows[i], 4, "label")
		default:
			rows[i] = slices.Insert(rows[i], 4, s.label(list[i-1]))
		}
	}
	if oneEnvironment && !s.roomy(rows) {
		for i, d := range list {
			rows[i+1][service] = d.Service
		}
	}
	if oneService && !s.roomy(rows) {
		for i := range rows {
			rows[i] = slices.Delete(rows[i], service, service+1)
		}
	}
	if s.roomy(rows) {
		return s.Table(rows)
	}
	why := len(rows[0]) - 1
	for i := range rows {
		rows[i] = rows[i][:why]
	}
	var b strings.Builder
	for i, line := range slices.Collect(strings.Lines(s.Table(rows))) {
		b.WriteString(line)
		if i > 0 && list[i-1].Reason != "" {
			b.WriteString(s.cut("  "+s.paint(dim, list[i-1].Reason)) + "\n")
		}
	}
	return b.String()
}

// roomy tells whether the last column of a table has room for what it says, or for a good part of it.
func (s Style) roomy(rows [][]string) bool {
	room, need := s.width(), 0
	for i := range rows[0] {
		wide := 0
		for _, row := range rows {
			wide = max(wide, columns(row[i]))
		}
		if i == len(rows[0])-1 {
			need = min(wide, leastWhy)
			break
		}
		room -= wide + 2
	}
	return room >= need
}

// label draws a person's word on a deployment.
func (s Style) label(d belay.Deployment) string {
	switch {
	case d.Label == nil:
		return ""
	case d.Label.Word == belay.LabelWrong:
		return s.paint(bad, string(d.Label.Word))
	}
	return string(d.Label.Word)
}

// Services draws the state of services.
func (s Style) Services(list []belay.ServiceStatus, now time.Time) string {
	var b strings.Builder
	if len(list) == 0 {
		return "No services are configured. docs/quickstart.md begins with five lines.\n"
	}
	for i, v := range list {
		if i > 0 {
			b.WriteByte('\n')
		}
		line := s.paint(strong, v.String()) + "  "
		left := v.Deployment != nil && v.Deployment.State == belay.StateRollbackFailed
		switch {
		case left:
			line += s.paint(bad, v.Deployment.Release.String()+" may still be there") + s.paint(dim, ": its rollback failed; belay rollback "+v.Service)
		case v.Deployment != nil && v.Deployment.State == belay.StateUnverified:
			line += s.paint(warn, "taken back to "+v.Deployment.Previous.String()) + s.paint(dim, ", but that could not be proven")
		case v.Stable != nil && v.Stable.Verified:
			line += "runs " + s.paint(good, v.Stable.Release.String()) + s.paint(dim, ", verified "+figure.Ago(now.Sub(v.Stable.Since)))
		case v.Stable != nil:
			line += "runs " + v.Stable.Release.String() + s.paint(dim, ", not verified")
		default:
			line += s.paint(dim, "no release known yet")
		}
		b.WriteString(line + "\n")
		if d := v.Deployment; d != nil {
			line := "  " + s.paint(stateHue(d.State), "● "+words(string(d.State))) + " " + d.Release.String()
			if d.Slot != "" && !d.State.Final() {
				line += fmt.Sprintf(" at %d %%", d.Weight)
			}
			b.WriteString(line + s.paint(dim, "  "+d.ID+"  "+d.Reason) + "\n")
			if len(list) == 1 {
				b.WriteString(s.underWay(*d, now))
			}
		}
		if w := figure.Shares(v.Weights); w != "" {
			b.WriteString("  " + s.paint(dim, "traffic  ") + w + "\n")
		}
		for _, l := range s.health(v.Health) {
			b.WriteString(l + "\n")
		}
		for _, src := range v.Sources {
			if !src.OK {
				b.WriteString("  " + s.paint(warn, "cannot see "+src.Source+": ") + src.Detail + "\n")
			}
		}
		for _, q := range v.Quarantine {
			b.WriteString("  " + s.paint(warn, "quarantined: ") + q.Release.String() + s.paint(dim, "  "+q.Reason) + "\n")
		}
		if v.Outlook != "" {
			b.WriteString(s.hang("  "+s.paint(dim, "a watch can see: ")+v.Outlook, 4))
		}
		for _, w := range v.Warnings {
			b.WriteString("  " + s.paint(warn, "warning: ") + w + "\n")
		}
	}
	return s.cutAll(b.String())
}

// underWay draws how far a watch has come: the evidence of each signal, what is missing, and the time that is left.
func (s Style) underWay(d belay.Deployment, now time.Time) string {
	if d.State.Final() || d.Card == nil {
		return ""
	}
	var b strings.Builder
	if rest := d.Until.Sub(now); !d.Until.IsZero() && rest > 0 {
		b.WriteString("  " + s.paint(dim, figure.Clock(rest)+" "+leftFor(d.State)) + "\n")
	}
	for _, line := range append(s.signals(*d.Card, d.Release, d.Previous), s.wants(d)...) {
		b.WriteString(line + "\n")
	}
	return b.String()
}

// Looks draws what a dry run read at each step's target.
func (s Style) Looks(looks []belay.StepLook) string {
	var b strings.Builder
	for _, l := range looks {
		name := l.Key[strings.LastIndexByte(l.Key, '/')+1:]
		switch {
		case l.Error != "":
			b.WriteString("  " + s.paint(bad, "✗ ") + pad(name, 18) + " " + l.Error + "\n")
		case l.Look.Progress == belay.ProgressDone:
			b.WriteString("  " + s.paint(good, "✓ ") + pad(name, 18) + " nothing to do: " + l.Look.Detail + "\n")
		case l.Look.Progress == belay.ProgressUnknown:
			b.WriteString("  " + s.paint(warn, "? ") + pad(name, 18) + " cannot look (no inspect): the act would run\n")
		default:
			b.WriteString("  " + s.paint(accent, "▸ ") + pad(name, 18) + " " + string(l.Look.Progress) + ": " + l.Look.Detail + "\n")
		}
	}
	return s.cutAll(b.String())
}
