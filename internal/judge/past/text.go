package past

import (
	"fmt"
	"math"
	"strconv"

	"github.com/belaydev/belay/internal/judge/phrase"
	"github.com/belaydev/belay/internal/judge/placebo"
)

// LackText says why nothing is compared with the past by placebos; "" when it is, or when that is not known yet.
func (b *Bet) LackText() string {
	if b.test == nil || b.placed {
		return ""
	}
	why, have, need := b.Lack()
	need = math.Max(need, b.Long)
	switch {
	case b.late:
		return "the history came after the comparison had begun"
	case why == placebo.TooShort, why == placebo.Nothing && have < b.Long:
		return fmt.Sprintf("too little history (have %s, need %s)", phrase.Seconds(have), phrase.Seconds(need))
	case why == placebo.TooSparse:
		return fmt.Sprintf("too many readings are missing in the %s before the deployment", phrase.Seconds(have))
	case why == placebo.Ended:
		return "its history ends before the deployment"
	}
	return ""
}

// WaitText says what the comparison of a value with its past needs for healthy; "" when nothing.
func (b *Bet) WaitText() string {
	if text := b.LackText(); text != "" {
		return text
	}
	switch so, most := b.Judged(); {
	case !b.Tried():
		return "more readings to compare with the past"
	case so < placebo.MinWatch*b.step:
		return fmt.Sprintf("compared with its past for %s more", phrase.Seconds(math.Min(most, placebo.MinWatch*b.step)-so))
	}
	return ""
}

// DaysText ends a note on what is counted: how it is compared with earlier days, or why it is not.
func (b *Bet) DaysText() string {
	if b.placed {
		moments, _ := b.test.Placebos()
		return fmt.Sprintf(", and with %d moments of the %s before it, by time of day", moments, phrase.Seconds(b.usable))
	}
	if text := b.LackText(); text != "" {
		return "; not with earlier days: " + text
	}
	return ""
}

// Manner is what a finding says of a value, where that is more than its level: text says the level, value the level alone.
func Manner(f placebo.Finding, text, value string) string {
	switch f.Family {
	case placebo.Variance:
		return text + ", and strays further from it than it did"
	case placebo.Rough:
		return text + ", and jumps from one reading to the next as it did not"
	case placebo.Flat:
		return "stands still at " + value
	default:
	}
	return text
}

// AsBad is how many placebos looked as bad.
func AsBad(f placebo.Finding) string {
	if f.AsBad > 0 {
		return strconv.Itoa(f.AsBad)
	}
	return "none"
}
