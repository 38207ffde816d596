package judge

import (
	"fmt"
	"math"
	"strconv"

	"github.com/belaydev/belay/internal/judge/level"
	"github.com/belaydev/belay/internal/judge/past"
	"github.com/belaydev/belay/internal/judge/phrase"
	"github.com/belaydev/belay/internal/judge/placebo"
)

// bet is the comparison of a value with its own past. It begins once no old release is read beside the candidate, with
// what is left of the bet on the comparison side by side: nothing was put on that, all of it; else half, so that either
// may go on.
//
// The p-value of the past is valid over the whole watch. It is spent all at once, as the e-value that is worth 1/a when
// p <= a and nothing otherwise; a is what this signal may spend of the false-rollback rate, times the stake. So the
// bound on all signals together holds as it stands.
type bet struct {
	*past.Series
	placed bool
	stake  float64 // logarithm of what is put on the past
	level  float64 // logarithm of the share of the side-by-side evidence that is kept; -Inf when it is all staked
}

func newBet(s *signal) *bet {
	return &bet{Series: past.New(past.Settings{Direction: placeboDirection(s.Direction), MinEffect: s.SmallestChange,
		Length: s.watch.Deadline, Warmup: s.watch.Warmup})}
}

func placeboDirection(d Direction) placebo.Direction {
	switch d {
	case LowerIsWorse:
		return placebo.Lower
	case Either:
		return placebo.Either
	case HigherIsWorse:
	}
	return placebo.Higher
}

// step closes the tick at t.
func (b *bet) step(t float64, beside *level.Level) {
	b.Step(t)
	if b.placed || !b.Begun() {
		return
	}
	b.placed, b.stake, b.level = true, 0, math.Inf(-1)
	if beside.Compared() {
		b.stake, b.level = beside.Wealth()-math.Ln2, -math.Ln2
	}
}

// logE is the evidence as it is shown: the stronger of both.
func (b *bet) logE(beside *level.Level) float64 {
	if !b.placed {
		return beside.LogE()
	}
	return math.Max(b.Score()+b.stake, b.beside(beside))
}

// beside is what is left of the evidence side by side.
func (b *bet) beside(l *level.Level) float64 {
	if math.IsInf(b.level, -1) {
		return b.level
	}
	return l.LogE() + b.level
}

// worth is the logarithm of the e-value of both together; at is the one at which the signal acts alone.
func (b *bet) worth(l *level.Level, shown, at float64) float64 {
	if b.Score()+b.stake >= at {
		return shown
	}
	return b.beside(l)
}

// blamed tells whether it is the past that speaks against the candidate most.
func (s *signal) blamed() bool {
	return s.before != nil && s.before.placed && s.before.Score()+s.before.stake > s.before.beside(s.values)
}

// nearly is how near to acting the evidence of the past is suspicious: it is not taken back when nothing follows.
const nearly = 3

// suspect tells whether a signal speaks against the candidate so much that it is not called healthy.
func (s *signal) suspect() bool {
	least := math.Log(suspicion)
	if s.blamed() && s.weight > 0 {
		least = math.Max(least, -math.Log(s.watch.FalseRollbackRate*s.weight*nearly))
	}
	return s.logE() >= least
}

// since is when what speaks against the candidate began.
func (b *bet) since() float64 {
	from, _ := b.Span(b.Test().Finding())
	return from
}

// effect is the ratio of what was seen to what was to be expected; nil where nothing was found, or a ratio says nothing.
func (b *bet) effect() *float64 {
	f := b.Test().Finding()
	if !(f.Usual > 0 && f.Actual >= 0) {
		return nil
	}
	ratio := f.Actual / f.Usual
	return &ratio
}

// unmeasured says why a value cannot be compared with anything; "" when it can, or when that is not known yet.
func (s *signal) unmeasured() string {
	if s.before == nil || !s.before.Tried() || s.values.Compared() {
		return ""
	}
	switch why, have, need := s.before.Lack(); why {
	case placebo.TooShort:
		return fmt.Sprintf("too little history (have %s, need %s)", phrase.Seconds(have), phrase.Seconds(need))
	case placebo.TooSparse:
		return fmt.Sprintf("too many readings are missing in the %s before the deployment", phrase.Seconds(have))
	case placebo.Ended:
		return "its history ends before the deployment"
	case placebo.Nothing:
	}
	return ""
}

// lackOfPast says what a value needs for healthy, where the past is all there is to compare it with.
func (s *signal) lackOfPast() string {
	if s.before.Beside() || s.values.Compared() {
		return ""
	}
	text := s.unmeasured()
	if so, most := s.before.Judged(); text == "" {
		switch {
		case !s.before.Tried():
			text = "more readings to compare with the past"
		case so < placebo.MinWatch*s.before.Seconds():
			text = fmt.Sprintf("compared with its past for %s more", phrase.Seconds(math.Min(most, placebo.MinWatch*s.before.Seconds())-so))
		default:
			return ""
		}
	}
	return s.Name + ": " + text
}

// pastNote says what a value is compared with, where that is the past.
func (s *signal) pastNote() string {
	if text := s.unmeasured(); text != "" {
		return "not compared: nothing serves beside it, and " + text + "; limits only"
	}
	moments, _ := s.before.Test().Placebos()
	note := fmt.Sprintf("nothing runs beside it: compared with %d moments before the deployment, by time of day as far as the past reaches (weaker evidence)", moments)
	if _, most := s.before.Judged(); most < s.watch.Deadline-s.before.Seconds() {
		note += fmt.Sprintf("; the past suffices for the first %s of the watch", phrase.Seconds(most))
	}
	return note
}

// pastText says what the comparison with the past found.
func (j *Judge) pastText(s *signal) string {
	f := s.before.Test().Finding()
	from, to := s.before.Span(f)
	what := fmt.Sprintf("is %s where %s is usual", s.Text(f.Actual), s.Text(f.Usual))
	switch f.Family {
	case placebo.Variance:
		what += ", and strays further from it than it did"
	case placebo.Rough:
		what += ", and jumps from one reading to the next as it did not"
	case placebo.Flat:
		what = fmt.Sprintf("stands still at %s", s.Text(f.Actual))
	default:
	}
	worse := "none"
	if f.AsBad > 0 {
		worse = strconv.Itoa(f.AsBad)
	}
	return fmt.Sprintf("%s of %s %s, from %s to %s after the deployment; %s of %d moments before it looked as bad; chance under no change %s",
		s.Name, j.candidate(), what, phrase.Seconds(from), phrase.Seconds(to), worse, f.Of, phrase.OneIn(s.logE()))
}
