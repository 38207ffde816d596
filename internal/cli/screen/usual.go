package screen

import (
	"fmt"
	"strings"

	"github.com/belaydev/belay"
)

// usual is what the comparisons of a card went by, on one line.
func usual(c belay.Card) string {
	var parts []string
	for _, e := range c.Signals {
		var habits []string
		for _, h := range e.Habits {
			text := fmt.Sprintf("%s %s (%s", h.Name, trim(h.Value), h.Source)
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
