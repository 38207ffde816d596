// Package screen draws belay's things for a terminal: decision cards, certificates, the live view of a
// deployment. It turns values into text and reads nothing but what it is given.
package screen

import (
	"strings"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/cli/screen/figure"
)

// Style says how to draw.
type Style struct {
	Color bool // ANSI colours and attributes
	Width int  // columns; 0 means 80
}

func (s Style) width() int {
	if s.Width <= 0 {
		return 80
	}
	return s.Width
}

// hue is what a colour means.
type hue int

const (
	plain hue = iota
	good
	bad
	warn
	dim
	strong
	accent
)

func (s Style) paint(h hue, text string) string {
	if !s.Color || text == "" {
		return text
	}
	st := lipgloss.NewStyle()
	switch h {
	case good:
		st = st.Foreground(lipgloss.Color("2")).Bold(true)
	case bad:
		st = st.Foreground(lipgloss.Color("1")).Bold(true)
	case warn:
		st = st.Foreground(lipgloss.Color("3")).Bold(true)
	case dim:
		st = st.Faint(true)
	case strong:
		st = st.Bold(true)
	case accent:
		st = st.Foreground(lipgloss.Color("6"))
	case plain:
		return text
	}
	return st.Render(text)
}

// cutAll shortens every line.
func (s Style) cutAll(text string) string {
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		lines[i] = s.cut(l)
	}
	return strings.Join(lines, "\n")
}

// cut shortens a line to the width, keeping its colours closed.
func (s Style) cut(line string) string { return ansi.Truncate(line, s.width(), "…") }

// pad fills text with spaces to n columns, whatever colours it holds.
func pad(text string, n int) string {
	if w := ansi.StringWidth(text); w < n {
		return text + strings.Repeat(" ", n-w)
	}
	return text
}

func left(text string, n int) string {
	if w := ansi.StringWidth(text); w < n {
		return strings.Repeat(" ", n-w) + text
	}
	return text
}

// columns is how wide text is on the screen.
func columns(text string) int { return ansi.StringWidth(text) }

// hang breaks a long line at words; the lines after the first begin at column indent. It ends with a line end.
func (s Style) hang(line string, indent int) string {
	w := s.width()
	if columns(line) <= w {
		return line + "\n"
	}
	if indent > w/2 {
		indent = 6
	}
	var b strings.Builder
	rest := line
	for first := true; ; first = false {
		room := w
		if !first {
			room -= indent
			b.WriteString(strings.Repeat(" ", indent))
		}
		if columns(rest) <= room {
			b.WriteString(rest + "\n")
			return b.String()
		}
		head, after := figure.BreakAt(rest, room)
		b.WriteString(ansi.Cut(rest, 0, head) + "\n")
		rest = ansi.Cut(rest, after, columns(rest))
	}
}

func verdictHue(v belay.Verdict) hue {
	switch v {
	case belay.VerdictHealthy:
		return good
	case belay.VerdictRegressed:
		return bad
	case belay.VerdictBlind:
		return warn
	case belay.VerdictInsufficient, belay.VerdictNone:
		return dim
	}
	return plain
}

func stateHue(s belay.State) hue {
	switch s {
	case belay.StateSucceeded, belay.StateBaking, belay.StateRolledBack:
		return good
	case belay.StateRollingBack, belay.StateRollbackFailed, belay.StateDeployFailed, belay.StateRefused:
		return bad
	case belay.StatePaused, belay.StateHeld, belay.StateUnverified, belay.StateSuperseded:
		return warn
	case belay.StatePending, belay.StateDeploying, belay.StateWatching:
		return accent
	}
	return plain
}
