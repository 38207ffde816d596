package screen

import (
	"fmt"
	"strings"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/cli/screen/figure"
)

// OffsetWidth is how many columns stand before the message in a line of a timeline.
const OffsetWidth = 11

// Teller tells the events of a timeline one by one, each once, and no long reason twice: the state change, the
// rollback and the verdict give the same one.
type Teller struct {
	told    map[string]bool // by id
	reasons map[string]bool
}

// longReason is from which length on a reason is not repeated.
const longReason = 40

// Tell draws the line of e; false when there is nothing new in it.
func (t *Teller) Tell(s Style, e belay.Event, begin time.Time) (string, bool) {
	if t.told == nil {
		t.told, t.reasons = map[string]bool{}, map[string]bool{}
	}
	if e.ID != "" && t.told[e.ID] {
		return "", false
	}
	t.told[e.ID] = true
	if len(e.Message) >= longReason && t.reasons[e.Message] {
		return "", false
	}
	t.reasons[e.Message] = true
	if lead, reason, ok := strings.Cut(e.Message, ": "); ok && len(reason) >= longReason {
		if t.reasons[reason] {
			e.Message = lead
		}
		t.reasons[reason] = true
	}
	return s.EventLine(e, begin), true
}

// EventLine draws one entry of a timeline.
func (s Style) EventLine(e belay.Event, begin time.Time) string {
	h := plain
	switch e.Kind {
	case belay.EventState:
		h = stateHue(e.State)
	case belay.EventProof:
		h = strong
	case belay.EventTraffic, belay.EventStep:
		h = accent
	case belay.EventVerdict, belay.EventEvidence, belay.EventAct, belay.EventPlan, belay.EventNotify, belay.EventConfig, belay.EventLabel:
	}
	who := ""
	if e.Actor != "" && e.Actor != "belay" {
		who = s.paint(dim, " ("+e.Actor+")")
	}
	return s.paint(dim, left("+"+figure.Since(e.Time.Sub(begin)), OffsetWidth-2)) + "  " + s.paint(h, e.Message) + who
}

// Progress is one line on where the evidence stands, for a log.
func Progress(d belay.Deployment, now time.Time) string {
	parts := []string{words(string(d.State))}
	if d.Slot != "" && !d.State.Final() {
		parts = append(parts, fmt.Sprintf("%d %% of the traffic", d.Weight))
	}
	if d.Card == nil || d.State == belay.StateRollingBack {
		return strings.Join(parts, ", ")
	}
	for _, e := range d.Card.Signals {
		if e.Limit > 1 && e.EValue >= 1.5 {
			parts = append(parts, fmt.Sprintf("%s %s against it (acts at %s)", e.Signal, figure.Odds(e.EValue), figure.Odds(e.Limit)))
		}
	}
	if len(parts) < 3 && len(d.Card.Signals) > 0 {
		parts = append(parts, "no evidence against it")
	}
	if len(d.Card.Missing) > 0 && d.State == belay.StateWatching {
		parts = append(parts, "still needed: "+needs(*d.Card)[0])
	}
	if rest := d.Until.Sub(now); !d.Until.IsZero() && rest > 0 && d.State == belay.StateWatching {
		parts = append(parts, figure.Clock(rest)+" "+leftFor(d.State))
	}
	return strings.Join(parts, ", ")
}

func words(name string) string { return strings.ReplaceAll(name, "_", " ") }

// Since writes a duration for people: "340 ms", "4.2 s", "3m20s", "2h5m".
func Since(d time.Duration) string { return figure.Since(d) }
