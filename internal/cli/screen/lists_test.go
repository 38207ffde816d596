package screen_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/cli/screen"
)

// TestHistorySaysWhy: also at 80 columns with labels, and narrower.
func TestHistorySaysWhy(t *testing.T) {
	d, old := deployment(belay.StateWatching, belay.VerdictInsufficient), deployment(belay.StateRollbackFailed, belay.VerdictRegressed)
	old.Label = &belay.Label{Word: belay.LabelRight}
	other := old
	other.Service, other.Environment = "mail", "staging"
	for width := 50; width <= 140; width += 10 {
		for _, list := range [][]belay.Deployment{{d, old}, {d, old, other}} {
			text := screen.Style{Width: width}.History(list, at(3600))
			if !strings.Contains(text, old.Reason[:16]) || width >= 70 && !strings.Contains(text, "right") {
				t.Errorf("width %d: no reason, or no label:\n%s", width, text)
			}
			for l := range strings.Lines(text) {
				if n := utf8.RuneCountInString(strings.TrimRight(l, "\n")); n > width {
					t.Errorf("width %d: %d columns in %q", width, n, l)
				}
			}
		}
	}
	if text := (screen.Style{Width: 80}).History([]belay.Deployment{d, d}, at(3600)); strings.Count(text, "\n") != 3 || !strings.Contains(text, "is deployed") {
		t.Errorf("three lines are enough:\n%s", text)
	}
}
