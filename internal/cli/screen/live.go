package screen

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/cli/screen/figure"
)

// Frame is what the live view of one deployment shows.
type Frame struct {
	Report
	Now   time.Time
	Lines int           // lines that there is room for; 0: any number
	Away  time.Duration // how long the server has not answered; 0: it does
}

// Live draws one frame. Where there is too little room, old events go first, then signals and checks that say
// nothing new; the state, the evidence and the rollback stay.
func (s Style) Live(f Frame) string {
	d := f.Deployment
	blocks := []block{{lines: split(s.heading(d) + s.stateLine(f) + s.away(f.Away)), keep: 3}}
	if d.Slot != "" && !d.State.Final() {
		blocks = append(blocks, block{lines: []string{s.traffic(f.Report)}, keep: 1})
	}
	if d.Card != nil {
		rows := s.signals(*d.Card, d.Release, d.Previous)
		blocks = append(blocks,
			block{lines: rows, keep: min(len(rows), 1+evident(*d.Card)), from: tail},
			block{lines: s.health(d.Card.Health), keep: 1, from: tail},
			block{lines: s.wants(d), keep: 1, from: tail})
	}
	if f.Rollback != nil {
		steps := split(s.RollbackLive(*f.Rollback, f.Now, 0))
		blocks = append(blocks, block{lines: steps, keep: len(steps)})
	}
	blocks = append(blocks, block{lines: s.events(f.Timeline, d.CreatedAt), from: head})
	return s.cutAll(layout(blocks, f.Lines))
}

// maxEvents is how many lines of the timeline the live view shows, unless one entry alone has more.
const maxEvents = 6

func (s Style) events(list []belay.Event, begin time.Time) []string {
	var t Teller
	var told []string
	for _, e := range list {
		if line, ok := t.Tell(s, e, begin); ok {
			told = append(told, line)
		}
	}
	var lines []string
	for _, line := range slices.Backward(told) {
		broken := split(s.hang(line, OffsetWidth))
		if len(lines) > 0 && len(lines)+len(broken) > maxEvents {
			break
		}
		lines = append(broken, lines...)
	}
	return lines
}

// wants says what cannot be seen and what is still needed for a verdict.
func (s Style) wants(d belay.Deployment) []string {
	var lines []string
	for _, m := range d.Card.Blind {
		lines = append(lines, "  "+s.paint(warn, "cannot see: ")+m)
	}
	if d.State != belay.StateWatching && d.State != belay.StateHeld {
		return lines
	}
	for i, m := range needs(*d.Card) {
		if i == 3 {
			break
		}
		lines = append(lines, "  "+s.paint(dim, "still needed: "+m))
	}
	return lines
}

// evident counts the signals that carry evidence; they are drawn first.
func evident(c belay.Card) int {
	n := 0
	for _, e := range c.Signals {
		if carries(e) {
			n++
		}
	}
	return n
}

// block is a part of a frame, set apart by an empty line.
type block struct {
	lines []string
	keep  int // lines that stay when room is short
	from  end // where the others are taken away
}

type end int

const (
	none end = iota
	head
	tail
)

// layout stacks blocks into at most room lines.
func layout(blocks []block, room int) string {
	blocks = slices.DeleteFunc(blocks, func(b block) bool { return len(b.lines) == 0 })
	height := func() int {
		n := len(blocks) - 1
		for _, b := range blocks {
			n += len(b.lines)
		}
		return n
	}
	for i := len(blocks) - 1; room > 0 && i >= 0; i-- {
		b := &blocks[i]
		for height() > room && len(b.lines) > b.keep && b.from != none {
			if b.from == head {
				b.lines = b.lines[1:]
			} else {
				b.lines = b.lines[:len(b.lines)-1]
			}
		}
		if len(b.lines) == 0 {
			blocks = slices.Delete(blocks, i, i+1)
		}
	}
	apart := "\n\n"
	if room > 0 && height() > room {
		apart = "\n"
	}
	var parts []string
	for _, b := range blocks {
		parts = append(parts, strings.Join(b.lines, "\n"))
	}
	return strings.Join(parts, apart) + "\n"
}

// heading is the first line: what is deployed, and its id.
func (s Style) heading(d belay.Deployment) string {
	what := s.paint(dim, "first release ")
	if !d.Previous.IsZero() {
		what = s.paint(dim, d.Previous.String()+" → ")
	}
	return s.apart(s.paint(strong, d.String())+"  "+what+s.paint(strong, d.Release.String()), s.paint(dim, d.ID)) + "\n"
}

func (s Style) state(st belay.State) string { return s.paint(stateHue(st), "● "+words(string(st))) }

// stateLine is the second line: the state, why, how long it has been and how long it may still be.
func (s Style) stateLine(f Frame) string {
	d := f.Deployment
	end := f.Now
	if !d.EndedAt.IsZero() {
		end = d.EndedAt
	}
	line := s.state(d.State) + "  " + s.paint(dim, figure.Clock(end.Sub(d.CreatedAt)))
	right := ""
	if !d.Until.IsZero() && !d.State.Final() {
		if rest := d.Until.Sub(f.Now); rest > 0 {
			right = s.paint(dim, figure.Clock(rest)+" "+leftFor(d.State))
		}
	}
	out := s.apart(line, right) + "\n"
	if d.Reason != "" {
		out += "  " + d.Reason + "\n"
	}
	return out
}

// leftFor says what the time that is left is for.
func leftFor(st belay.State) string {
	switch st {
	case belay.StateWatching:
		return "left to be proven"
	case belay.StateBaking:
		return "left to bake"
	case belay.StatePending, belay.StateDeploying, belay.StatePaused, belay.StateHeld, belay.StateRollingBack,
		belay.StateSucceeded, belay.StateRolledBack, belay.StateUnverified, belay.StateRollbackFailed,
		belay.StateSuperseded, belay.StateDeployFailed, belay.StateRefused:
	}
	return "left"
}

func (s Style) away(d time.Duration) string {
	if d < time.Second {
		return ""
	}
	return s.paint(warn, fmt.Sprintf("the server has not answered for %s; waiting for it", figure.Clock(d))) + "\n"
}

// traffic is a bar with the new release's share.
func (s Style) traffic(r Report) string {
	d, share := r.Deployment, r.Deployment.Weight
	if d.Serving >= 0 {
		share = d.Serving
	}
	if r.Rollback != nil && movedBack(*r.Rollback) {
		share, d.Weight, d.Serving = 0, 0, 0
	}
	n := max(10, min(40, s.width()-44))
	k := n * share / 100
	line := "  " + s.paint(dim, "traffic  ") + s.paint(accent, strings.Repeat("█", k)) + s.paint(dim, strings.Repeat("░", n-k)) +
		"  " + s.paint(strong, short(d.Release)) + fmt.Sprintf(" %d %%", share)
	if !d.Previous.IsZero() {
		line += s.paint(dim, fmt.Sprintf("  %s %d %%", short(d.Previous), 100-share))
	}
	if d.Serving != d.Weight {
		line += s.paint(warn, fmt.Sprintf("  (wanted %d %%)", d.Weight))
	}
	return line
}

// apart sets right against the right edge of the line, or leaves it out when there is no room.
func (s Style) apart(leftText, right string) string {
	gap := s.width() - columns(leftText) - columns(right)
	if right == "" || gap < 2 {
		return leftText
	}
	return leftText + strings.Repeat(" ", gap) + right
}

func split(text string) []string { return strings.Split(strings.TrimRight(text, "\n"), "\n") }
