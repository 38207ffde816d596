package plan

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/belaydev/belay"
)

// Text shows a plan to the person who is asked whether to run it: from what to what, the steps in order with
// their deadlines, what is done when they fail.
func Text(p belay.Plan) string {
	var b strings.Builder
	if p.RollForward != "" {
		fmt.Fprintf(&b, "No way back for %s: roll forward.\n  %s\n", p.Ref, p.RollForward)
		return b.String()
	}
	fmt.Fprintf(&b, "Roll back %s from %s to %s\n", p.Ref, place(p.From, p.FromSlot), place(p.To, p.ToSlot))
	if p.Reason != "" {
		fmt.Fprintf(&b, "because %s\n", p.Reason)
	}
	for i, r := range p.Rungs {
		if i > 0 {
			fmt.Fprintf(&b, "If that fails, %s:\n", r.Name)
		}
		steps(&b, r)
		fmt.Fprintf(&b, "  then prove it: up to %s for users to be well again\n", p.ProofTimeout)
	}
	fmt.Fprintf(&b, "All of it within %s; if nothing works, people are told.\n", p.Budget)
	return b.String()
}

func steps(b *strings.Builder, r belay.Rung) {
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	for i, s := range r.Steps {
		tries := ""
		if s.Attempts > 1 {
			tries = fmt.Sprintf(", %d attempts", s.Attempts)
		}
		// A tabwriter keeps what it writes in memory; a strings.Builder never fails.
		_, _ = fmt.Fprintf(w, "  %d. %s\t%s\t%s\tat most %s%s\n", i+1, s.Kind, s.Name, s.Target, s.Deadline, tries)
	}
	_ = w.Flush()
}

func place(r belay.Release, slot string) string {
	if slot == "" {
		return r.String()
	}
	return r.String() + " (slot " + slot + ")"
}
