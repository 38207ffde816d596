// Package usual draws what was learned of a service, in plain words.
package usual

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/belaydev/belay"
	"github.com/belaydev/belay/internal/cli/screen"
)

// Text draws what is held of a service, signal by signal.
func Text(s screen.Style, l belay.LearnedStatus, now time.Time) string {
	line := s.Strong(l.String()) + "  "
	switch {
	case l.Hours > 0:
		line += "learned from " + hours(l.Hours) + s.Dim(", until "+screen.Since(now.Sub(l.Until).Truncate(time.Minute))+" ago")
	case !l.Until.IsZero():
		line += "nothing learned yet" + s.Dim("; what comes after "+l.Until.Local().Format("2006-01-02 15:04")+" counts")
	default:
		line += "nothing learned yet" + s.Dim("; the first quiet hour is on its way")
	}
	out := s.Wrap(line, 2)
	if l.Problem != "" {
		out += s.Wrap("  "+s.Bad("learning does not go on: ")+l.Problem, 4)
	}
	var idle []string
	for _, sig := range l.Signals {
		if len(sig.Habits) == 0 {
			idle = append(idle, sig.Signal)
			continue
		}
		out += "\n" + s.Strong(sig.Signal) + "\n"
		for _, h := range sig.Habits {
			out += s.Wrap(fmt.Sprintf("  %-12s%-7s", h.Name, number(h.Value))+source(s, h.Source)+s.Dim(origin(h)), indent)
			out += s.Wrap(strings.Repeat(" ", indent)+meaning(h, sig.Kind), indent)
		}
	}
	if len(idle) > 0 {
		out += "\n" + s.Wrap(s.Dim("not compared with the old release, so nothing to learn: "+strings.Join(idle, ", ")), 2)
	}
	return out
}

// indent is the column of what is said of a habit.
const indent = 21

func hours(h float64) string {
	if h < 10 {
		return number(h) + " h"
	}
	return fmt.Sprintf("%.0f h", h)
}

func source(s screen.Style, from belay.HabitSource) string {
	switch from {
	case belay.HabitLearned:
		return s.Good(string(from))
	case belay.HabitAssumed:
		return s.Strong(string(from))
	case belay.HabitSet:
	}
	return string(from)
}

func origin(h belay.Habit) string {
	switch {
	case h.Detail == "":
		return ""
	case h.Source == belay.HabitLearned:
		return " from " + h.Detail
	case h.Source == belay.HabitSet:
		return " " + h.Detail
	}
	return ": " + h.Detail
}

// meaning says in words what a habit does to the comparison.
func meaning(h belay.Habit, kind belay.SampleKind) string {
	switch h.Name {
	case belay.HabitMargin:
		what := "rates"
		if kind != belay.KindEvents {
			what = "values"
		}
		if kind == belay.KindHistogram {
			what = "response times"
		}
		return fmt.Sprintf("the %s of two instances of one release may differ by a factor of %s: that much is not held against a release", what, number(h.Value))
	case belay.HabitDispersion:
		if h.Value < 1.05 {
			return "bad events come one by one: each counts"
		}
		return fmt.Sprintf("bad events come in clumps of up to %s: a clump counts as one", number(h.Value))
	case belay.HabitSeason:
		if h.Value == 0 {
			return "it does not repeat itself over the day"
		}
		return "it repeats itself every " + screen.Since(time.Duration(h.Value*float64(time.Second)))
	}
	return ""
}

// number writes three significant digits.
func number(v float64) string { return strconv.FormatFloat(v, 'g', 3, 64) }
