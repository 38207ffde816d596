package screen

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/cli/screen/figure"
)

// RollbackLive draws a rollback at work: its steps, and the proof that comes last.
func (s Style) RollbackLive(r belay.Rollback, now time.Time, away time.Duration) string {
	var b strings.Builder
	b.WriteString(s.rollbackHead(r))
	b.WriteString(s.steps(r, now))
	if r.State == belay.RollbackProving {
		from := r.StartedAt
		if t := lastStep(r); !t.IsZero() {
			from = t
		}
		line := "  " + s.paint(accent, "▸") + " " + pad("proof", nameWidth(r.Steps)) + " " + s.paint(accent, pad("reading", stepState)) + " " +
			s.paint(dim, left(figure.Clock(now.Sub(from)), stepTime)) + "  everything is read back"
		if r.Plan.ProofTimeout > 0 {
			line += s.paint(dim, ", for at most "+r.Plan.ProofTimeout.String())
		}
		b.WriteString(s.hang(line, 4))
	}
	b.WriteString(s.away(away))
	return b.String()
}

// RollbackFinal draws a rollback with its certificate.
func (s Style) RollbackFinal(r belay.Rollback) string {
	if r.ID == "" {
		return ""
	}
	var b strings.Builder
	b.WriteString(s.rollbackHead(r))
	b.WriteString(s.steps(r, time.Time{}))
	if r.Reason != "" && r.State.Final() && r.State != belay.RollbackVerified {
		b.WriteString(s.hang("  "+r.Reason, 2))
	}
	if r.Certificate != nil {
		b.WriteString("\n" + s.Certificate(*r.Certificate))
	}
	return b.String()
}

func (s Style) rollbackHead(r belay.Rollback) string {
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
	return s.apart(s.paint(h, "ROLLBACK "+strings.ToUpper(string(r.State)))+s.paint(dim, fmt.Sprintf("  %s → %s", r.Plan.From, r.Plan.To)),
		s.paint(dim, r.ID)) + "\n"
}

// steps draws every step of the rungs that were tried, those that wait included.
func (s Style) steps(r belay.Rollback, now time.Time) string {
	var b strings.Builder
	records := slices.Clone(r.Steps)
	for i, rung := range r.Plan.Rungs {
		if i > r.Rung {
			break
		}
		for _, st := range rung.Steps {
			if !slices.ContainsFunc(records, func(o belay.StepRecord) bool { return o.Key == st.Key }) && !r.State.Final() {
				records = append(records, belay.StepRecord{Key: st.Key, Rung: i, Name: st.Name, State: belay.StepWaiting})
			}
		}
	}
	slices.SortStableFunc(records, func(x, y belay.StepRecord) int { return x.Rung - y.Rung })
	rung := 0
	for _, st := range records {
		if st.Rung != rung {
			rung = st.Rung
			b.WriteString("  " + s.paint(warn, s.rungName(r, rung)) + "\n")
		}
		if st.State == belay.StepRunning && !now.IsZero() {
			st.Ended = now // as far as it has come
		}
		b.WriteString(s.hang(s.stepLine(st, nameWidth(records)), 4))
	}
	return b.String()
}

// movedBack tells whether the traffic is on the old release again.
func movedBack(r belay.Rollback) bool {
	for i, rung := range r.Plan.Rungs {
		for _, st := range rung.Steps {
			if st.Kind == belay.StepTraffic && i <= r.Rung && slices.ContainsFunc(r.Steps, func(o belay.StepRecord) bool {
				return o.Key == st.Key && (o.State == belay.StepDone || o.State == belay.StepAlready)
			}) {
				return true
			}
		}
	}
	return false
}

func (s Style) rungName(r belay.Rollback, n int) string {
	text := fmt.Sprintf("next rung, %d of %d", n+1, max(len(r.Plan.Rungs), n+1))
	if n < len(r.Plan.Rungs) && r.Plan.Rungs[n].Name != "" {
		text += ": " + r.Plan.Rungs[n].Name
	}
	return text
}

// Widths of the columns of a step.
const (
	stepState = 7
	stepTime  = 7
)

// nameWidth is how wide the names of steps are.
func nameWidth(list []belay.StepRecord) int {
	w := 8
	for _, st := range list {
		w = min(max(w, columns(st.Name)), 24)
	}
	return w
}

// StepLine draws one step of a rollback for a log.
func (s Style) StepLine(st belay.StepRecord) string { return s.stepLine(st, 8) }

func (s Style) stepLine(st belay.StepRecord, name int) string {
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
	took := ""
	if !st.Ended.IsZero() && !st.Started.IsZero() {
		took = figure.Since(st.Ended.Sub(st.Started))
		if st.State == belay.StepRunning {
			took = figure.Clock(st.Ended.Sub(st.Started))
		}
	}
	line := "  " + s.paint(hu, mark) + " " + pad(st.Name, name) + " " + s.paint(hu, pad(string(st.State), stepState)) + " " + s.paint(dim, left(took, stepTime))
	switch {
	case st.Error != "":
		line += "  " + s.paint(bad, st.Error)
	case st.Before != "" && st.After != "" && st.Before != st.After:
		line += "  " + s.paint(dim, st.Before+" → ") + figure.SameLead(st.Before, st.After)
	case st.After != "":
		line += "  " + st.After
	case st.Before != "":
		line += "  " + s.paint(dim, st.Before)
	}
	if st.Attempts > 1 {
		line += s.paint(warn, fmt.Sprintf("  attempt %d", st.Attempts))
	}
	return strings.TrimRight(line, " ")
}

// Certificate draws the result of a rollback's validation with every reading.
func (s Style) Certificate(c belay.Certificate) string {
	var b strings.Builder
	hu := good
	switch c.Result {
	case belay.ResultFailed:
		hu = bad
	case belay.ResultUnverified:
		hu = warn
	case belay.ResultVerified:
	}
	about := fmt.Sprintf("  %s back on %s, proven in %s", c.Ref, c.Release, figure.Since(c.Took.D()))
	if c.Result != belay.ResultVerified {
		about = fmt.Sprintf("  %s should be back on %s; read for %s", c.Ref, c.Release, figure.Since(c.Took.D()))
	}
	b.WriteString(s.hang(s.paint(hu, "CERTIFICATE "+strings.ToUpper(string(c.Result)))+s.paint(dim, about), 2))
	name := 16
	for _, k := range c.Checks {
		name = min(max(name, columns(k.Name)), max(16, s.width()*2/5))
	}
	for _, k := range c.Checks {
		mark, h := "✓", good
		switch k.Result {
		case belay.CheckFailed:
			mark, h = "✗", bad
		case belay.CheckUnknown:
			mark, h = "?", warn
		case belay.CheckAbsent:
			mark, h = "–", dim
		case belay.CheckPassed:
		}
		line := "  " + s.paint(h, mark) + " " + pad(k.Name, name) + "  " + k.Got
		if k.Want != "" && (k.Result == belay.CheckFailed || k.Result == belay.CheckUnknown) {
			line += s.paint(dim, "  (wanted "+k.Want+")")
		}
		b.WriteString(s.hang(line, name+6))
	}
	return b.String()
}
