package main

import (
	"fmt"
	"math"
	"time"

	"github.com/belaydev/belay/test/judgebench/score"
	"github.com/belaydev/belay/test/judgebench/track"
)

// printCell prints a line for each rule in a cell: for whoever is changing the judge and wants to know what came of it.
func printCell(r *track.Result, took time.Duration) {
	for i := range r.Scores {
		fmt.Println(line(r, i) + fmt.Sprintf(" [%d runs %.1fs]", r.Runs, took.Seconds()))
	}
}

// line is what a rule made of a cell, short enough for a terminal.
func line(r *track.Result, i int) string {
	s, sc := &r.Spec, r.Scores[i]
	text := fmt.Sprintf("%s %-16s %5.4g/s %4.3g%% %-11s %-7s %-12s", r.Track, r.Name, s.Rate, 100*s.Share, r.Past, r.Form, r.Rules[i].Name)
	wrong, low, high := sc.Wrong()
	own := r.Rules[i].Name == track.Judge
	if r.Null() {
		text += fmt.Sprintf(" false %5.2f%% (%.2f-%.2f)", 100*wrong, 100*low, 100*high)
		if own && s.Usual > 0 {
			text += fmt.Sprintf(" healthy %s (%.0f%%, %.2fx limit)", seconds(sc.Healthy), 100*sc.HealthyBy, sc.Healthy/r.HealthyLimit())
		}
		if own {
			text += fmt.Sprintf(" undecided %.0f%%", 100*float64(sc.Undecided)/float64(sc.Runs))
		}
		return text + by(sc)
	}
	text += fmt.Sprintf(" onset %4.0f found %3.0f%% in %s p90 %s", math.Max(0, r.Onset), 100*sc.Rate(), seconds(sc.Median), seconds(sc.P90))
	if l := r.BadLimit(own); l > 0 {
		text += fmt.Sprintf(" bad %6.1f±%.1f (excess %.1f) limit %5.1f", sc.Bad, sc.BadWithin, sc.Excess, l)
		if sc.Rate() > score.Enough { // else the end of the watch cuts the harm off
			text += fmt.Sprintf(" eff %.2f, in time %.2f", l/sc.Bad, r.TimeLimit(own)/sc.Mean)
			if own {
				text += fmt.Sprintf(", without margin %.2f", r.BadLimit(false)/sc.Bad)
			}
		}
	} else if l := r.TimeLimit(own); l > 0 {
		text += fmt.Sprintf(" limit %.1fs", l)
	}
	if sc.Early > 0 {
		text += fmt.Sprintf(" early %.2f%%", 100*wrong)
	}
	if sc.HealthyBy > 0 && r.Onset <= 0 { // before a later fault it was right to pass it
		text += fmt.Sprintf(" passed %.1f%%", 100*sc.HealthyBy)
	}
	return text + by(sc)
}

// by says what decided, where it was not always the same.
func by(s score.Score) string {
	text := ""
	for _, what := range []string{"comparison", "hard stop", "threshold", "health"} {
		if n := s.By[what]; n > 0 && n < s.Early+s.Found {
			text += fmt.Sprintf(" %s %.0f%%", what, 100*float64(n)/float64(s.Runs))
		}
	}
	return text
}

func seconds(v float64) string {
	if math.IsInf(v, 1) || math.IsNaN(v) {
		return "   -"
	}
	return fmt.Sprintf("%4.0f", v)
}
