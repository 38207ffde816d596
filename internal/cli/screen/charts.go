package screen

import (
	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/judge/picture"
)

// Charts draws a decision card whose signals have trails, with small charts of each.
func (s Style) Charts(c belay.Card, candidate, baseline string) string {
	return picture.Text(c, picture.Options{Candidate: candidate, Baseline: baseline, Width: s.width(), Paint: s.ink})
}

// Outlook writes what the next watch can see, broken between words.
func (s Style) Outlook(text string) string { return s.hang("What a watch can see: "+text+".", 2) }

// ink paints in what the picture calls an ink.
func (s Style) ink(i picture.Ink, text string) string {
	switch i {
	case picture.Good:
		return s.paint(good, text)
	case picture.Bad:
		return s.paint(bad, text)
	case picture.Warn:
		return s.paint(warn, text)
	case picture.Dim:
		return s.paint(dim, text)
	case picture.Strong:
		return s.paint(strong, text)
	case picture.Accent:
		return s.paint(accent, text)
	case picture.Plain:
	}
	return text
}
