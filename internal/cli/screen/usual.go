package screen

import (
	"fmt"
	"strings"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/cli/screen/figure"
)

// usual is what the comparisons of a card went by, on one line.
func usual(c belay.Card) string {
	var parts []string
	for _, e := range c.Signals {
		var habits []string
		for _, h := range e.Habits {
			text := fmt.Sprintf("%s %s (%s", h.Name, figure.Trim(h.Value), h.Source)
			if h.Source == belay.HabitLearned && h.Detail != "" {
				text += " from " + h.Detail
			}
			habits = append(habits, text+")")
		}
		if len(habits) > 0 {
			parts = append(parts, e.Signal+" "+strings.Join(habits, ", "))
		}
	}
	return strings.Join(parts, "; ")
}
