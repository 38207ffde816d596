package screen_test

import (
	"strings"
	"testing"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/cli/screen"
)

func TestTheCardSaysWhatItWentBy(t *testing.T) {
	c := *card(belay.VerdictHealthy)
	if got := (screen.Style{Width: 100}).Card(c, v2, v1); strings.Contains(got, "usual") {
		t.Errorf("a card without habits says:\n%s", got)
	}
	c.Signals[1].Habits = []belay.Habit{{Name: belay.HabitMargin, Value: 1.146, Source: belay.HabitLearned, Detail: "3 instances, 10,800 events"},
		{Name: belay.HabitDispersion, Value: 5, Source: belay.HabitAssumed, Detail: "none so far"}}
	want := "  usual   error_rate margin 1.15 (learned from 3 instances, 10,800 events), dispersion 5 (assumed)\n"
	if got := (screen.Style{Width: 120}).Card(c, v2, v1); !strings.Contains(got, want) {
		t.Errorf("the card does not say %q:\n%s", want, got)
	}
}
